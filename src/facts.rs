// SPDX-License-Identifier: GPL-2.0

//! What is known of an allocation.

use crate::rust::{
    address::Address,
    dma::ShownDmaAddress,
    memory::{
        node_of,
        Memory,
        Run, //
    }, //
};

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

/// What was really got, to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    /// Where the CPU finds it.
    pub(crate) address: Address,
    /// The size asked for, in bytes.
    pub(crate) size: usize,
    /// The size got, in bytes.
    pub(crate) usable: usize,
    /// Where a device finds it.
    pub(crate) dma_address: Option<ShownDmaAddress>,
}

impl Facts {
    /// What is known of every memory.
    pub(crate) fn of(memory: &Memory) -> Self {
        Self {
            address: memory.address(),
            size: memory.size(),
            usable: memory.usable(),
            dma_address: None,
        }
    }
}
