// SPDX-License-Identifier: GPL-2.0

//! `kmalloc` through the kernel crate's `KVec`: physically contiguous, not zeroed.

use kernel::{
    alloc::Allocator,
    prelude::*, //
};

use super::{
    Allocate,
    Plain,
    Request,
    Rules,
    Takes,
    Zeroes, //
};
use crate::rust::{
    bound::BoundDevice,
    buffer::{
        Buffer,
        KBuffer, //
    },
    limits::KMALLOC_MAX_SIZE, //
};

pub(crate) struct Kmalloc;

impl Allocate for Kmalloc {
    const NAME: &'static str = "kmalloc";
    const RULES: Rules = Rules {
        default_size: 64,
        limit: KMALLOC_MAX_SIZE,
        zeroes: Zeroes::Asked,
        contiguous: true,
        takes: Takes::CRATE,
        sleeps: None,
    };
    type State = ();
    type Buffer = KBuffer;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        KBuffer::new(request.size, request.gfp.flags()?)
    }
}

impl<A: Allocator> Plain for Buffer<A> {}
