// SPDX-License-Identifier: GPL-2.0

//! `vmalloc` through the kernel crate's `VVec`: virtually contiguous pages, not zeroed.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

use super::{
    Allocate,
    Request,
    Rules, //
};
use crate::rust::{
    buffer::VBuffer,
    limits::TOTAL_RAM, //
};

pub(crate) struct Vmalloc;

impl Allocate for Vmalloc {
    const NAME: &'static str = "vmalloc";
    const RULES: Rules = Rules {
        default_size: 4096,
        limit: TOTAL_RAM,
        zeroes: false,
    };
    type State = ();
    type Buffer = VBuffer;

    fn setup(_dev: &Device<Bound>) -> Result {
        Ok(())
    }

    fn alloc(_state: &(), _dev: &Device<Bound>, request: &Request) -> Result<VBuffer> {
        VBuffer::new(request.size, request.gfp.flags())
    }
}
