// SPDX-License-Identifier: GPL-2.0

//! The kernel's own limits on the size of an allocation.
//!
//! C headers: [`include/linux/slab.h`](srctree/include/linux/slab.h),
//! [`include/linux/mmzone.h`](srctree/include/linux/mmzone.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)

use kernel::page::PAGE_SIZE;

use super::helpers;

/// The largest size that an allocator takes, with the name by which the kernel knows it.
pub(crate) struct Limit {
    /// The kernel's name for the limit.
    pub(crate) name: &'static str,
    /// Whether the limit follows from the kernel's configuration alone, not from the machine's
    /// memory.
    pub(crate) fixed: bool,
    bytes: fn() -> usize,
}

impl Limit {
    /// Makes a limit of our own, which is a constant.
    pub(crate) const fn constant(name: &'static str, bytes: fn() -> usize) -> Self {
        Self {
            name,
            fixed: true,
            bytes,
        }
    }

    /// Returns the limit in bytes. Any context.
    pub(crate) fn bytes(&self) -> usize {
        (self.bytes)()
    }
}

/// The largest size that `kmalloc` takes.
pub(crate) const KMALLOC_MAX_SIZE: Limit = Limit {
    name: "KMALLOC_MAX_SIZE",
    fixed: true,
    bytes: || {
        // SAFETY: The function returns a constant.
        unsafe { helpers::alloclab_kmalloc_max_size() }
    },
};

/// The size of the largest block of the page allocator, 2^`MAX_PAGE_ORDER` pages.
pub(crate) const MAX_PAGE_ORDER: Limit = Limit {
    name: "MAX_PAGE_ORDER",
    fixed: true,
    bytes: || {
        // SAFETY: The function returns a constant.
        let order = unsafe { helpers::alloclab_max_page_order() };
        PAGE_SIZE << order
    },
};

/// What bounds `kvmalloc`: `INT_MAX`, or all memory if that is less.
pub(crate) const KVMALLOC_MAX: Limit = Limit {
    name: "INT_MAX and total RAM",
    fixed: false,
    bytes: || TOTAL_RAM.bytes().min(i32::MAX as usize),
};

/// All memory that the kernel manages: what bounds `vmalloc`, as nothing tells the free room in
/// the vmalloc area.
pub(crate) const TOTAL_RAM: Limit = Limit {
    name: "total RAM",
    fixed: false,
    bytes: || {
        // SAFETY: The function reads a counter.
        let pages = unsafe { helpers::alloclab_totalram_pages() };
        PAGE_SIZE.saturating_mul(pages as usize)
    },
};
