// SPDX-License-Identifier: GPL-2.0

//! What an allocation really is, as the kernel log and the `live` file show it.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    facts::{
        Facts,
        Layout, //
    },
    method::Held, //
};

/// Finds out how the pages of an allocation lie in physical memory. May sleep.
pub(crate) fn layout(held: &impl Held) -> Layout {
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
