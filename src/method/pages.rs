// SPDX-License-Identifier: GPL-2.0

//! `__get_free_pages`: 2^order pages that follow each other, the order derived from the size.

use kernel::{
    fmt,
    page::PAGE_SIZE, //
};

use super::prelude::*;
use crate::rust::{
    limits::MAX_PAGE_ORDER,
    raw,
    share::Shared, //
};

pub(crate) struct Pages;

impl Allocate for Pages {
    const NAME: &'static str = "pages";
    const RULES: Rules = Rules {
        default_size: 2 * PAGE_SIZE,
        limit: MAX_PAGE_ORDER,
        own_pages: true,
        takes: Takes {
            // Its pages need an address, which high memory does not have.
            bases: &[
                Base::Kernel,
                Base::Atomic,
                Base::Nowait,
                Base::Noio,
                Base::Nofs,
                Base::User,
                Base::Dma,
                Base::Dma32,
            ],
            modifiers: Modifier::ALL,
        },
        ..Rules::KMALLOC
    };
    type Allocation = Shared<raw::ContiguousPages>;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        raw::ContiguousPages::new(request.size, request.gfp).map(Shared::new)
    }
}

impl Particulars for raw::ContiguousPages {
    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("order: {}", self.order()));
    }
}
