// SPDX-License-Identifier: GPL-2.0

//! `alloc_page`: one page of any zone, written through a temporary mapping.

use kernel::{
    fmt,
    page::PAGE_SIZE, //
};

use super::{
    prelude::*,
    Allocation, //
    Facts,
};
use crate::rust::{
    limits::Limit,
    memory::Run,
    page::HighPage,
    share::{
        Lent,
        Shared, //
    }, //
};

const PAGE: Limit = Limit::constant("PAGE_SIZE", || PAGE_SIZE);

pub(crate) struct Page;

impl Allocate for Page {
    const NAME: &'static str = "page";
    const RULES: Rules = Rules {
        default_size: PAGE_SIZE,
        limit: PAGE,
        own_pages: true,
        takes: Takes::ALL,
        ..Rules::KMALLOC
    };
    type Allocation = Shared<HighPage>;

    fn alloc(request: &Request) -> Result<Shared<HighPage>> {
        let mut page = HighPage::new(request.size, request.gfp)?;
        // Writes the poison, unless the page was zeroed.
        page.with_bytes(|_| ())?;
        Ok(Shared::new(page))
    }
}

impl Allocation for Shared<HighPage> {
    fn facts(&self) -> Facts {
        Facts {
            address: self.address(),
            size: self.size(),
            usable: PAGE_SIZE,
            dma_address: None,
        }
    }

    fn runs(&self, each: &mut dyn FnMut(Run)) {
        each(self.run());
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("mapping: kmap_local_page"));
    }

    // The driver has written to all of it.
    fn rest_is_zero(&self) -> bool {
        true
    }

    fn with_bytes(&mut self, work: &mut dyn FnMut(&mut [u8])) -> bool {
        self.alone()
            .is_some_and(|page| page.with_bytes(work).is_ok())
    }

    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        Shared::lend(self)
    }
}
