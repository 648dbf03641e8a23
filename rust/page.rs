// SPDX-License-Identifier: GPL-2.0

//! A page of any zone, which the CPU reaches through a temporary mapping.
//!
//! C headers: [`include/linux/gfp.h`](srctree/include/linux/gfp.h),
//! [`include/linux/highmem.h`](srctree/include/linux/highmem.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    ffi::c_ulong,
    page::PAGE_SIZE,
    prelude::*, //
};

use super::{
    address::Address,
    gfp::Gfp,
    helpers,
    memory::{
        zero_in_page,
        Memory,
        Run, //
    },
    raw::initialised,
    share::Paged, //
};

/// One page of the page allocator; dropping it frees it.
///
/// # Invariants
///
/// `page` is a page of `alloc_page` that is ours alone, its first `initialised` bytes initialised.
pub(crate) struct HighPage {
    page: NonNull<bindings::page>,
    size: usize,
    initialised: usize,
}

// SAFETY: A page may be used and freed from any thread.
unsafe impl Send for HighPage {}

impl HighPage {
    /// Allocates a page by `alloc_page`, of which `size` bytes are used, at most all.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`.
    pub(crate) fn new(size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: `alloc_page` takes any flags.
        let page = unsafe { helpers::alloclab_alloc_page(gfp.bits()) };
        let page = NonNull::new(page).ok_or(ENOMEM)?;
        let size = size.min(PAGE_SIZE);

        // INVARIANT: The page is new, and zeroed if the flags say so.
        Ok(Self {
            page,
            size,
            initialised: initialised(size, gfp),
        })
    }

    /// Returns the size asked for, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the address at which the page is mapped, for now where it has no fixed one.
    pub(crate) fn address(&self) -> Address {
        // SAFETY: By the type invariants, the page is one of the page allocator.
        let address = unsafe { bindings::kmap_local_page(self.page.as_ptr()) };
        // SAFETY: It is what was mapped last here.
        unsafe { bindings::kunmap_local(address) };
        Address::of(address)
    }

    /// Returns the page, as the run that it is.
    pub(crate) fn run(&self) -> Run {
        // SAFETY: By the type invariants, the page is one of the page allocator.
        let pfn = unsafe { helpers::alloclab_page_to_pfn(self.page.as_ptr()) } as usize;
        Run {
            first: 0,
            pfn,
            pages: 1,
        }
    }

    /// Gives the bytes to `work`, which must not sleep, through a temporary mapping.
    ///
    /// What was not initialised is filled with a poison at the first call. Any context.
    pub(crate) fn with_bytes<T>(&mut self, work: impl FnOnce(&mut [u8]) -> T) -> Result<T> {
        // SAFETY: By the type invariants, the page is one of the page allocator.
        let address = unsafe { bindings::kmap_local_page(self.page.as_ptr()) };
        let start = NonNull::new(address.cast()).ok_or(ENOMEM)?;

        // SAFETY: The mapping has a page, of which `initialised` bytes are so by the type
        // invariants, and lasts until after the last use of `memory`.
        let mut memory = unsafe { Memory::new(start, self.size, PAGE_SIZE, self.initialised) };
        let result = work(memory.bytes());
        self.initialised = memory.initialised();

        // SAFETY: It is what was mapped last here.
        unsafe { bindings::kunmap_local(address) };
        Ok(result)
    }
}

// SAFETY: It is a page, and `run` says which.
unsafe impl Paged for HighPage {
    fn refusal(&self) -> Option<&'static str> {
        None
    }

    fn size(&self) -> usize {
        self.size
    }

    unsafe fn initialise(&mut self) {
        // The address of a page is never null.
        let _ = self.with_bytes(|_| ());
        let rest = PAGE_SIZE.saturating_sub(self.size);
        // SAFETY: By the type invariants, the page is ours.
        unsafe { zero_in_page(self.run().pfn as c_ulong, self.size, rest) };
    }

    unsafe fn pfn(&self, _page: usize) -> c_ulong {
        self.run().pfn as c_ulong
    }

    fn with_page(&self, _page: usize, work: &mut dyn FnMut(*mut u8)) {
        // SAFETY: By the type invariants, the page is one of the page allocator.
        let address = unsafe { bindings::kmap_local_page(self.page.as_ptr()) };
        work(address.cast());
        // SAFETY: It is what was mapped last here.
        unsafe { bindings::kunmap_local(address) };
    }
}

impl Drop for HighPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the page is ours.
        unsafe { helpers::alloclab_free_page(self.page.as_ptr()) };
    }
}
