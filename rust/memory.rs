// SPDX-License-Identifier: GPL-2.0

//! Bytes of kernel memory, whoever allocated them, and where they lie in physical memory.
//!
//! C headers: [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    ffi::{
        c_ulong,
        c_void, //
    },
    page::PAGE_SIZE, //
};

use super::{
    address::Address,
    helpers,
    schedule::cond_resched, //
};

/// What memory is filled with that was not zeroed: reading it as it came would be undefined, and
/// zero would pass for zeroed.
const POISON: u8 = 0x5a;

/// After so many pages that are looked at, others may run: an allocation may be all of the RAM.
const PAGES_AT_ONCE: usize = 1024;

/// Pages that follow each other in physical memory.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// The place of the first page in the allocation.
    pub(crate) first: usize,
    /// The page frame number of the first page.
    pub(crate) pfn: usize,
    /// How many pages.
    pub(crate) pages: usize,
}

/// What owns memory; dropping it frees the memory.
pub(crate) trait Owner: Send {
    /// Returns the memory.
    fn memory(&self) -> &Memory;

    /// Returns the bytes; what was not initialised is filled with a poison at the first call.
    ///
    /// Not the memory itself, which one could exchange for that of another owner. Does not sleep.
    fn bytes(&mut self) -> &mut [u8];
}

/// Where memory goes back to; what is behind it is dropped after that.
pub(crate) trait Release: Send {
    /// Gives the memory back.
    ///
    /// # Safety
    ///
    /// The memory must be what [`Owned::of`] got together with `self`, and not be used any more.
    unsafe fn release(&mut self, memory: &Memory);
}

/// Memory with where it goes back to; dropping it gives it back.
///
/// # Invariants
///
/// The memory is of `source`, and not given back yet.
pub(crate) struct Owned<R: Release> {
    memory: Memory,
    pub(super) source: R,
}

impl<R: Release> Owned<R> {
    /// Puts the two together.
    ///
    /// # Safety
    ///
    /// `memory` must be of `source`, and nobody else may give it back.
    pub(super) unsafe fn of(memory: Memory, source: R) -> Self {
        // INVARIANT: By the safety requirements.
        Self { memory, source }
    }

    /// As [`Memory::initialise`].
    ///
    /// # Safety
    ///
    /// As for [`Memory::initialise`].
    pub(super) unsafe fn initialise(&mut self) {
        // SAFETY: By the safety requirements.
        unsafe { self.memory.initialise() };
    }

    /// Exchanges the memory for what it has become.
    ///
    /// # Safety
    ///
    /// As for [`Owned::of`]; the memory so far must have been given back.
    pub(super) unsafe fn replace(&mut self, memory: Memory) {
        // INVARIANT: By the safety requirements.
        self.memory = memory;
    }
}

impl<R: Release> Owner for Owned<R> {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.memory.bytes()
    }
}

impl<R: Release> Drop for Owned<R> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the memory is of `source`; after the drop nothing uses it.
        unsafe { self.source.release(&self.memory) };
    }
}

/// The bytes of an allocation. It does not own them: what owns them keeps it in a field.
///
/// Nothing touches the bytes before the first call of [`Memory::bytes`], so that what is measured
/// is the allocator alone.
///
/// # Invariants
///
/// - `start` is valid for reads and writes of `size` bytes, which nobody else uses.
/// - The first `initialised` of them are initialised.
/// - Where `usable` is some, so many bytes from `start` on are the allocation's, no fewer than
///   `size`: their pages are mapped. Where it is none, `start` is what `kmalloc` or `vmalloc`
///   returned.
pub(crate) struct Memory {
    start: NonNull<u8>,
    size: usize,
    // Found when it is asked for, where it is not known.
    usable: Option<usize>,
    initialised: usize,
}

// SAFETY: It is an exclusive reference in all but name, and bytes are `Send`.
unsafe impl Send for Memory {}

// SAFETY: As for `Send`; bytes are `Sync`.
unsafe impl Sync for Memory {}

impl Memory {
    /// Describes `size` bytes at `start`, of an allocation that has `usable` bytes.
    ///
    /// # Safety
    ///
    /// - For as long as the value lives, `start` must be valid for reads and writes of `size`
    ///   bytes, and nobody else may use them.
    /// - `usable` bytes from `start` on must be of the same allocation, and no fewer than `size`.
    /// - The first `initialised` bytes must be initialised, at most `size`.
    pub(super) unsafe fn new(
        start: NonNull<u8>,
        size: usize,
        usable: usize,
        initialised: usize,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            start,
            size,
            usable: Some(usable),
            initialised,
        }
    }

    /// Returns the pointer to the first byte, to free it.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }

    /// Describes `size` bytes at `start`, which are of `kmalloc` or `vmalloc`.
    ///
    /// # Safety
    ///
    /// As for [`Memory::new`]; `start` must be what the allocator returned.
    pub(super) unsafe fn allocated(start: NonNull<u8>, size: usize, initialised: usize) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            start,
            size,
            usable: None,
            initialised,
        }
    }

    /// Returns how many of the first bytes are initialised.
    pub(super) fn initialised(&self) -> usize {
        self.initialised
    }

    /// Returns the size asked for, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the size that was got, in bytes.
    pub(crate) fn usable(&self) -> usize {
        self.usable.unwrap_or_else(|| {
            // SAFETY: By the type invariants, it is of `kmalloc` or `vmalloc`, and not freed yet.
            unsafe { helpers::alloclab_usable(self.start.as_ptr().cast(), self.size) }
        })
    }

    /// Returns whether it is of `vmalloc`.
    pub(crate) fn is_vmalloc(&self) -> bool {
        // SAFETY: The function compares the address.
        unsafe { helpers::alloclab_is_vmalloc(self.start.as_ptr().cast()) }
    }

    /// Returns the address of the first byte.
    pub(crate) fn address(&self) -> Address {
        Address::of(self.start.as_ptr())
    }

    /// Returns the bytes; what was not initialised is filled with a poison at the first call.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.fill(usize::MAX);

        // SAFETY: By the type invariants the bytes are valid and initialised, and nobody else uses
        // them while `self` is borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }

    /// Fills at most so many of the bytes that were not initialised with the poison.
    ///
    /// Returns whether there were any.
    fn fill(&mut self, most: usize) -> bool {
        let part = self.size.saturating_sub(self.initialised).min(most);
        if part == 0 {
            return false;
        }

        // SAFETY: By the type invariants, `size` bytes are valid for writes; `part` bytes from
        // `initialised` on end with them at the latest.
        unsafe {
            self.start
                .as_ptr()
                .add(self.initialised)
                .write_bytes(POISON, part)
        };
        // INVARIANT: They are now initialised.
        self.initialised += part;
        true
    }

    /// Fills what was not initialised with the poison, and zeroes what follows the bytes in their
    /// last page. May sleep.
    ///
    /// # Safety
    ///
    /// The last page must hold nothing else.
    pub(super) unsafe fn initialise(&mut self) {
        while self.fill(PAGES_AT_ONCE * PAGE_SIZE) {
            cond_resched();
        }

        let end = self.start.as_ptr() as usize % PAGE_SIZE + self.size;
        let rest = end.next_multiple_of(PAGE_SIZE) - end;
        if rest == 0 {
            return;
        }
        match self.usable {
            // What coherent memory is mapped by is not always what its pages are mapped by.
            Some(usable) if usable >= self.size + rest => {
                // SAFETY: By the type invariants, these bytes are the allocation's, too.
                unsafe { self.start.as_ptr().add(self.size).write_bytes(0, rest) };
            }
            // KASAN knows that the bytes were not asked for, and not what page they are of.
            _ => {
                // SAFETY: The page has the last byte. By the safety requirements, it is ours.
                unsafe { zero_in_page(self.pfn(end / PAGE_SIZE), end % PAGE_SIZE, rest) };
            }
        }
    }

    /// Returns whether the first byte is the first of a page.
    pub(super) fn begins_a_page(&self) -> bool {
        self.start.as_ptr() as usize % PAGE_SIZE == 0
    }

    /// Returns the address of one of the bytes' pages.
    pub(super) fn page(&self, page: usize) -> *mut u8 {
        let offset = self.start.as_ptr() as usize % PAGE_SIZE;
        let start = self.start.as_ptr().wrapping_sub(offset);
        start.wrapping_add(page.wrapping_mul(PAGE_SIZE))
    }

    /// Returns the page frame number of that page.
    ///
    /// # Safety
    ///
    /// The page must have one of the usable bytes.
    pub(super) unsafe fn pfn(&self, page: usize) -> c_ulong {
        // SAFETY: By the type invariants the page is mapped. The function takes addresses of the
        // linear mapping, of vmalloc memory and of modules, and reads page tables.
        unsafe { helpers::alloclab_pfn(self.page(page).cast()) }
    }

    /// Returns whether the bytes that were not initialised here are zero all the same. May sleep.
    pub(crate) fn rest_is_zero(&self) -> bool {
        let mut at = self.initialised;
        while let Some(rest @ 1..) = self.size.checked_sub(at) {
            let part = rest.min(PAGES_AT_ONCE * PAGE_SIZE);
            // SAFETY: By the type invariants, `size` bytes are valid for reads; `part` bytes from
            // `at` on end with them at the latest. C reads them as they are.
            let found =
                unsafe { bindings::memchr_inv(self.start.as_ptr().add(at).cast(), 0, part) };
            if !found.is_null() {
                return false;
            }
            at += part;
            cond_resched();
        }
        true
    }

    /// Calls `each` with every run of the usable bytes' pages, in order. May sleep.
    pub(crate) fn runs(&self, each: &mut dyn FnMut(Run)) {
        let offset = self.start.as_ptr() as usize % PAGE_SIZE;
        let pages = offset.saturating_add(self.usable()).div_ceil(PAGE_SIZE);

        // SAFETY: The function compares the address.
        if pages > 0 && unsafe { helpers::alloclab_is_linear(self.page(0).cast()) } {
            // In the linear mapping, what follows in one follows in the other.
            // SAFETY: There is a page.
            let pfn = unsafe { self.pfn(0) };
            let first = 0;
            return each(Run { first, pfn, pages });
        }

        let mut run: Option<Run> = None;
        for index in 0..pages {
            if index % PAGES_AT_ONCE == PAGES_AT_ONCE - 1 {
                cond_resched();
            }
            // SAFETY: It has one of the usable bytes.
            let pfn = unsafe { self.pfn(index) };

            match &mut run {
                Some(run) if run.pfn + run.pages == pfn => run.pages += 1,
                _ => {
                    let next = Run {
                        first: index,
                        pfn,
                        pages: 1,
                    };
                    if let Some(run) = run.replace(next) {
                        each(run);
                    }
                }
            }
        }
        if let Some(run) = run {
            each(run);
        }
    }
}

/// Zeroes `len` bytes of a page, through the page. Does not sleep.
///
/// # Safety
///
/// The page frame must have a `struct page`. The bytes must be in it, and nobody else's.
pub(super) unsafe fn zero_in_page(pfn: c_ulong, offset: usize, len: usize) {
    // SAFETY: By the safety requirements.
    unsafe { helpers::alloclab_zero(pfn, offset, len) };
}

/// Returns whether the kernel zeroes every allocation, or all memory that is freed. Any context.
///
/// It does with `init_on_alloc=1` or `init_on_free=1` on its command line, or by its configuration.
pub(crate) fn kernel_zeroes() -> bool {
    // SAFETY: The function reads what was decided at boot.
    unsafe { helpers::alloclab_kernel_zeroes() }
}

/// Returns the NUMA node of a page frame that an allocation has, if it has a `struct page`.
pub(crate) fn node_of(pfn: usize) -> Option<u32> {
    // SAFETY: The function checks the number.
    let node = unsafe { helpers::alloclab_pfn_to_nid(pfn as c_ulong) };
    u32::try_from(node).ok()
}
