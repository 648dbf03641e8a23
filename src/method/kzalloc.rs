// SPDX-License-Identifier: GPL-2.0

//! `kzalloc`, which is `kmalloc` with `__GFP_ZERO`: physically contiguous and zeroed.

use kernel::{
    alloc::flags::__GFP_ZERO,
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

use super::{
    kmalloc::Kmalloc,
    Allocate,
    Request,
    Rules, //
};
use crate::rust::buffer::KBuffer;

pub(crate) struct Kzalloc;

impl Allocate for Kzalloc {
    const NAME: &'static str = "kzalloc";
    const RULES: Rules = Rules {
        zeroes: true,
        ..Kmalloc::RULES
    };
    type State = ();
    type Buffer = KBuffer;

    fn setup(_dev: &Device<Bound>) -> Result {
        Ok(())
    }

    fn alloc(_state: &(), _dev: &Device<Bound>, request: &Request) -> Result<KBuffer> {
        KBuffer::new(request.size, request.gfp.flags() | __GFP_ZERO)
    }
}
