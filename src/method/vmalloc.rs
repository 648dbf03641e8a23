// SPDX-License-Identifier: GPL-2.0

//! `vmalloc` through the kernel crate's `VVec`: virtually contiguous pages, not zeroed.

use kernel::prelude::*;

use super::{
    Allocate,
    Request,
    Rules,
    Takes,
    Zeroes, //
};
use crate::rust::{
    bound::BoundDevice,
    buffer::VBuffer,
    gfp::Base,
    limits::TOTAL_RAM, //
};

pub(crate) struct Vmalloc;

impl Allocate for Vmalloc {
    const NAME: &'static str = "vmalloc";
    const RULES: Rules = Rules {
        default_size: 4096,
        limit: TOTAL_RAM,
        zeroes: Zeroes::Asked,
        contiguous: false,
        takes: Takes {
            bases: Base::CRATE_VMALLOC,
            modifiers: Takes::CRATE.modifiers,
        },
        sleeps: Some("the vmalloc family may sleep"),
    };
    type State = ();
    type Buffer = VBuffer;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        VBuffer::new(request.size, request.gfp.flags()?)
    }
}
