// SPDX-License-Identifier: GPL-2.0

//! `kmalloc` through the kernel crate's `KVec`: physically contiguous, not zeroed.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

use super::{
    Allocate,
    Request,
    Rules, //
};
use crate::rust::{
    buffer::KBuffer,
    limits::KMALLOC_MAX_SIZE, //
};

pub(crate) struct Kmalloc;

impl Allocate for Kmalloc {
    const NAME: &'static str = "kmalloc";
    const RULES: Rules = Rules {
        default_size: 64,
        limit: KMALLOC_MAX_SIZE,
        zeroes: false,
    };
    type State = ();
    type Buffer = KBuffer;

    fn setup(_dev: &Device<Bound>) -> Result {
        Ok(())
    }

    fn alloc(_state: &(), _dev: &Device<Bound>, request: &Request) -> Result<KBuffer> {
        KBuffer::new(request.size, request.gfp.flags())
    }
}
