// SPDX-License-Identifier: GPL-2.0

//! What owns coherent DMA memory, and how it tells the device's address.

use kernel::{
    alloc::Flags,
    device::{
        Bound,
        Device, //
    },
    dma::DmaAddress,
    prelude::*, //
};

type Probe = fn(&Device<Bound>, Flags) -> Result<(DmaAddress, *mut u8)>;

/// `Coherent<[u8]>` with `dma_address()`, since 7.3
#[cfg(has_coherent_dma_address)]
mod form {
    use kernel::dma::Coherent;

    const PROBE: super::Probe = |dev, flags| {
        let owner: Coherent<[u8]> = Coherent::zeroed_slice(dev, 1, flags)?;
        Ok((owner.dma_address(), owner.as_mut_ptr().cast()))
    };
}

/// `Coherent<[u8]>` with `dma_handle()`, since 7.1
#[cfg(has_coherent_dma_handle)]
mod form {
    use kernel::dma::Coherent;

    const PROBE: super::Probe = |dev, flags| {
        let owner: Coherent<[u8]> = Coherent::zeroed_slice(dev, 1, flags)?;
        Ok((owner.dma_handle(), owner.as_mut_ptr().cast()))
    };
}

/// `CoherentAllocation<u8>`, since 6.18
#[cfg(has_coherent_allocation)]
mod form {
    use kernel::dma::CoherentAllocation;

    const PROBE: super::Probe = |dev, flags| {
        let mut owner = CoherentAllocation::<u8>::alloc_coherent(dev, 1, flags)?;
        Ok((owner.dma_handle(), owner.start_ptr_mut()))
    };
}
