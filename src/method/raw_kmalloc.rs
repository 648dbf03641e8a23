// SPDX-License-Identifier: GPL-2.0

//! The C function `kmalloc` itself: every flag that the slab allocator takes, at C's cost.

use kernel::page::PAGE_SIZE;

use super::{
    prelude::*,
    Objection, //
};
use crate::rust::raw;

pub(crate) struct RawKmalloc;

impl Allocate for RawKmalloc {
    const NAME: &'static str = "raw_kmalloc";
    const RULES: Rules = Rules {
        takes: Takes::SLAB,
        ..Rules::KMALLOC
    };
    type Allocation = raw::KmallocBlock;

    fn check(request: &Request) -> Result<(), Objection> {
        match Self::RULES.objection(request) {
            Some(objection) => Err(objection),
            None if request.gfp.has(Modifier::Nofail) && request.size > NOFAIL_BYTES => {
                Err(Objection::Together(
                    "nofail is for at most half a page of kmalloc, which debugging may make two",
                ))
            }
            None => Ok(()),
        }
    }

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        raw::KmallocBlock::new(request.size, request.gfp)
    }
}

/// The most bytes that `kmalloc` looks for until there are any.
///
/// Slab debugging adds a red zone as large as the block on its left, and more on its right: of a
/// larger block that may make more than two pages, of which 6.18 warns.
const NOFAIL_BYTES: usize = PAGE_SIZE / 2;

impl Particulars for raw::KmallocBlock {}
