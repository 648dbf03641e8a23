// SPDX-License-Identifier: GPL-2.0

//! `kvmalloc` through the kernel crate's `KVVec`: `kmalloc` first, `vmalloc` when that has none.

use kernel::fmt;

use super::prelude::*;
use crate::rust::{
    buffer::KVBuffer,
    limits::KVMALLOC_MAX,
    memory::{
        Memory,
        Owner, //
    },
    share::{
        Lent,
        Shared, //
    }, //
};

pub(crate) struct Kvmalloc;

impl Allocate for Kvmalloc {
    const NAME: &'static str = "kvmalloc";
    const RULES: Rules = Rules {
        default_size: 256 << 10,
        limit: KVMALLOC_MAX,
        sleeps: Some("it may call vmalloc, which may sleep"),
        ..Rules::VMALLOC
    };
    type Allocation = Either;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        KVBuffer::new(request.size, request.gfp.flags()?).map(|buffer| Either(Shared::new(buffer)))
    }
}

/// What `kvmalloc` returned, of the one kind or the other.
pub(crate) struct Either(Shared<KVBuffer>);

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

impl Particulars for Either {
    fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("got {} memory", self.got()));
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("got: {}", self.got()));
    }

    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        self.0.lend()
    }
}
