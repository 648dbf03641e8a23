// SPDX-License-Identifier: GPL-2.0

//! What owns coherent DMA memory, and how it tells the device's address.
//!
//! Since 7.3 nothing is to be done: `Coherent<[u8]>` has all of it.

use kernel::{
    alloc::Flags,
    device::{
        Bound,
        Device, //
    },
    dma::DmaAddress,
    prelude::*, //
};

// What the forms with `Coherent<[u8]>` share.
#[cfg(any(has_coherent_dma_address, has_coherent_dma_handle))]
mod slice {
    use super::*;
    use kernel::dma::Coherent;

    /// The `kernel` crate's owner.
    pub(crate) type Raw = Coherent<[u8]>;

    /// Allocates zeroed memory; returns its first byte, too.
    pub(crate) fn alloc(dev: &Device<Bound>, size: usize, flags: Flags) -> Result<(Raw, *mut u8)> {
        let owner: Raw = Coherent::zeroed_slice(dev, size, flags)?;
        let start = owner.as_mut_ptr().cast();
        Ok((owner, start))
    }
}

/// `Coherent<[u8]>` with `dma_address()`, since 7.3
#[cfg(has_coherent_dma_address)]
pub(crate) mod form {
    use super::*;
    pub(crate) use slice::{
        alloc,
        Raw, //
    };

    /// Returns the device's address of the first byte.
    pub(crate) fn dma_address(owner: &Raw) -> DmaAddress {
        owner.dma_address()
    }
}

/// `Coherent<[u8]>` with `dma_handle()`, since 7.1
#[cfg(has_coherent_dma_handle)]
pub(crate) mod form {
    use super::*;
    pub(crate) use slice::{
        alloc,
        Raw, //
    };

    /// Returns the device's address of the first byte.
    pub(crate) fn dma_address(owner: &Raw) -> DmaAddress {
        owner.dma_handle()
    }
}

/// `CoherentAllocation<u8>`, since 6.18
#[cfg(has_coherent_allocation)]
pub(crate) mod form {
    use super::*;
    use kernel::{
        alloc::flags::__GFP_ZERO,
        dma::CoherentAllocation, //
    };

    /// The `kernel` crate's owner.
    pub(crate) type Raw = CoherentAllocation<u8>;

    /// Allocates zeroed memory; returns its first byte, too.
    pub(crate) fn alloc(dev: &Device<Bound>, size: usize, flags: Flags) -> Result<(Raw, *mut u8)> {
        let mut owner = Raw::alloc_coherent(dev, size, flags | __GFP_ZERO)?;
        let start = owner.start_ptr_mut();
        Ok((owner, start))
    }

    /// Returns the device's address of the first byte.
    pub(crate) fn dma_address(owner: &Raw) -> DmaAddress {
        owner.dma_handle()
    }
}
