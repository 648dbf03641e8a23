// SPDX-License-Identifier: GPL-2.0

//! `dma_alloc_coherent`: memory that the CPU and a device see alike, always zeroed.

use super::{
    prelude::*,
    AllocateFrom, //
};
use crate::rust::{
    bound::BoundDevice,
    dma::{
        CoherentBuffer,
        ShownDmaAddress, //
    },
    limits::MAX_PAGE_ORDER,
    share::Shared, //
};

pub(crate) struct Coherent;

impl AllocateFrom for Coherent {
    const NAME: &'static str = "coherent";
    const RULES: Rules = Rules {
        default_size: 1024,
        limit: MAX_PAGE_ORDER,
        zeroes: Zeroes::Always,
        own_pages: true,
        dma: true,
        ..Rules::KMALLOC
    };
    // Where there is none, no request gets here.
    type State<'bound> = Option<BoundDevice<'bound>>;
    type Allocation<'bound> = Shared<CoherentBuffer<'bound>>;

    fn setup(devices: Devices<'_>) -> Result<Self::State<'_>> {
        Ok(devices.dma)
    }

    fn alloc<'bound>(
        dev: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        let dev = dev.ok_or(ENODEV)?;
        CoherentBuffer::new(dev, request.size, request.gfp).map(Shared::new)
    }
}

impl Particulars for CoherentBuffer<'_> {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        Some(self.dma_address())
    }
}
