// SPDX-License-Identifier: GPL-2.0

//! `kmem_cache_alloc`: an object of a cache of our own, with a constructor.

use kernel::{
    fmt,
    str::CString,
    sync::Arc, //
};

use super::{
    prelude::*,
    AllocateFrom, //
};
use crate::rust::{
    limits::Limit,
    slab::{
        self,
        ObjectType, //
    }, //
};

pub(crate) struct Slab;

impl AllocateFrom for Slab {
    const NAME: &'static str = "slab";
    const RULES: Rules = Rules {
        default_size: 128,
        limit: OBJECT,
        zeroes: Zeroes::Never,
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
        ..Rules::KMALLOC
    };
    type State<'bound> = Arc<slab::Cache<Filled>>;
    type Allocation<'bound> = slab::Object<Filled>;

    fn setup(devices: Devices<'_>) -> Result<Self::State<'_>> {
        slab::Cache::new(CString::try_from_fmt(fmt!(
            "alloclab-{}",
            devices.own.name()
        ))?)
    }

    fn alloc<'bound>(
        cache: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        slab::Object::new(cache, request.size, request.gfp)
    }
}

/// The objects: what the constructor has filled.
pub(crate) struct Filled;

impl Filled {
    /// What the constructor fills them with.
    pub(crate) const BYTE: u8 = 0xc5;
}

impl ObjectType for Filled {
    const BYTES: usize = 256;
    const ALIGN: usize = 64;

    fn construct(object: &mut [u8]) {
        object.fill(Self::BYTE);
    }
}

const OBJECT: Limit = Limit::constant("object size", || Filled::BYTES);

impl Particulars for slab::Object<Filled> {
    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("cache: {}", self.cache().name()));
        each(fmt!("object_size: {}", Filled::BYTES));
        each(fmt!("object_align: {}", Filled::ALIGN));
        each(fmt!("constructor: fills with {:#04x}", Filled::BYTE));
    }
}
