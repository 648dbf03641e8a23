// SPDX-License-Identifier: GPL-2.0

//! The debugfs files: every name and every text format.

use kernel::{
    c_str,
    current,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::BStr, //
};

use crate::{
    lab::Alloclab,
    method::Allocation,
    report::layout,
    rust::{
        bound::Attached,
        debugfs::{
            File,
            Text, //
            TEXT_BYTES,
        },
        decimal::Decimal,
        lockdown,
        memory::Run,
        schedule::cond_resched, //
    },
    settings::{
        parse_context,
        parse_gfp,
        parse_presses,
        Change,
        Invalid,
        Selection,
        Settings,
        Size, //
    }, //
};

type Device<'bound> = Attached<'bound, Alloclab>;

/// The files of a device's directory. doc/debugfs.md explains each.
pub(crate) const FILES: &[File<Alloclab>] = &[
    File {
        name: c_str!("method"),
        read: Some(|device, m| {
            let selection = settings(device).selection;
            seq_print!(m, "{}\n", selection.among_all());
        }),
        write: Some(|device, text| {
            set(device, "method", text, |settings, text| {
                settings.selection = Selection::parse(text)?;
                Ok(())
            })
        }),
    },
    File {
        name: c_str!("size"),
        read: Some(|device, m| seq_print!(m, "{}\n", settings(device).size)),
        write: Some(|device, text| {
            set(device, "size", text, |settings, text| {
                settings.size = Size::parse(text)?;
                Ok(())
            })
        }),
    },
    File {
        name: c_str!("gfp"),
        read: Some(|device, m| seq_print!(m, "{}\n", settings(device).gfp)),
        write: Some(|device, text| {
            set(device, "gfp", text, |settings, text| {
                settings.gfp = parse_gfp(text)?;
                Ok(())
            })
        }),
    },
    File {
        name: c_str!("context"),
        read: Some(|device, m| seq_print!(m, "{}\n", settings(device).context)),
        write: Some(|device, text| {
            set(device, "context", text, |settings, text| {
                settings.context = parse_context(text)?;
                Ok(())
            })
        }),
    },
    File {
        name: c_str!("settings"),
        read: Some(|device, m| seq_print!(m, "{}\n", settings(device))),
        write: Some(set_several),
    },
    File {
        name: c_str!("press"),
        read: None,
        write: Some(press),
    },
    File {
        name: c_str!("live"),
        read: Some(show_live),
        write: None,
    },
    File {
        name: c_str!("pages"),
        read: Some(show_pages),
        write: None,
    },
    File {
        name: c_str!("stats"),
        read: Some(show_stats),
        write: None,
    },
];

fn settings(device: &Device<'_>) -> Settings {
    *device.data.bench.lock().toggle.plan().settings()
}

/// Takes off white space, a newline above all, and refuses what was too long to be looked at.
fn trim<'a>(device: &Device<'_>, name: &str, text: &Text<'a>) -> Result<&'a [u8]> {
    let mut bytes = text.bytes;
    while let [b' ' | b'\t' | b'\n', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\n'] = bytes {
        bytes = rest;
    }

    if text.cut {
        let too_long = Invalid::TooLong(TEXT_BYTES);
        device.data.refuse(device.dev, name, bytes, &too_long)?;
    }
    Ok(bytes)
}

fn set(
    device: &Device<'_>,
    name: &str,
    text: Text<'_>,
    change: fn(&mut Settings, &[u8]) -> Result<(), Invalid>,
) -> Result {
    let bytes = trim(device, name, &text)?;
    let lab = &device.data;
    lab.change(device.dev, name, bytes, &|settings| change(settings, bytes))
}

/// Changes the settings that `text` names, all or nothing.
fn set_several(device: &Device<'_>, text: Text<'_>) -> Result {
    let name = "settings";
    let bytes = trim(device, name, &text)?;
    let lab = &device.data;
    match Change::parse(bytes) {
        Ok(change) => lab.change(device.dev, name, bytes, &|settings| {
            change.apply(settings);
            Ok(())
        }),
        // The word alone, as that is what is to be mended.
        Err((word, invalid)) => lab.refuse(device.dev, name, word, &invalid),
    }
}

fn press(device: &Device<'_>, text: Text<'_>) -> Result {
    let bytes = trim(device, "press", &text)?;
    let presses = match parse_presses(bytes) {
        Ok(presses) => presses,
        Err(invalid) => return device.data.refuse(device.dev, "press", bytes, &invalid),
    };

    for _ in 0..presses {
        if device.is_closing() {
            return Err(ENODEV);
        }
        if current!().signal_pending() {
            return Err(EINTR);
        }
        device.data.press(device.dev);
        cond_resched();
    }
    Ok(())
}

/// Shows the label: the node's name where the node has no other, the device's without a node.
fn show_label(device: &Device<'_>, m: &SeqFile) {
    match (&device.data.label, device.dev.fwnode()) {
        (Some(label), _) => seq_print!(m, "label: {}\n", BStr::from_bytes(label)),
        (None, Some(node)) => seq_print!(m, "label: {}\n", node.display_name()),
        (None, None) => seq_print!(m, "label: {}\n", device.dev.name()),
    }
}

fn show_live(device: &Device<'_>, m: &SeqFile) {
    let mut bench = device.data.bench.lock();
    let lent = bench.toggle.lend().and_then(|(_, lent)| lent.ok());
    let mapped = lent.map(|lent| lent.mappings());
    let Some(held) = bench.toggle.held() else {
        seq_print!(m, "none\n");
        return;
    };

    show_label(device, m);
    if let Some(controller) = device.data.controller() {
        seq_print!(m, "controller: {controller}\n");
    }
    seq_print!(m, "method: {}\n", held.method.name());
    let facts = held.allocation.facts();
    seq_print!(m, "{}{}", facts.for_root(), layout(held.allocation));
    if let (Some(_), Some(dma)) = (facts.dma_address, device.data.dma_device()) {
        seq_print!(m, "dma_mask: {:#018x}\n", dma.dma_mask());
    }
    held.allocation
        .details(&mut |detail| seq_print!(m, "{detail}\n"));
    seq_print!(m, "zeroed: {}\n", held.zeroed());
    if let Some(mapped) = mapped {
        seq_print!(m, "mapped: {}\n", Decimal(mapped));
    }
    seq_print!(m, "gfp: {}\n", held.request.gfp);
    seq_print!(m, "context: {}\n", held.request.context);
    seq_print!(m, "alloc_ns: {}\n", Decimal(held.alloc_ns));
    seq_print!(m, "age_ns: {}\n", Decimal(held.age_ns()));
    seq_print!(m, "press: {}\n", Decimal(held.press));
}

/// Shows the runs of the held pages: place of the first in the allocation, its page frame number,
/// how many pages.
fn show_pages(device: &Device<'_>, m: &SeqFile) {
    let bench = device.data.bench.lock();
    let Some(held) = bench.toggle.held() else {
        seq_print!(m, "none\n");
        return;
    };

    let confidential = lockdown::is_confidential();
    held.allocation.runs(&mut |run| {
        let Run { first, pfn, pages } = run;
        let pfn = if confidential { 0 } else { pfn };
        seq_print!(m, "{first} {pfn} {pages}\n");
    });
}

fn show_stats(device: &Device<'_>, m: &SeqFile) {
    let lab = &device.data;
    // Before the lock: an edge that comes later has a press that is not carried out yet.
    let deferred = lab.deferred();
    let (edges, bounces) = (lab.button.edges(), lab.button.bounces());

    let bench = lab.bench.lock();
    let toggle = &bench.toggle;
    let stats = toggle.stats();
    let bytes_held = toggle.held().map_or(0, |held| held.allocation.facts().size);

    show_label(device, m);
    seq_print!(m, "edges: {}\n", Decimal(edges.total()));
    seq_print!(m, "edges_in: {edges}\n");
    for (name, number) in [
        ("presses", toggle.presses()),
        ("bounces", bounces),
        ("deferred", deferred),
        ("allocs", stats.total(|stats| stats.allocs)),
        ("frees", stats.total(|stats| stats.frees)),
        ("failures", stats.total(|stats| stats.failures)),
    ] {
        seq_print!(m, "{name}: {}\n", Decimal(number));
    }
    seq_print!(m, "bytes_held: {bytes_held}\n");
    seq_print!(m, "next: {}\n", toggle.next().name());

    for (method, stats) in stats.each() {
        seq_print!(m, "{}: {stats}\n", method.name());
    }
}
