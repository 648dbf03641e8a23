// SPDX-License-Identifier: GPL-2.0

//! What came of it: what is known of an allocation, how its pages lie, and the line that the
//! kernel log gets.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    method::{
        Allocation,
        Ended,
        Facts,
        Method,
        Reason, //
    },
    rust::{
        decimal::Decimal,
        errno::Errno,
        memory::{
            node_of,
            Run, //
        }, //
    }, //
};

/// What happened, shown as a line of the kernel log.
pub(crate) enum Event {
    Allocated {
        method: Method,
        facts: Facts,
        layout: Layout,
        ns: u64,
        why: Reason,
    },
    Freed {
        method: Method,
        facts: Facts,
        ended: Ended,
        ns: u64,
        why: Reason,
    },
    Failed {
        method: Method,
        size: usize,
        error: Error,
        /// For how many bytes there is room, where there was too little to try.
        most: Option<usize>,
        why: Reason,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocated {
                method,
                facts,
                layout,
                ns,
                why,
            } => {
                f.write_fmt(fmt!("{}: allocated {}", method.name(), facts.for_log()))?;
                if let Some(dma_address) = facts.dma_address {
                    f.write_fmt(fmt!(", dma {dma_address},"))?;
                }
                let (ns, layout) = (Decimal(*ns), layout.for_log());
                f.write_fmt(fmt!(" in {ns} ns ({why}){layout}"))
            }
            Self::Freed {
                method,
                facts,
                ended: Ended::Freed,
                ns,
                why,
            } => f.write_fmt(fmt!(
                "{}: freed {} in {} ns ({why})",
                method.name(),
                facts.for_log(),
                Decimal(*ns)
            )),
            Self::Freed {
                method,
                facts,
                ended: Ended::Left,
                why,
                ..
            } => f.write_fmt(fmt!(
                "{}: left {} to the device, which frees it ({why})",
                method.name(),
                facts.for_log()
            )),
            Self::Failed {
                method,
                size,
                error,
                most,
                why,
            } => {
                f.write_fmt(fmt!(
                    "{}: allocation of {size} bytes failed: {} ({why})",
                    method.name(),
                    Errno(*error)
                ))?;
                most.map_or(Ok(()), |most| {
                    f.write_fmt(fmt!(", not tried: at most {most} bytes now"))
                })
            }
        }
    }
}

/// How the pages of an allocation lie in physical memory.
#[derive(Clone, Copy, Default)]
pub(crate) struct Layout {
    /// How many pages it touches.
    pub(crate) pages: usize,
    /// In how many runs of pages that follow each other.
    pub(crate) runs: usize,
    /// The pages of the longest run.
    pub(crate) longest: usize,
    /// The NUMA node of the first page, where the page has one.
    pub(crate) node: Option<u32>,
}

impl Layout {
    /// Takes in the next run.
    pub(crate) fn add(&mut self, run: Run) {
        if self.runs == 0 {
            self.node = node_of(run.pfn);
        }
        self.pages += run.pages;
        self.runs += 1;
        self.longest = self.longest.max(run.pages);
    }
}

/// Finds out how the pages of an allocation lie in physical memory. May sleep.
pub(crate) fn layout(held: &impl Allocation) -> Layout {
    let mut layout = Layout::default();
    held.runs(&mut |run| layout.add(run));
    layout
}

impl Facts {
    /// Shows size and place for the kernel log: the virtual address is hashed.
    pub(crate) fn for_log(&self) -> impl fmt::Display + '_ {
        ForLog(self)
    }

    /// Shows `key: value` lines for a file that root reads, in the reader's context.
    pub(crate) fn for_root(&self) -> impl fmt::Display + '_ {
        ForRoot(self)
    }
}

struct ForLog<'a>(&'a Facts);

impl fmt::Display for ForLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { address, size, .. } = self.0;
        f.write_fmt(fmt!("{size} bytes at {}", address.hashed()))
    }
}

struct ForRoot<'a>(&'a Facts);

impl fmt::Display for ForRoot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts {
            address,
            size,
            usable,
            dma_address,
        } = self.0;
        let slack = usable.saturating_sub(*size);
        // The alignment tells of the address too, and is 0 with it.
        let address = address.disclosed();

        f.write_fmt(fmt!("size: {size}\nusable: {usable}\nslack: {slack}\n"))?;
        f.write_fmt(fmt!("address: {}\n", address.restricted()))?;
        f.write_fmt(fmt!("alignment: {}\n", address.alignment()))?;
        if let Some(dma_address) = dma_address {
            f.write_fmt(fmt!("dma: {dma_address}\n"))?;
        }
        Ok(())
    }
}

impl Layout {
    /// Shows what a line of the kernel log gains where there is more than a page.
    pub(crate) fn for_log(&self) -> impl fmt::Display + '_ {
        LayoutForLog(self)
    }
}

struct LayoutForLog<'a>(&'a Layout);

impl fmt::Display for LayoutForLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { pages, runs, .. } = self.0;
        if *pages > 1 {
            f.write_fmt(fmt!(", {pages} pages in {runs} runs"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Layout {
    /// Shows `key: value` lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pages,
            runs,
            longest,
            node,
        } = self;
        if *pages == 0 {
            return Ok(());
        }

        let contiguous = if *runs == 1 { "yes" } else { "no" };
        f.write_fmt(fmt!(
            "pages: {pages}\nruns: {runs}\nlongest_run: {longest}\n"
        ))?;
        f.write_fmt(fmt!("contiguous: {contiguous}\n"))?;
        if let Some(node) = node {
            f.write_fmt(fmt!("node: {node}\n"))?;
        }
        Ok(())
    }
}
