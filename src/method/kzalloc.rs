// SPDX-License-Identifier: GPL-2.0

//! `kzalloc`, which is `kmalloc` with `__GFP_ZERO`: physically contiguous and zeroed.

use super::prelude::*;
use crate::rust::buffer::KBuffer;

pub(crate) struct Kzalloc;

impl Allocate for Kzalloc {
    const NAME: &'static str = "kzalloc";
    const RULES: Rules = Rules {
        zeroes: Zeroes::Always,
        ..Rules::KMALLOC
    };
    type Allocation = KBuffer;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        KBuffer::new(request.size, request.gfp.with(Modifier::Zero).flags()?)
    }
}
