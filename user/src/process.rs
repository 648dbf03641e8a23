// SPDX-License-Identifier: GPL-2.0

//! What /proc tells of this process and of the machine: sizes, pages, where it runs. Pure but for
//! `Pagemap`.

use std::{fs::File, io, os::unix::fs::FileExt};

use crate::{
    lab::{Root, read_if_any},
    text::Run,
};

/// The pages of all mappings together, as /proc/self/statm says first.
pub fn mapped_pages(statm: &str) -> Option<usize> {
    statm.split_whitespace().next()?.parse().ok()
}

/// How many bytes can be had without swapping, of /proc/meminfo.
pub fn available_bytes(meminfo: &str) -> Option<u64> {
    let rest = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What /proc/self/pagemap says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whether it is in memory.
    pub present: bool,
    /// Its page frame number, which only root is told.
    pub pfn: Option<u64>,
}

impl Page {
    fn of(entry: u64) -> Self {
        let present = entry >> 63 != 0;
        let pfn = entry & ((1 << 55) - 1);
        Self {
            present,
            pfn: (present && pfn != 0).then_some(pfn),
        }
    }
}

/// So many pages are asked about at most.
const MOST_PAGES: usize = 1 << 20;

/// The file /proc/self/pagemap.
pub struct Pagemap(File);

impl Pagemap {
    pub fn open(root: &Root) -> io::Result<Self> {
        File::open(root.path("/proc/self/pagemap")).map(Self)
    }

    /// The pages that so many bytes from an address on touch.
    pub fn pages(&self, address: usize, bytes: usize, page_size: usize) -> io::Result<Vec<Page>> {
        let (first, count) = span(address, bytes, page_size);
        if count > MOST_PAGES {
            return Err(io::Error::other(format!("more than {MOST_PAGES} pages")));
        }
        let mut entries = vec![0; count.saturating_mul(8)];
        self.0
            .read_exact_at(&mut entries, (first as u64).saturating_mul(8))?;
        Ok(entries
            .chunks_exact(8)
            .filter_map(|entry| Some(Page::of(u64::from_ne_bytes(entry.try_into().ok()?))))
            .collect())
    }
}

/// The number of the first page that so many bytes touch, and how many they touch.
pub fn span(address: usize, bytes: usize, page_size: usize) -> (usize, usize) {
    let page_size = page_size.max(1);
    if bytes == 0 {
        return (address / page_size, 0);
    }
    let first = address / page_size;
    let last = address.saturating_add(bytes - 1) / page_size;
    (first, last - first + 1)
}

/// The runs of pages that follow each other in physical memory; nothing if any number is secret.
pub fn runs(pages: &[Page]) -> Option<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut gap = true;
    for (first, page) in (0..).zip(pages) {
        if !page.present {
            gap = true;
            continue;
        }
        let pfn = page.pfn?;
        match runs.last_mut() {
            Some(run) if !gap && run.pfn.checked_add(run.pages) == Some(pfn) => run.pages += 1,
            _ => runs.push(Run {
                first,
                pfn,
                pages: 1,
            }),
        }
        gap = false;
    }
    Some(runs)
}

/// Where the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What the firmware calls it.
    pub name: String,
    /// What shows that it is no real one; nothing if nothing shows it.
    pub emulated: Option<String>,
}

/// The strings of a device tree's property.
pub fn strings(property: &[u8]) -> Vec<String> {
    property
        .split(|&byte| byte == 0)
        .filter(|text| !text.is_empty())
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// Who makes machines that are none, as firmware tells it.
const MAKERS: [&str; 7] = [
    "QEMU",
    "innotek",
    "VMware",
    "Xen",
    "Microsoft Corporation",
    "Bochs",
    "Parallels",
];

impl Machine {
    /// Finds out which it is.
    pub fn of(root: &Root) -> Self {
        let read = |path: &str| read_if_any(&root.path(path)).unwrap_or_default();
        Self::from(
            &read("/proc/device-tree/model"),
            &read("/proc/device-tree/compatible"),
            &read("/sys/class/dmi/id/sys_vendor"),
            &read("/sys/class/dmi/id/product_name"),
            &read("/proc/cpuinfo"),
        )
    }

    fn from(model: &[u8], compatible: &[u8], vendor: &[u8], product: &[u8], cpu: &[u8]) -> Self {
        let [vendor, product] = [vendor, product].map(|text| {
            let text = String::from_utf8_lossy(text);
            text.trim().to_owned()
        });
        let compatible = strings(compatible);
        let name = strings(model)
            .into_iter()
            .next()
            .or_else(|| (!product.is_empty()).then(|| format!("{vendor} {product}")))
            .unwrap_or_else(|| "unknown machine".to_owned());
        let cpu = String::from_utf8_lossy(cpu);
        let is_dummy = |name: &&String| name.starts_with("linux,dummy");
        let emulated = if let Some(name) = compatible.iter().find(is_dummy) {
            Some(format!("the device tree says {name}"))
        } else if MAKERS.iter().any(|maker| vendor.starts_with(maker)) {
            Some(format!("its maker is {vendor}"))
        } else if cpu.lines().any(|line| {
            line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor")
        }) {
            Some("the processor says that there is a hypervisor".to_owned())
        } else {
            None
        };
        Self { name, emulated }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_of_proc() {
        assert_eq!(mapped_pages("1234 100 90 1 0 33 0\n"), Some(1234));
        assert_eq!(mapped_pages(""), None);
        let meminfo = "MemTotal:  508 kB\nMemFree: 1 kB\nMemAvailable:     300 kB\n";
        assert_eq!(available_bytes(meminfo), Some(300 * 1024));
        assert_eq!(available_bytes("MemAvailable: x kB"), None);
    }

    #[test]
    fn what_bytes_touch() {
        assert_eq!(span(0x1000, 0x1000, 0x1000), (1, 1));
        assert_eq!(span(0x1ff0, 0x20, 0x1000), (1, 2));
        assert_eq!(span(0x1000, 0, 0x1000), (1, 0));
    }

    #[test]
    fn entries_of_pagemap() {
        let page = |present, pfn| Page { present, pfn };
        assert_eq!(Page::of(0), page(false, None));
        assert_eq!(Page::of(1 << 63), page(true, None));
        assert_eq!(Page::of((1 << 63) | 0x1234), page(true, Some(0x1234)));
        // Swapped out: what would be the number is something else.
        assert_eq!(Page::of((1 << 62) | 0x1234), page(false, None));
    }

    #[test]
    fn runs_of_pages() {
        let page = |pfn| Page { present: true, pfn };
        let hole = Page {
            present: false,
            pfn: None,
        };
        let run = |first, pfn, pages| Run { first, pfn, pages };
        let pages = [
            page(Some(5)),
            page(Some(6)),
            hole,
            page(Some(7)),
            page(Some(3)),
        ];
        assert_eq!(
            runs(&pages),
            Some(vec![run(0, 5, 2), run(3, 7, 1), run(4, 3, 1)])
        );
        assert_eq!(runs(&[hole]), Some(vec![]));
        assert_eq!(runs(&[page(None)]), None);
    }

    #[test]
    fn pages_of_this_process() {
        let Ok(pagemap) = Pagemap::open(&Root::new("/".into())) else {
            return;
        };
        let here = 7_u64;
        let pages = pagemap
            .pages((&raw const here).addr(), 8, crate::sys::page_size())
            .unwrap();
        assert!(pages.iter().all(|page| page.present));
    }

    #[test]
    fn machines() {
        let pi = Machine::from(
            b"Raspberry Pi 4 Model B\0",
            b"raspberrypi,4-model-b\0brcm,bcm2711\0",
            b"",
            b"",
            b"processor : 0\n",
        );
        assert_eq!(
            (pi.name.as_str(), pi.emulated),
            ("Raspberry Pi 4 Model B", None)
        );
        let virt = Machine::from(b"linux,dummy-virt\0", b"linux,dummy-virt\0", b"", b"", b"");
        assert!(virt.emulated.is_some());
        let q35 = Machine::from(
            b"",
            b"",
            b"QEMU\n",
            b"Standard PC (Q35 + ICH9, 2009)\n",
            b"",
        );
        assert_eq!(q35.name, "QEMU Standard PC (Q35 + ICH9, 2009)");
        assert!(q35.emulated.is_some());
        let cloud = Machine::from(b"", b"", b"Maker", b"x", b"flags\t: fpu hypervisor lahf\n");
        assert!(cloud.emulated.is_some());
        let pc = Machine::from(b"", b"", b"Maker", b"x", b"flags\t\t: fpu vme\n");
        assert_eq!(pc.emulated, None);
        assert_eq!(
            Machine::from(b"", b"", b"", b"", b"").name,
            "unknown machine"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\n)*", bytes: Vec<u8>) {
            let _ = mapped_pages(&text);
            let _ = available_bytes(&text);
            let _ = Machine::from(&bytes, &bytes, &bytes, &bytes, &bytes);
        }

        #[test]
        fn no_pages_panic(entries: Vec<u64>, address: usize, bytes: usize, page_size: usize) {
            let pages: Vec<_> = entries.into_iter().map(Page::of).collect();
            let present = pages.iter().filter(|page| page.present).count() as u64;
            if let Some(runs) = runs(&pages) {
                prop_assert_eq!(runs.iter().map(|run| run.pages).sum::<u64>(), present);
            }
            let _ = span(address, bytes, page_size);
        }
    }
}
