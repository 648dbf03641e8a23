// SPDX-License-Identifier: GPL-2.0

//! `vmalloc` through the kernel crate's `VVec`: virtually contiguous pages, not zeroed.

use super::prelude::*;
use crate::rust::{
    buffer::VBuffer,
    share::Shared, //
};

pub(crate) struct Vmalloc;

impl Allocate for Vmalloc {
    const NAME: &'static str = "vmalloc";
    const RULES: Rules = Rules::VMALLOC;
    type Allocation = Shared<VBuffer>;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        VBuffer::new(request.size, request.gfp.flags()?).map(Shared::new)
    }
}
