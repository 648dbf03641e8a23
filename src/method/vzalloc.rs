// SPDX-License-Identifier: GPL-2.0

//! `vzalloc`, which is `vmalloc` with `__GFP_ZERO`: virtually contiguous and zeroed.

use kernel::prelude::*;

use super::{
    vmalloc::Vmalloc,
    Allocate,
    Request,
    Rules,
    Zeroes, //
};
use crate::rust::{
    bound::BoundDevice,
    buffer::VBuffer,
    gfp::Modifier, //
};

pub(crate) struct Vzalloc;

impl Allocate for Vzalloc {
    const NAME: &'static str = "vzalloc";
    const RULES: Rules = Rules {
        zeroes: Zeroes::Always,
        ..Vmalloc::RULES
    };
    type State = ();
    type Buffer = VBuffer;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        VBuffer::new(request.size, request.gfp.with(Modifier::Zero).flags()?)
    }
}
