// SPDX-License-Identifier: GPL-2.0

//! `kmem_cache_alloc`: an object of a cache of our own, with a constructor.

use kernel::{
    fmt,
    prelude::*,
    str::CString,
    sync::Arc, //
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
    gfp::{
        Base,
        Modifier, //
    },
    limits::Limit,
    slab, //
};

pub(crate) struct Slab;

impl Allocate for Slab {
    const NAME: &'static str = "slab";
    const RULES: Rules = Rules {
        default_size: 128,
        limit: OBJECT,
        zeroes: Zeroes::Never,
        contiguous: true,
        takes: Takes {
            bases: &[
                Base::Kernel,
                Base::Atomic,
                Base::Nowait,
                Base::Noio,
                Base::Nofs,
                Base::User,
            ],
            // Without zeroing: it would undo what the constructor did.
            modifiers: &[
                Modifier::Nowarn,
                Modifier::Noretry,
                Modifier::RetryMayfail,
                Modifier::Nofail,
                Modifier::High,
                Modifier::Thisnode,
                Modifier::Account,
            ],
        },
        sleeps: None,
    };
    type State = Arc<slab::Cache>;
    type Buffer = slab::Object;

    fn setup(dev: &BoundDevice) -> Result<Self::State> {
        slab::Cache::new(CString::try_from_fmt(fmt!("alloclab-{}", dev.name()))?)
    }

    fn alloc(cache: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        slab::Object::new(cache, request.size, request.gfp)
    }
}

const OBJECT: Limit = Limit::constant("object size", || slab::OBJECT_BYTES);

impl Plain for slab::Object {
    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("cache: {}", self.cache().name()));
        each(fmt!("object_size: {}", slab::OBJECT_BYTES));
        each(fmt!("object_align: {}", slab::OBJECT_ALIGN));
        each(fmt!("constructor: fills with {:#04x}", slab::CONSTRUCTED));
    }
}
