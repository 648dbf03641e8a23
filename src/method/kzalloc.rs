// SPDX-License-Identifier: GPL-2.0

//! `kzalloc`, which is `kmalloc` with `__GFP_ZERO`: physically contiguous and zeroed.

use kernel::prelude::*;

use super::{
    kmalloc::Kmalloc,
    Allocate,
    Request,
    Rules,
    Zeroes, //
};
use crate::rust::{
    bound::BoundDevice,
    buffer::KBuffer,
    gfp::Modifier, //
};

pub(crate) struct Kzalloc;

impl Allocate for Kzalloc {
    const NAME: &'static str = "kzalloc";
    const RULES: Rules = Rules {
        zeroes: Zeroes::Always,
        ..Kmalloc::RULES
    };
    type State = ();
    type Buffer = KBuffer;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        KBuffer::new(request.size, request.gfp.with(Modifier::Zero).flags()?)
    }
}
