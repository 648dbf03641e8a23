// SPDX-License-Identifier: GPL-2.0

//! A fixed buffer in the module's image, which needs no allocator: one holder at a time.

use super::prelude::*;
use crate::rust::{
    fixed::{
        FixedBuffer, //
        BUFFER_BYTES,
    },
    limits::Limit,
    memory::Owner, //
};

pub(crate) struct Static;

impl Allocate for Static {
    const NAME: &'static str = "static";
    const RULES: Rules = Rules {
        default_size: BUFFER_BYTES,
        limit: BUFFER,
        zeroes: Zeroes::Never,
        contiguous: false,
        ..Rules::KMALLOC
    };
    type Allocation = FixedBuffer;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        let mut buffer = FixedBuffer::take(request.size)?;
        if request.gfp.has(Modifier::Zero) {
            buffer.bytes().fill(0);
        }
        Ok(buffer)
    }
}

const BUFFER: Limit = Limit::constant("buffer size", || BUFFER_BYTES);

impl Particulars for FixedBuffer {}
