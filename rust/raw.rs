// SPDX-License-Identifier: GPL-2.0

//! The allocators' C interface itself, behind safe owners.
//!
//! The `kernel` crate's `KBox` and its kin go through `krealloc` and take some flags only. These
//! call what a C driver calls, take every flag, and cost what C costs.
//!
//! C headers: [`include/linux/slab.h`](srctree/include/linux/slab.h),
//! [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h),
//! [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    ffi::c_ulong,
    page::PAGE_SIZE,
    prelude::*, //
};

use super::{
    gfp::{
        Gfp,
        Modifier, //
    },
    helpers,
    memory::{
        Memory,
        Owned,
        Owner,
        Release, //
    },
    share::OwnPages, //
};

/// Returns how many of `size` new bytes are initialised.
pub(super) fn initialised(size: usize, gfp: Gfp) -> usize {
    if gfp.has(Modifier::Zero) {
        size
    } else {
        0
    }
}

/// A block of `kmalloc`; dropping it is `kfree`.
pub(crate) type KmallocBlock = Owned<Kfree>;

/// Where blocks of `kmalloc` go back to.
pub(crate) struct Kfree;

impl Release for Kfree {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: the block is of `kmalloc`.
        unsafe { bindings::kfree(memory.as_ptr()) };
    }
}

impl KmallocBlock {
    /// Allocates `size` bytes by `kmalloc`.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`. A block of 0 bytes is one, too.
    pub(crate) fn new(size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: `kmalloc` takes any size and flags; it warns of flags that are wrong for it.
        let block = unsafe { helpers::alloclab_kmalloc(size, gfp.bits()) };
        let start = NonNull::new(block.cast()).ok_or(ENOMEM)?;

        // SAFETY: The block has `size` bytes, zeroed if the flags say so, is ours alone until it is
        // given back, and is of `kmalloc`.
        Ok(unsafe {
            let memory = Memory::allocated(start, size, initialised(size, gfp));
            Self::of(memory, Kfree)
        })
    }

    /// Grows the block to `size` bytes by `krealloc`, keeping its content; returns if it moved.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`, and then the block is as it was.
    pub(crate) fn grow(&mut self, size: usize, gfp: Gfp) -> Result<bool> {
        let kept = self.bytes().len().min(size);
        let old = self.memory().as_ptr();

        // SAFETY: `old` is a block of `kmalloc` that is ours, and still is if null is returned.
        let block = unsafe { helpers::alloclab_krealloc(old, size, gfp.bits()) };
        let start = NonNull::new(block.cast()).ok_or(ENOMEM)?;

        // SAFETY: The block has `size` bytes, of which the first `kept` are those of the old one,
        // and is ours alone until it is given back; the old one is gone.
        unsafe { self.replace(Memory::allocated(start, size, kept)) };
        Ok(block != old)
    }
}

/// An area of `vmalloc`; dropping it is `vfree`.
///
/// The call comes from this module, which is what `/proc/vmallocinfo` names.
pub(crate) type VmallocArea = Owned<Vfree>;

/// Where areas of `vmalloc` go back to.
pub(crate) struct Vfree;

impl Release for Vfree {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: the area is of `__vmalloc`.
        unsafe { helpers::vfree(memory.as_ptr()) };
    }
}

// SAFETY: `__vmalloc` allocates pages for each area.
unsafe impl OwnPages for Vfree {}

impl VmallocArea {
    /// Allocates `size` bytes by `__vmalloc`.
    ///
    /// May sleep. Returns `ENOMEM`, also for more than the machine has.
    pub(crate) fn new(size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: `__vmalloc` takes any size and flags; it warns of flags that are wrong for it.
        let area = unsafe { helpers::alloclab_vmalloc(size, gfp.bits()) };
        let start = NonNull::new(area.cast()).ok_or(ENOMEM)?;

        // SAFETY: The area has `size` bytes, zeroed if the flags say so, is ours alone until it is
        // given back, and is of `__vmalloc`.
        Ok(unsafe {
            let memory = Memory::allocated(start, size, initialised(size, gfp));
            Self::of(memory, Vfree)
        })
    }
}

/// 2^order pages that follow each other in physical memory; dropping them is `free_pages`.
pub(crate) type ContiguousPages = Owned<FreePages>;

/// Where 2^order pages go back to.
pub(crate) struct FreePages(u32);

impl Release for FreePages {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: the pages are of `__get_free_pages` with this order.
        unsafe { bindings::free_pages(memory.as_ptr() as c_ulong, self.0) };
    }
}

// SAFETY: They are whole pages.
unsafe impl OwnPages for FreePages {}

impl ContiguousPages {
    /// Returns the order of the smallest block that has `size` bytes.
    pub(crate) fn order_of(size: usize) -> u32 {
        size.div_ceil(PAGE_SIZE)
            .next_power_of_two()
            .trailing_zeros()
    }

    /// Allocates pages for `size` bytes by `__get_free_pages`.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`.
    pub(crate) fn new(size: usize, gfp: Gfp) -> Result<Self> {
        let order = Self::order_of(size);
        // SAFETY: `__get_free_pages` takes any flags; an order that is too large it refuses with a
        // warning.
        let pages = unsafe { helpers::alloclab_get_free_pages(gfp.bits(), order) };
        let start = NonNull::new(pages.cast()).ok_or(ENOMEM)?;

        // SAFETY: The pages have at least `size` bytes, zeroed if the flags say so, are ours alone
        // until they are given back, and are of this order.
        Ok(unsafe {
            let memory = Memory::new(start, size, PAGE_SIZE << order, initialised(size, gfp));
            Self::of(memory, FreePages(order))
        })
    }

    /// Returns the order.
    pub(crate) fn order(&self) -> u32 {
        self.source.0
    }
}
