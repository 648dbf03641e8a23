// SPDX-License-Identifier: GPL-2.0

//! `alloclab user`: allocates in this process, and shows what that really did.

use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use crate::{
    args::{Method, User},
    failure::{Exit, Failure, Result},
    lab::{Root, read_if_any},
    process::{self, Page, Pagemap},
    size::Pages,
    sys::{self, Block},
};

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malloc => "malloc",
            Self::Calloc => "calloc",
            Self::Realloc => "realloc",
            Self::Mmap => "mmap",
        })
    }
}

/// Nanoseconds, as many as a `u64` has.
pub fn ns(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// What this process has of the machine's addresses, found out without allocating anything.
struct Space {
    statm: Option<File>,
}

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    /// Where the heap ends.
    heap_end: usize,
    /// Of all mappings together.
    mapped: Option<usize>,
}

impl Space {
    fn open(root: &Root) -> Self {
        Self {
            statm: File::open(root.path("/proc/self/statm")).ok(),
        }
    }

    fn now(&self) -> Sizes {
        let mapped = || {
            let mut text = [0; 128];
            let length = self.statm.as_ref()?.read_at(&mut text, 0).ok()?;
            let text = std::str::from_utf8(text.get(..length)?).ok()?;
            process::mapped_pages(text)?.checked_mul(sys::page_size())
        };
        Sizes {
            heap_end: sys::program_break(),
            mapped: mapped(),
        }
    }
}

/// What a call has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// By how many bytes brk(2) has moved the heap's end.
    heap: i128,
    /// How many bytes mmap(2) has mapped, or munmap(2) unmapped; nothing if /proc does not tell.
    mapped: Option<i128>,
}

impl Change {
    fn between(before: Sizes, after: Sizes) -> Self {
        let difference = |before: usize, after: usize| after as i128 - before as i128;
        let heap = difference(before.heap_end, after.heap_end);
        let mapped = || Some(difference(before.mapped?, after.mapped?) - heap);
        Self {
            heap,
            mapped: mapped(),
        }
    }
}

impl Change {
    /// What the call has asked of the kernel; nothing, if it has changed nothing.
    fn said(self, mapping: &str) -> Option<String> {
        let mut parts = Vec::new();
        if self.heap != 0 {
            parts.push(format!("brk: the heap's end moved by {} bytes", self.heap));
        }
        match self.mapped {
            Some(0) => (),
            Some(bytes) if bytes > 0 => parts.push(format!("{mapping}: {bytes} bytes mapped")),
            Some(bytes) => parts.push(format!("munmap: {} bytes unmapped", -bytes)),
            None => parts.push(format!("{mapping}: unknown: there is no /proc/self/statm")),
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// What changed from before a call to after it, and how long it took.
struct Measured<T> {
    result: T,
    change: Change,
    faults: u64,
    ns: u64,
}

fn measure<T>(space: &Space, call: impl FnOnce() -> T) -> Measured<T> {
    let (sizes, faults) = (space.now(), sys::minor_faults());
    let start = Instant::now();
    let result = call();
    let ns = ns(start.elapsed());
    Measured {
        result,
        faults: sys::minor_faults().saturating_sub(faults),
        change: Change::between(sizes, space.now()),
        ns,
    }
}

/// The byte that is written to a place, so that what was kept can be told from what was not.
fn pattern(at: usize) -> u8 {
    // 251 is a prime: no power of two of bytes repeats it.
    (at % 251) as u8
}

/// How many of the pages are in memory.
fn resident(pages: &io::Result<Vec<Page>>) -> String {
    match pages {
        Ok(pages) => {
            let present = pages.iter().filter(|page| page.present).count();
            format!("{present} of {} pages", pages.len())
        }
        Err(error) => format!("unknown: /proc/self/pagemap: {error}"),
    }
}

fn physical_runs(pages: &io::Result<Vec<Page>>) -> String {
    let Ok(pages) = pages else {
        return "unknown".to_owned();
    };
    match process::runs(pages) {
        None => "unknown: only root is told page frame numbers".to_owned(),
        Some(runs) => {
            let longest = runs.iter().map(|run| run.pages).max().unwrap_or(0);
            format!("{}, the longest of {longest} pages", runs.len())
        }
    }
}

/// Of so many pages it is looked whether they are zeroed.
const LOOKED_AT: usize = 1024;

/// One run of the command: what it says.
struct Report<'a> {
    root: &'a Root,
    arguments: &'a User,
    space: Space,
    text: String,
}

/// Refuses to touch more than there is: the kernel would end a process for it.
pub fn refuse_more_than_available(root: &Root, bytes: usize) -> Result {
    let meminfo = read_if_any(&root.path("/proc/meminfo")).unwrap_or_default();
    let Some(available) = process::available_bytes(&String::from_utf8_lossy(&meminfo)) else {
        return Ok(());
    };
    // As the module does; see doc/methods.md.
    let most = available / 4 * 3;
    if bytes as u64 > most {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "{bytes} bytes are not touched: at most {most} bytes now, or the kernel would end \
                 a process for want of memory"
            ),
        ));
    }
    Ok(())
}

/// Allocates as asked, without anything around it.
pub fn allocate(method: Method, size: usize) -> io::Result<Block> {
    match method {
        Method::Malloc | Method::Realloc => Block::malloc(size),
        Method::Calloc => Block::calloc(size),
        Method::Mmap => Block::mmap(size),
    }
}

/// Writes into each of the first `count` pages of the block.
pub fn touch(block: &mut Block, count: usize) {
    let page_size = sys::page_size();
    // The block need not begin with a page.
    let first = page_size - block.address() % page_size;
    let places = (0..1).chain((first..block.size()).step_by(page_size));
    places
        .take(count)
        .for_each(|at| block.write(at, pattern(at)));
}

impl Report<'_> {
    fn say(&mut self, key: &str, value: impl fmt::Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{key}: {value}");
    }

    fn pages(&self, block: &Block) -> io::Result<Vec<Page>> {
        Pagemap::open(self.root)?.pages(block.address(), block.size(), sys::page_size())
    }

    /// Says of a failed call that it failed.
    fn failed(&mut self, call: &str, size: usize, error: &io::Error) -> Failure {
        self.say("error", error);
        Failure::failed(format!("{call} of {size} bytes failed: {error}"))
    }

    fn allocated(&mut self, call: &str, block: &Block, change: Change, faults: u64, ns: u64) {
        self.say("address", format_args!("{:#x}", block.address()));
        self.say("usable", block.usable());
        let mapping = if call == "realloc" {
            "mmap or mremap"
        } else {
            "mmap"
        };
        let did = change.said(mapping);
        let did = did.unwrap_or_else(|| "no system call: the heap had room".to_owned());
        self.say(&format!("{call}_did"), did);
        self.say(&format!("{call}_faults"), faults);
        self.say(&format!("{call}_ns"), ns);
    }

    fn run(&mut self) -> Result {
        let User {
            method,
            size,
            to,
            touch,
            ..
        } = *self.arguments;
        let call = match method {
            Method::Realloc => "malloc".to_owned(),
            _ => method.to_string(),
        };
        self.say("method", method);
        self.say("size", size);
        self.say(
            "c_library",
            format_args!("{}, linked into this program", sys::c_library()),
        );

        let measured = measure(&self.space, || allocate(method, size));
        let block = match measured.result {
            Ok(block) => block,
            Err(error) => return Err(self.failed(&call, size, &error)),
        };
        self.allocated(&call, &block, measured.change, measured.faults, measured.ns);
        let block = match method {
            Method::Realloc => self.reallocate(block, to)?,
            _ => block,
        };
        let block = self.touch(block, touch)?;
        self.zeroed(&block);

        let call = if method == Method::Mmap {
            "munmap"
        } else {
            "free"
        };
        let measured = measure(&self.space, || drop(block));
        let did = measured.change.said("mmap");
        let did = did.unwrap_or_else(|| "no system call: the heap keeps it".to_owned());
        self.say(&format!("{call}_did"), did);
        self.say(&format!("{call}_ns"), measured.ns);
        Ok(())
    }

    /// Has the block grow or shrink, and looks whether the content was kept.
    fn reallocate(&mut self, mut block: Block, to: Option<usize>) -> Result<Block> {
        let old = block.size();
        let to = to.unwrap_or(old.saturating_mul(2));
        refuse_more_than_available(self.root, old)?;
        (0..old).for_each(|at| block.write(at, pattern(at)));
        let address = block.address();
        let is_kept = |block: &Block| {
            (0..old.min(block.size())).all(|at| block.read(at) == Some(pattern(at)))
        };

        self.say("to", to);
        let measured = measure(&self.space, || block.realloc(to));
        match measured.result {
            Ok(block) => {
                let moved = if block.address() == address {
                    "no"
                } else {
                    "yes"
                };
                self.allocated(
                    "realloc",
                    &block,
                    measured.change,
                    measured.faults,
                    measured.ns,
                );
                self.say("moved", moved);
                let kept = is_kept(&block);
                self.say("content_kept", if kept { "yes" } else { "no" });
                if !kept {
                    return Err(Failure::failed("realloc has changed the content"));
                }
                Ok(block)
            }
            Err((block, error)) => {
                let failure = self.failed("realloc", to, &error);
                let kept = is_kept(&block) && block.address() == address;
                self.say(
                    "old_block",
                    if kept {
                        "kept, with its content"
                    } else {
                        "damaged"
                    },
                );
                Err(failure)
            }
        }
    }

    fn touch(&mut self, mut block: Block, wanted: Option<Pages>) -> Result<Block> {
        let page_size = sys::page_size();
        let (_, pages) = process::span(block.address(), block.size(), page_size);
        let count = match wanted {
            None => 0,
            Some(Pages::All) => pages,
            Some(Pages::First(count)) => count.min(pages),
        };
        refuse_more_than_available(self.root, count.saturating_mul(page_size))?;
        let before = resident(&self.pages(&block));
        self.say("resident_before", before);

        let measured = measure(&self.space, || touch(&mut block, count));
        self.say("touched", format_args!("{count} of {pages} pages"));
        self.say("touch_faults", measured.faults);
        self.say("touch_ns", measured.ns);
        let after = self.pages(&block);
        self.say("resident_after", resident(&after));
        self.say("physical_runs", physical_runs(&after));
        Ok(block)
    }

    /// Says whether what was not touched reads as zeros, where the method says so.
    fn zeroed(&mut self, block: &Block) {
        if !matches!(self.arguments.method, Method::Calloc | Method::Mmap) {
            self.say("zeroed", "no");
            return;
        }
        // Of each page one byte, which `touch` does not write to. Reading gives a page the
        // kernel's page of zeros, and costs page tables.
        let zeroed = (1..block.size())
            .step_by(sys::page_size())
            .take(LOOKED_AT)
            .all(|at| block.read(at) == Some(0));
        self.say("zeroed", if zeroed { "yes" } else { "no: a byte is not 0" });
    }
}

/// Carries out the command.
pub fn run(root: &Root, arguments: &User, out: &mut dyn Write) -> Result {
    if arguments.to.is_some() && arguments.method != Method::Realloc {
        return Err(Failure::usage("--to is for realloc alone"));
    }
    if arguments.size == 0 || arguments.to == Some(0) {
        return Err(Failure::usage("a size is at least 1 byte"));
    }
    let mut report = Report {
        root,
        arguments,
        space: Space::open(root),
        // So that it does not grow while something is measured.
        text: String::with_capacity(4096),
    };
    let result = report.run();
    out.write_all(report.text.as_bytes())?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_live;

    fn user(
        method: Method,
        size: usize,
        to: Option<usize>,
        touch: Option<Pages>,
    ) -> (Result, String) {
        let mut out = Vec::new();
        let arguments = User {
            method,
            size,
            to,
            touch,
        };
        let result = run(&Root::new("/".into()), &arguments, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    fn value<'a>(text: &'a str, key: &str) -> &'a str {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("{key}: {text}"))
    }

    #[test]
    fn a_large_block_is_mapped() {
        let (result, text) = user(Method::Malloc, 16 << 20, None, Some(Pages::First(3)));
        assert_eq!(result, Ok(()));
        assert!(value(&text, "malloc_did").contains("mmap: "), "{text}");
        assert!(value(&text, "touched").starts_with("3 of 4097"), "{text}");
        assert!(value(&text, "free_did").contains("munmap: "), "{text}");
        assert!(parse_live(&text).is_ok());
    }

    #[test]
    fn mmap_gives_pages_when_they_are_touched() {
        let pages = 16;
        let (result, text) = user(
            Method::Mmap,
            pages * sys::page_size(),
            None,
            Some(Pages::All),
        );
        assert_eq!(result, Ok(()));
        assert!(
            value(&text, "resident_before").starts_with("0 of 16"),
            "{text}"
        );
        assert!(
            value(&text, "resident_after").starts_with("16 of 16"),
            "{text}"
        );
        assert_eq!(value(&text, "zeroed"), "yes");
    }

    #[test]
    fn realloc_keeps_the_content() {
        let (result, text) = user(Method::Realloc, 1000, Some(1 << 20), None);
        assert_eq!(result, Ok(()));
        assert_eq!(value(&text, "content_kept"), "yes");
        let (result, text) = user(Method::Realloc, 5000, Some(10), None);
        assert_eq!(result, Ok(()));
        assert_eq!(value(&text, "content_kept"), "yes");
    }

    #[test]
    fn the_old_block_stays_when_realloc_fails() {
        let (result, text) = user(Method::Realloc, 1000, Some(usize::MAX / 2), None);
        assert_eq!(result.unwrap_err().exit, Exit::Failed);
        assert_eq!(value(&text, "old_block"), "kept, with its content");
    }

    #[test]
    fn what_there_is_not_fails() {
        for method in [Method::Malloc, Method::Calloc, Method::Mmap] {
            let (result, text) = user(method, usize::MAX / 2, None, None);
            let failure = result.unwrap_err();
            assert_eq!(failure.exit, Exit::Failed);
            assert!(
                failure.text.starts_with(&format!("{method} of ")),
                "{failure:?}"
            );
            assert!(value(&text, "error").contains("memory"), "{text}");
        }
    }

    #[test]
    fn no_more_is_touched_than_there_is() {
        let root = Root::new("/".into());
        let failure = refuse_more_than_available(&root, usize::MAX).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(refuse_more_than_available(&root, 1), Ok(()));
    }

    #[test]
    fn arguments_that_do_not_fit() {
        for (method, size, to) in [
            (Method::Malloc, 1, Some(2)),
            (Method::Malloc, 0, None),
            (Method::Realloc, 1, Some(0)),
        ] {
            assert_eq!(
                user(method, size, to, None).0.unwrap_err().exit,
                Exit::Usage
            );
        }
    }

    #[test]
    fn changes() {
        let sizes = |heap_end, mapped| Sizes { heap_end, mapped };
        let change = |before, after| Change::between(before, after).said("mmap");
        let before = sizes(1000, Some(5000));
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(change(before, before), None);
        for (after, text) in [
            (
                sizes(1100, Some(5100)),
                "brk: the heap's end moved by 100 bytes",
            ),
            (sizes(1000, Some(5100)), "mmap: 100 bytes mapped"),
            (sizes(1000, Some(4000)), "munmap: 1000 bytes unmapped"),
            (
                sizes(900, Some(5000)),
                "brk: the heap's end moved by -100 bytes, mmap: 100 bytes mapped",
            ),
        ] {
            assert_eq!(change(before, after), said(text));
        }
        assert!(change(before, sizes(1000, None)).is_some_and(|text| text.contains("unknown")));
    }
}
