// SPDX-License-Identifier: GPL-2.0

//! Coherent DMA memory as bytes, the same on every kernel version.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use core::ptr::NonNull;

use kernel::{
    dma::DmaAddress,
    fmt,
    page::PAGE_SIZE,
    prelude::*, //
};

use super::{
    bound::BoundDevice,
    compat::coherent::form as compat,
    gfp::{
        Gfp,
        Modifier, //
    },
    helpers,
    lockdown,
    memory::{
        Memory,
        Owned,
        Release, //
    },
    share::OwnPages, //
};

/// A device's address, for showing only: it cannot be given to a device.
///
/// Shown as 0 where the kernel is locked down to confidentiality.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShownDmaAddress(DmaAddress);

impl ShownDmaAddress {
    /// Makes it of what the DMA API returned.
    pub(super) fn new(address: DmaAddress) -> Self {
        Self(address)
    }

    /// Returns whether a device that has `bits` address lines reaches it.
    #[allow(dead_code, reason = "the tests check it against the mask")]
    pub(crate) fn fits(self, bits: u32) -> bool {
        self.0.checked_shr(bits).unwrap_or(0) == 0
    }
}

impl fmt::Display for ShownDmaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = if lockdown::is_confidential() {
            0
        } else {
            self.0
        };
        f.write_fmt(fmt!("{address:#018x}"))
    }
}

/// Adds `+nowarn` to flags that do not sleep.
///
/// For a device that is not coherent, such memory comes from a small pool, and the kernel warns
/// with a backtrace when that is used up: here it is an answer like any other.
pub(super) fn without_warning(gfp: Gfp) -> Gfp {
    if gfp.base().may_sleep() {
        gfp
    } else {
        gfp.with(Modifier::Nowarn)
    }
}

/// Zeroed memory that the CPU and a device see alike; dropping it frees it.
pub(crate) type CoherentBuffer<'bound> = Owned<CoherentOwner<'bound>>;

/// What owns the memory.
pub(crate) struct CoherentOwner<'bound> {
    owner: compat::Raw,
    // The owner frees it for the device, which must be bound then.
    dev: BoundDevice<'bound>,
}

impl Release for CoherentOwner<'_> {
    /// The owner's own drop, which comes next, gives it back.
    unsafe fn release(&mut self, _memory: &Memory) {}
}

// SAFETY: The DMA API allocates whole pages, and pools of coherent memory give whole pages.
unsafe impl OwnPages for CoherentOwner<'_> {
    fn refusal(&self, _memory: &Memory) -> Option<&'static str> {
        // SAFETY: The device is valid.
        let can = unsafe { helpers::alloclab_dma_can_mmap(self.dev.as_raw()) };
        (!can).then_some("its device's memory cannot be mapped")
    }

    fn device(&self) -> Option<BoundDevice<'_>> {
        Some(self.dev)
    }
}

impl<'bound> CoherentBuffer<'bound> {
    /// Allocates `size` bytes for `dev`, always zeroed.
    ///
    /// May sleep if `gfp` lets it. Returns `EINVAL` for a size of 0, `ENOMEM` when there is no
    /// memory that the device can reach.
    pub(crate) fn new(dev: BoundDevice<'bound>, size: usize, gfp: Gfp) -> Result<Self> {
        if size == 0 {
            return Err(EINVAL);
        }
        let (owner, start) = compat::alloc(&dev, size, without_warning(gfp).flags()?)?;
        let start = NonNull::new(start).ok_or(ENOMEM)?;
        let usable = size.next_multiple_of(PAGE_SIZE);

        let source = CoherentOwner { owner, dev };

        // SAFETY: The memory has `size` zeroed bytes, which nobody else uses for as long as the
        // owner lives: a `ShownDmaAddress` cannot be given to a device.
        Ok(unsafe { Self::of(Memory::new(start, size, usable, size), source) })
    }

    /// Returns the device's address of the first byte.
    pub(crate) fn dma_address(&self) -> ShownDmaAddress {
        ShownDmaAddress(compat::dma_address(&self.source.owner))
    }
}
