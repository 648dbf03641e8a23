// SPDX-License-Identifier: GPL-2.0

//! `dma_pool_alloc`: a small aligned block of coherent memory.

use kernel::{
    c_str,
    fmt,
    prelude::*,
    sync::Arc, //
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
    dma::ShownDmaAddress,
    dma_pool,
    limits::Limit, //
};

pub(crate) struct Dmapool;

impl Allocate for Dmapool {
    const NAME: &'static str = "dmapool";
    const RULES: Rules = Rules {
        default_size: 64,
        limit: BLOCK,
        zeroes: Zeroes::Asked,
        contiguous: true,
        takes: Takes::CRATE,
        sleeps: None,
    };
    type State = Arc<dma_pool::DmaPool>;
    type Buffer = dma_pool::DmaBlock;

    fn setup(dev: &BoundDevice) -> Result<Self::State> {
        dma_pool::DmaPool::new(c_str!("alloclab"), dev)
    }

    fn alloc(pool: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        dma_pool::DmaBlock::new(pool, request.size, request.gfp)
    }
}

const BLOCK: Limit = Limit::constant("block size", || dma_pool::BLOCK_BYTES);

impl Plain for dma_pool::DmaBlock {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        Some(self.dma_address())
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("block_size: {}", dma_pool::BLOCK_BYTES));
        each(fmt!("block_align: {}", dma_pool::BLOCK_ALIGN));
        each(fmt!("boundary: {}", dma_pool::BOUNDARY));
    }
}
