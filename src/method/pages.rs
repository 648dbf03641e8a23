// SPDX-License-Identifier: GPL-2.0

//! `__get_free_pages`: 2^order pages that follow each other, the order derived from the size.

use kernel::{
    fmt,
    page::PAGE_SIZE,
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
    gfp::{
        Base,
        Modifier, //
    },
    limits::MAX_PAGE_ORDER,
    raw, //
};

pub(crate) struct Pages;

impl Allocate for Pages {
    const NAME: &'static str = "pages";
    const RULES: Rules = Rules {
        default_size: 2 * PAGE_SIZE,
        limit: MAX_PAGE_ORDER,
        zeroes: Zeroes::Asked,
        contiguous: true,
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
        sleeps: None,
    };
    type State = ();
    type Buffer = raw::Pages;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        raw::Pages::new(request.size, request.gfp)
    }
}

impl Plain for raw::Pages {
    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("order: {}", self.order()));
    }
}
