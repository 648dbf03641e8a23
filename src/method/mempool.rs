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
    type State = Arc<mempool::Pool>;
    type Allocation = mempool::Element;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        mempool::Pool::new()
    }

    fn alloc(
        pool: &Self::State,
        _dev: &BoundDevice,
        request: &Request,
    ) -> Result<Self::Allocation> {
        mempool::Element::new(pool, request.size, request.gfp)
    }
}

const ELEMENT: Limit = Limit::constant("element size", || mempool::ELEMENT_BYTES);

impl Particulars for mempool::Element {
    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("element_size: {}", mempool::ELEMENT_BYTES));
        each(fmt!(
            "reserve: {} of {}",
            self.pool().reserve(),
            mempool::RESERVE
        ));
    }
}
