// SPDX-License-Identifier: GPL-2.0

//! `dma_alloc_coherent`: memory that the CPU and a device see alike, always zeroed.

use super::prelude::*;
use crate::rust::{
    dma::{
        CoherentBuffer,
        ShownDmaAddress, //
    },
    limits::MAX_PAGE_ORDER, //
};

pub(crate) struct Coherent;

impl Allocate for Coherent {
    const NAME: &'static str = "coherent";
    const RULES: Rules = Rules {
        default_size: 1024,
        limit: MAX_PAGE_ORDER,
        zeroes: Zeroes::Always,
        ..Rules::KMALLOC
    };
    type Allocation = CoherentBuffer;

    fn alloc(dev: &BoundDevice, request: &Request) -> Result<Self::Allocation> {
        CoherentBuffer::new(dev, request.size, request.gfp)
    }
}

impl Particulars for CoherentBuffer {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        Some(self.dma_address())
    }
}
