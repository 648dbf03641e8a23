// SPDX-License-Identifier: GPL-2.0

//! `kvmalloc` through the kernel crate's `KVVec`: `kmalloc` first, `vmalloc` when that has none.

use kernel::{
    fmt,
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
    buffer::KVBuffer,
    gfp::Base,
    limits::KVMALLOC_MAX,
    memory::{
        Memory,
        Owner, //
    }, //
};

pub(crate) struct Kvmalloc;

impl Allocate for Kvmalloc {
    const NAME: &'static str = "kvmalloc";
    const RULES: Rules = Rules {
        default_size: 256 << 10,
        limit: KVMALLOC_MAX,
        zeroes: Zeroes::Asked,
        contiguous: false,
        takes: Takes {
            bases: Base::CRATE_VMALLOC,
            modifiers: Takes::CRATE.modifiers,
        },
        sleeps: Some("it may call vmalloc, which may sleep"),
    };
    type State = ();
    type Buffer = Either;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        KVBuffer::new(request.size, request.gfp.flags()?).map(Either)
    }
}

/// What `kvmalloc` returned, of the one kind or the other.
pub(crate) struct Either(KVBuffer);

impl Either {
    fn got(&self) -> &'static str {
        if self.0.memory().is_vmalloc() {
            "vmalloc"
        } else {
            "kmalloc"
        }
    }
}

impl Owner for Either {
    fn memory(&self) -> &Memory {
        self.0.memory()
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes()
    }
}

impl Plain for Either {
    fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("got {} memory", self.got()));
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("got: {}", self.got()));
    }
}
