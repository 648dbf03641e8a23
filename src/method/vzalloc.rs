// SPDX-License-Identifier: GPL-2.0

//! `vzalloc`, which is `vmalloc` with `__GFP_ZERO`: virtually contiguous and zeroed.

use super::prelude::*;
use crate::rust::buffer::VBuffer;

pub(crate) struct Vzalloc;

impl Allocate for Vzalloc {
    const NAME: &'static str = "vzalloc";
    const RULES: Rules = Rules {
        zeroes: Zeroes::Always,
        ..Rules::VMALLOC
    };
    type Allocation = VBuffer;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        VBuffer::new(request.size, request.gfp.with(Modifier::Zero).flags()?)
    }
}
