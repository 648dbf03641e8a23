// SPDX-License-Identifier: GPL-2.0

//! `kmalloc` through the kernel crate's `KVec`: physically contiguous, not zeroed.

use kernel::alloc::Allocator;

use super::prelude::*;
use crate::rust::buffer::{
    Buffer,
    KBuffer, //
};

pub(crate) struct Kmalloc;

impl Allocate for Kmalloc {
    const NAME: &'static str = "kmalloc";
    const RULES: Rules = Rules::KMALLOC;
    type Allocation = KBuffer;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        KBuffer::new(request.size, request.gfp.flags()?)
    }
}

impl<A: Allocator> Particulars for Buffer<A> {}
