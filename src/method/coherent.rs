// SPDX-License-Identifier: GPL-2.0

//! `dma_alloc_coherent`: memory that the CPU and a device see alike, always zeroed.

use kernel::prelude::*;

use super::{
    Allocate,
    Plain,
    Request,
    Rules,
    Takes,
    Zeroes, //
};
use crate::rust::{
    bound::BoundDevice,
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
        contiguous: true,
        takes: Takes::CRATE,
        sleeps: None,
    };
    type State = ();
    type Buffer = CoherentBuffer;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        CoherentBuffer::new(dev, request.size, request.gfp)
    }
}

impl Plain for CoherentBuffer {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        Some(self.dma_address())
    }
}
