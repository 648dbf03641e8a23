// SPDX-License-Identifier: GPL-2.0

//! Device-managed memory: it lives until its device is unbound, or is freed early.
//!
//! C header: [`include/linux/device/devres.h`](srctree/include/linux/device/devres.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    prelude::*, //
};

use super::{
    bound::BoundDevice,
    gfp::Gfp,
    memory::{
        Memory,
        Owned,
        Release, //
    },
    raw::initialised, //
};

/// A block of `devm_kmalloc`; dropping it is `devm_kfree`.
pub(crate) type DevmBlock<'bound> = Owned<DevmKfree<'bound>>;

/// The device that a block goes back to.
pub(crate) struct DevmKfree<'bound> {
    dev: BoundDevice<'bound>,
    left: bool,
}

impl Release for DevmKfree<'_> {
    unsafe fn release(&mut self, memory: &Memory) {
        if !self.left {
            // SAFETY: By the safety requirements: the block is of `devm_kmalloc` for this device,
            // which is still bound and so has not freed it.
            unsafe { bindings::devm_kfree(self.dev.as_raw(), memory.as_ptr()) };
        }
    }
}

impl<'bound> DevmBlock<'bound> {
    /// Allocates `size` bytes by `devm_kmalloc`.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`.
    pub(crate) fn new(dev: BoundDevice<'bound>, size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: By its type invariants, the device is bound.
        let block = unsafe { bindings::devm_kmalloc(dev.as_raw(), size, gfp.bits()) };
        let start = NonNull::new(block.cast()).ok_or(ENOMEM)?;

        // SAFETY: The block has `size` bytes, zeroed if the flags say so. It is ours alone until
        // it is freed by the drop, or by the device, which stays bound while `self` lives.
        Ok(unsafe {
            let memory = Memory::new(start, size, size, initialised(size, gfp));
            Self::of(memory, DevmKfree { dev, left: false })
        })
    }

    /// Has the drop leave the block to the device, which frees it when it is unbound.
    pub(crate) fn leave(&mut self) {
        self.source.left = true;
    }
}
