// SPDX-License-Identifier: GPL-2.0

//! `mempool_alloc`: an element of a pool that keeps some in reserve.

use kernel::{
    fmt,
    sync::Arc, //
};

use super::{
    prelude::*,
    AllocateFrom, //
};
use crate::rust::{
    limits::Limit,
    mempool, //
};

pub(crate) struct Mempool;

impl AllocateFrom for Mempool {
    const NAME: &'static str = "mempool";
    const RULES: Rules = Rules {
        default_size: 256,
        limit: ELEMENT,
        takes: Takes {
            bases: &[
                Base::Kernel,
                Base::Atomic,
                Base::Nowait,
                Base::Noio,
                Base::Nofs,
            ],
            // An element from the reserve is as it was left: it cannot be zeroed.
            modifiers: &[Modifier::Nowarn, Modifier::High, Modifier::Account],
        },
        ..Rules::KMALLOC
    };
    type State<'bound> = Arc<mempool::Pool>;
    type Allocation<'bound> = mempool::Element;

    fn setup(_devices: Devices<'_>) -> Result<Self::State<'_>> {
        mempool::Pool::new(ELEMENT_BYTES, RESERVE)
    }

    fn alloc<'bound>(
        pool: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        mempool::Element::new(pool, request.size, request.gfp)
    }
}

/// The size of an element, in bytes.
const ELEMENT_BYTES: usize = 1024;

/// How many elements are kept in reserve.
pub(crate) const RESERVE: u16 = 4;

const ELEMENT: Limit = Limit::constant("element size", || ELEMENT_BYTES);

impl Particulars for mempool::Element {
    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("element_size: {}", ELEMENT_BYTES));
        each(fmt!("reserve: {} of {}", self.pool().reserve(), RESERVE));
    }
}
