// SPDX-License-Identifier: GPL-2.0

//! A fixed buffer in the module's image, which needs no allocator: one holder at a time.

use kernel::prelude::*;

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
    fixed::{
        FixedBuffer, //
        BUFFER_BYTES,
    },
    gfp::Modifier,
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
        takes: Takes::CRATE,
        sleeps: None,
    };
    type State = ();
    type Buffer = FixedBuffer;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        let mut buffer = FixedBuffer::take(request.size)?;
        if request.gfp.has(Modifier::Zero) {
            buffer.bytes().fill(0);
        }
        Ok(buffer)
    }
}

const BUFFER: Limit = Limit::constant("buffer size", || BUFFER_BYTES);

impl Plain for FixedBuffer {}
