// SPDX-License-Identifier: GPL-2.0

//! `dma_pool_alloc`: a small aligned block of coherent memory.

use kernel::{
    c_str,
    fmt,
    sync::Arc, //
};

use super::{
    prelude::*,
    AllocateFrom, //
};
use crate::rust::{
    dma::ShownDmaAddress,
    dma_pool,
    limits::Limit, //
};

pub(crate) struct Dmapool;

impl AllocateFrom for Dmapool {
    const NAME: &'static str = "dmapool";
    const RULES: Rules = Rules {
        limit: BLOCK,
        dma: true,
        ..Rules::KMALLOC
    };
    // Where nothing does DMA, there is none, and no request gets here.
    type State<'bound> = Option<Arc<dma_pool::DmaPool<'bound>>>;
    type Allocation<'bound> = dma_pool::DmaBlock<'bound>;

    fn setup(devices: Devices<'_>) -> Result<Self::State<'_>> {
        let pool = |dev| dma_pool::DmaPool::new(c_str!("alloclab"), dev, BLOCKS);
        devices.dma.map(pool).transpose()
    }

    fn alloc<'bound>(
        pool: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        let pool = pool.as_ref().ok_or(ENODEV)?;
        dma_pool::DmaBlock::new(pool, request.size, request.gfp)
    }
}

const BLOCKS: dma_pool::Blocks = dma_pool::Blocks {
    bytes: 256,
    align: 64,
    boundary: 4096,
};

const BLOCK: Limit = Limit::constant("block size", || BLOCKS.bytes);

impl Particulars for dma_pool::DmaBlock<'_> {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        Some(self.dma_address())
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("block_size: {}", BLOCKS.bytes));
        each(fmt!("block_align: {}", BLOCKS.align));
        each(fmt!("boundary: {}", BLOCKS.boundary));
    }
}
