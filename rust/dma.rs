// SPDX-License-Identifier: GPL-2.0

//! Coherent DMA memory as bytes, the same on every kernel version.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use kernel::{
    alloc::Flags,
    device::{
        Bound,
        Device, //
    },
    dma::{
        Coherent,
        DmaAddress, //
    },
    fmt,
    prelude::*, //
};

use super::address::Address;

/// A device's address, for showing only: it cannot be given to a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShownDmaAddress(DmaAddress);

impl ShownDmaAddress {
    /// Returns whether a device that has `bits` address lines reaches it.
    #[allow(dead_code, reason = "the tests check it against the mask")]
    pub(crate) fn fits(self, bits: u32) -> bool {
        self.0.checked_shr(bits).unwrap_or(0) == 0
    }
}

impl fmt::Display for ShownDmaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{:#018x}", self.0))
    }
}

/// Zeroed memory that the CPU and a device see alike; dropping it frees it.
///
/// The `kernel` crate asks that it be dropped while its device is bound, and does not enforce it.
pub(crate) struct CoherentBuffer(Coherent<[u8]>);

impl CoherentBuffer {
    /// Allocates `size` bytes for `dev`, always zeroed.
    ///
    /// May sleep if `flags` lets it. Returns `EINVAL` for a size of 0, `ENOMEM` when there is no
    /// memory that the device can reach.
    pub(crate) fn new(dev: &Device<Bound>, size: usize, flags: Flags) -> Result<Self> {
        Ok(Self(Coherent::zeroed_slice(dev, size, flags)?))
    }

    /// Returns the size asked for, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.size()
    }

    /// Returns the CPU's address of the first byte.
    pub(crate) fn address(&self) -> Address {
        Address::of(self.0.as_ptr())
    }

    /// Returns the device's address of the first byte.
    pub(crate) fn dma_address(&self) -> ShownDmaAddress {
        #[cfg(kernel_7_3)]
        return ShownDmaAddress(self.0.dma_address());
        #[cfg(not(kernel_7_3))]
        return ShownDmaAddress(self.0.dma_handle());
    }

    /// Returns the bytes as the CPU sees them.
    #[allow(dead_code, reason = "the tests write and read through it")]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY:
        // - `self` is borrowed exclusively, so that no other reference to the memory exists.
        // - A `ShownDmaAddress` cannot be given to a device, so that none accesses the memory.
        unsafe { self.0.as_mut() }
    }
}
