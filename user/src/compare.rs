// SPDX-License-Identifier: GPL-2.0

//! `alloclab compare`: user space's methods beside the kernel's.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    args::{Compare, Method},
    failure::{Exit, Failure, Result},
    lab::{self, Button, Root},
    press::Ended,
    process::{self, Machine},
    status::table,
    sys,
    text::Stats,
    user::{allocate, ns, refuse_more_than_available, touch},
};

/// What a method guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Guarantee {
    /// In which addresses the bytes follow each other: `virtual` in those of the processor alone,
    /// `physical` also in those of the memory, `DMA` also in those of a device.
    contiguous: &'static str,
    /// As doc/methods.md says.
    zeroed: &'static str,
    /// Whether a device may use it: after a call that maps it, always, or not.
    dma: &'static str,
    /// Whether the call may sleep: yes, or as the GFP flags say.
    sleeps: &'static str,
}

const fn guarantee(
    contiguous: &'static str,
    zeroed: &'static str,
    dma: &'static str,
    sleeps: &'static str,
) -> Guarantee {
    Guarantee {
        contiguous,
        zeroed,
        dma,
        sleeps,
    }
}

/// What the methods guarantee; `make check` compares what doc/methods.md says, too.
const GUARANTEES: [(&str, Guarantee); 18] = [
    ("kmalloc", guarantee("physical", "asked", "mapped", "gfp")),
    ("kzalloc", guarantee("physical", "always", "mapped", "gfp")),
    ("vmalloc", guarantee("virtual", "asked", "no", "yes")),
    ("coherent", guarantee("DMA", "always", "yes", "gfp")),
    ("krealloc", guarantee("physical", "asked", "mapped", "yes")),
    ("kvmalloc", guarantee("virtual", "asked", "no", "yes")),
    ("vzalloc", guarantee("virtual", "always", "no", "yes")),
    (
        "raw_kmalloc",
        guarantee("physical", "asked", "mapped", "gfp"),
    ),
    ("raw_vmalloc", guarantee("virtual", "asked", "no", "yes")),
    ("devm", guarantee("physical", "always", "mapped", "gfp")),
    ("page", guarantee("physical", "asked", "mapped", "gfp")),
    ("pages", guarantee("physical", "asked", "mapped", "gfp")),
    ("slab", guarantee("physical", "never", "mapped", "gfp")),
    ("mempool", guarantee("physical", "asked", "mapped", "gfp")),
    ("dmapool", guarantee("DMA", "asked", "yes", "gfp")),
    ("static", guarantee("virtual", "never", "no", "gfp")),
    ("list", guarantee("no", "never", "no", "yes")),
    // Of USB devices.
    ("usb_coherent", guarantee("DMA", "asked", "yes", "gfp")),
];

/// What user space's methods guarantee. The call may sleep, and so may the first access to a page.
fn of_user_space(method: Method) -> Guarantee {
    let zeroed = match method {
        Method::Malloc | Method::Realloc => "never",
        Method::Calloc | Method::Mmap => "always",
    };
    guarantee("virtual", zeroed, "no", "yes")
}

fn of_kernel(name: &str) -> Guarantee {
    GUARANTEES
        .iter()
        .find_map(|&(known, guarantee)| (known == name).then_some(guarantee))
        // The module may be newer than this program.
        .unwrap_or(guarantee("?", "?", "?", "?"))
}

const HEADER: [&str; 10] = [
    "where",
    "method",
    "times",
    "alloc ns",
    "touch ns",
    "free ns",
    "contiguous",
    "zeroed",
    "DMA",
    "sleeps",
];

fn row(
    place: &str,
    name: &str,
    times: String,
    [alloc, touch, free]: [String; 3],
    guarantee: Guarantee,
) -> Vec<String> {
    let Guarantee {
        contiguous,
        zeroed,
        dma,
        sleeps,
    } = guarantee;
    let words = [contiguous, zeroed, dma, sleeps].map(str::to_owned);
    let mut row = vec![place.to_owned(), name.to_owned(), times, alloc, touch, free];
    row.extend(words);
    row
}

/// A method of user space is tried for so long, but at least so often and at most so often.
const TRIED: Duration = Duration::from_millis(300);
const AT_LEAST: usize = 5;
const AT_MOST: usize = 201;

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

/// Has a method of user space allocate, touch each page and free, again and again.
fn try_user_space(method: Method, size: usize) -> std::io::Result<Vec<String>> {
    let (mut allocs, mut touches, mut frees) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    while allocs.len() < AT_LEAST || allocs.len() < AT_MOST && start.elapsed() < TRIED {
        let mut now = Instant::now();
        let mut lap = || ns(std::mem::replace(&mut now, Instant::now()).elapsed());
        let mut block = allocate(method, size)?;
        if method == Method::Realloc {
            // What grew is what is measured.
            touch(&mut block, usize::MAX);
            lap();
            block = block
                .realloc(size.saturating_mul(2))
                .map_err(|(_, error)| error)?;
        }
        allocs.push(lap());
        touch(&mut block, usize::MAX);
        touches.push(lap());
        drop(block);
        frees.push(lap());
    }
    let times = allocs.len().to_string();
    let medians = [allocs, touches, frees].map(|numbers| median(numbers).to_string());
    Ok(row(
        "user",
        &method.to_string(),
        times,
        medians,
        of_user_space(method),
    ))
}

/// The kernel's methods, as `stats` has them.
fn kernel_rows(stats: &Stats) -> Vec<Vec<String>> {
    let row = |method: &crate::text::MethodStats| {
        let ns = |count: u64, ns: u64| {
            if count == 0 {
                "–".to_owned()
            } else {
                ns.to_string()
            }
        };
        let medians = [
            ns(method.allocs, method.alloc_ns.median),
            "–".to_owned(),
            ns(method.frees, method.free_ns.median),
        ];
        row(
            "kernel",
            &method.name,
            method.allocs.to_string(),
            medians,
            of_kernel(&method.name),
        )
    };
    stats.methods.iter().map(row).collect()
}

/// Has each method of the button allocate and free `size` bytes, `times` times; the settings are
/// put back, whatever happens. Returns which methods refused that, and why.
fn press_each(button: &Button, size: usize, times: u32) -> Result<Vec<String>> {
    if button.live()?.is_some() {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "{} holds something: press it first, so that nothing is held",
                button.name
            ),
        ));
    }
    let ended = Ended::watch()?;
    let before = button.settings()?;
    let mut refused = Vec::new();
    let mut press = || -> Result {
        // First of all methods, as the kernel's log does not say why after many presses.
        let mut taken = Vec::new();
        for method in button.methods()? {
            match button.set(&format!("method={method} size={size}")) {
                Ok(_) => taken.push(method),
                Err(failure) if failure.exit == Exit::Refused => {
                    refused.push(format!("{method}: {}", failure.text));
                }
                Err(failure) => return Err(failure),
            }
        }
        for method in taken {
            button.set(&format!("method={method}"))?;
            let pressed = button.press(u64::from(times) * 2);
            pressed.map_err(|error| Failure::of(format!("{}/press", button.name), &error))?;
            if ended.is_set() {
                return Err(Failure::new(Exit::Interrupted, "a signal ended it"));
            }
        }
        Ok(())
    };
    let pressed = press();
    let put_back = button.set(&before.to_string()).map(|_| ());
    pressed.and(put_back)?;
    Ok(refused)
}

/// Carries out the command.
pub fn run(root: &Root, arguments: &Compare, out: &mut dyn Write) -> Result {
    let Compare {
        ref button,
        size,
        press,
    } = *arguments;
    if size == 0 {
        return Err(Failure::usage("a size is at least 1 byte"));
    }
    // realloc has twice as much.
    refuse_more_than_available(root, size.saturating_mul(2))?;
    let button = lab::button(root, button.as_deref())?;
    let refused = match press {
        0 => Vec::new(),
        times => press_each(&button, size, times)?,
    };

    let machine = Machine::of(root);
    let (_, pages) = process::span(0, size, sys::page_size());
    let emulated = machine
        .emulated
        .map_or("not emulated, as far as it shows".to_owned(), |why| {
            format!("emulated: {why}")
        });
    writeln!(
        out,
        "size: {size} bytes; pages: {pages}, of {} bytes each",
        sys::page_size()
    )?;
    writeln!(out, "ran on: {} ({emulated})", machine.name)?;
    writeln!(
        out,
        "C library: {}, linked into this program",
        sys::c_library()
    )?;

    let mut rows = Vec::new();
    for method in [
        Method::Malloc,
        Method::Calloc,
        Method::Realloc,
        Method::Mmap,
    ] {
        rows.push(try_user_space(method, size).map_err(|error| {
            Failure::failed(format!("{method} of {size} bytes failed: {error}"))
        })?);
    }
    rows.extend(kernel_rows(&button.stats()?));
    writeln!(out, "\n{}", table(&HEADER, &rows))?;
    let of_stats = match press {
        0 => "all presses since the button was bound, whatever their size".to_owned(),
        times => {
            format!("all presses since the button was bound, {times} pairs of this size among them")
        }
    };
    writeln!(
        out,
        "user: medians of this run; touch writes into each page. realloc grows from {size} bytes \
         to twice that.\nkernel: medians of {}'s stats: {of_stats}.",
        button.name
    )?;
    for why in refused {
        writeln!(out, "not of this size: {why}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fake::Fake;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), 0);
        assert_eq!(median(vec![3, 1, 2]), 2);
    }

    #[test]
    fn both_sides_are_in_the_table() {
        let fake = Fake::new(&["button"]);
        let mut out = Vec::new();
        let arguments = Compare {
            button: None,
            size: 5000,
            press: 0,
        };
        run(&fake.root, &arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("size: 5000 bytes; pages: 2, of "),
            "{text}"
        );
        for name in ["malloc", "calloc", "realloc", "mmap"] {
            let is_row = |line: &str| line.split_whitespace().take(2).eq(["user", name]);
            assert!(text.lines().any(is_row), "{name}: {text}");
        }
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let rows: Vec<_> = text.lines().map(words).collect();
        let row = |text: &str| words(text);
        assert!(
            rows.contains(&row("kernel kmalloc 1 97 – 12 physical asked mapped gfp")),
            "{text}"
        );
        assert!(
            rows.contains(&row("kernel coherent 0 – – – DMA always yes gfp")),
            "{text}"
        );
    }

    #[test]
    fn a_button_that_holds_something_is_not_pressed() {
        let fake = Fake::new(&["button"]);
        let arguments = Compare {
            button: None,
            size: 64,
            press: 1,
        };
        let failure = run(&fake.root, &arguments, &mut Vec::new()).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
    }

    #[test]
    fn a_method_that_is_not_known_has_no_guarantees() {
        assert_eq!(of_kernel("newer").contiguous, "?");
        assert_eq!(of_kernel("coherent").dma, "yes");
    }
}
