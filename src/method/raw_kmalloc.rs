// SPDX-License-Identifier: GPL-2.0

//! The C function `kmalloc` itself: every flag that the slab allocator takes, at C's cost.

use kernel::prelude::*;

use super::{
    Allocate,
    Plain, //
};
use crate::{
    rules::{
        Request,
        Rules,
        Takes, //
    },
    rust::{
        bound::BoundDevice,
        limits::KMALLOC_MAX_SIZE,
        raw, //
    }, //
};

pub(crate) struct RawKmalloc;

impl Allocate for RawKmalloc {
    const NAME: &'static str = "raw_kmalloc";
    const RULES: Rules = Rules {
        default_size: 64,
        limit: KMALLOC_MAX_SIZE,
        zeroes: false,
        contiguous: true,
        takes: Takes::SLAB,
        sleeps: None,
    };
    type State = ();
    type Buffer = raw::RawKmalloc;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        raw::RawKmalloc::new(request.size, request.gfp)
    }
}

impl Plain for raw::RawKmalloc {}
