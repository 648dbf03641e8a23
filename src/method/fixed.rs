// SPDX-License-Identifier: GPL-2.0

//! A fixed buffer in the module's image, which needs no allocator: one holder at a time.

use super::prelude::*;
use crate::rust::{
    fixed::{
        FixedBuffer,
        Taken, //
    },
    limits::Limit,
    memory::Owner, //
};

pub(crate) struct Static;

/// The size of the buffer, in bytes.
const BYTES: usize = 2048;

static BUFFER: FixedBuffer<BYTES> = FixedBuffer::new();

impl Allocate for Static {
    const NAME: &'static str = "static";
    const RULES: Rules = Rules {
        default_size: BYTES,
        limit: SIZE,
        zeroes: Zeroes::Never,
        contiguous: false,
        ..Rules::KMALLOC
    };
    type Allocation = Taken;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        let mut buffer = BUFFER.take(request.size)?;
        if request.gfp.has(Modifier::Zero) {
            buffer.bytes().fill(0);
        }
        Ok(buffer)
    }
}

const SIZE: Limit = Limit::constant("buffer size", || BYTES);

impl Particulars for Taken {}
