// SPDX-License-Identifier: GPL-2.0

//! `dma_alloc_coherent`: memory that the CPU and a device see alike, always zeroed.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

use super::{
    Allocate,
    Facts,
    Held,
    Request,
    Rules, //
};
use crate::rust::{
    dma::CoherentBuffer,
    limits::MAX_PAGE_ORDER, //
};

pub(crate) struct Coherent;

impl Allocate for Coherent {
    const NAME: &'static str = "coherent";
    const RULES: Rules = Rules {
        default_size: 1024,
        limit: MAX_PAGE_ORDER,
        zeroes: true,
    };
    type State = ();
    type Buffer = CoherentBuffer;

    fn setup(_dev: &Device<Bound>) -> Result {
        Ok(())
    }

    fn alloc(_state: &(), dev: &Device<Bound>, request: &Request) -> Result<CoherentBuffer> {
        CoherentBuffer::new(dev, request.size, request.gfp.flags())
    }
}

impl Held for CoherentBuffer {
    fn facts(&self) -> Facts {
        Facts {
            address: self.address(),
            size: self.size(),
            dma_address: Some(self.dma_address()),
        }
    }

    fn bytes(&mut self) -> Option<&mut [u8]> {
        Some(self.bytes())
    }
}
