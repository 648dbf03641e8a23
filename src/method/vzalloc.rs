// SPDX-License-Identifier: GPL-2.0

//! `vzalloc`, which is `vmalloc` with `__GFP_ZERO`: virtually contiguous and zeroed.

use super::prelude::*;
use crate::rust::{
    buffer::VBuffer,
    share::Shared, //
};

pub(crate) struct Vzalloc;

impl Allocate for Vzalloc {
    const NAME: &'static str = "vzalloc";
    const RULES: Rules = Rules {
        zeroes: Zeroes::Always,
        ..Rules::VMALLOC
    };
    type Allocation = Shared<VBuffer>;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        let gfp = request.gfp.with(Modifier::Zero);
        VBuffer::new(request.size, gfp.flags()?).map(Shared::new)
    }
}
