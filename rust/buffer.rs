// SPDX-License-Identifier: GPL-2.0

//! A byte buffer of run-time size from any of the kernel crate's allocators.

use core::ptr::NonNull;

use kernel::{
    alloc::{
        allocator::{
            KVmalloc,
            Kmalloc,
            Vmalloc, //
        },
        flags::__GFP_ZERO,
        Allocator,
        Flags,
        Vec, //
    },
    prelude::*, //
};

use super::{
    memory::{
        Memory,
        Owned,
        Release, //
    },
    share::{
        OwnPages,
        NEIGHBOURS, //
    }, //
};

/// A [`Buffer`] of physically contiguous memory, from `kmalloc`.
pub(crate) type KBuffer = Buffer<Kmalloc>;

/// A [`Buffer`] of virtually contiguous memory, from `vmalloc`.
pub(crate) type VBuffer = Buffer<Vmalloc>;

/// A [`Buffer`] from `kmalloc` or, where that has none, from `vmalloc`.
pub(crate) type KVBuffer = Buffer<KVmalloc>;

/// A byte buffer from the allocator `A`; dropping it frees it.
pub(crate) type Buffer<A> = Owned<VecOwner<A>>;

/// What owns the memory, and has no elements: the memory is used through [`Memory`] alone.
pub(crate) struct VecOwner<A: Allocator>(#[expect(dead_code, reason = "dropped")] Vec<u8, A>);

impl<A: Allocator> Release for VecOwner<A> {
    /// The vector's own drop, which comes next, gives it back.
    unsafe fn release(&mut self, _memory: &Memory) {}
}

// SAFETY: `vmalloc` allocates pages for each area.
unsafe impl OwnPages for VecOwner<Vmalloc> {}

// SAFETY: What is of `vmalloc` is as above.
unsafe impl OwnPages for VecOwner<KVmalloc> {
    fn refusal(&self, memory: &Memory) -> Option<&'static str> {
        (!memory.is_vmalloc()).then_some(NEIGHBOURS)
    }
}

impl<A: Allocator> Owned<VecOwner<A>> {
    /// Allocates `size` bytes, zeroed by the allocator if `flags` has `__GFP_ZERO`.
    ///
    /// May sleep if `flags` lets it. Returns `ENOMEM` when there is no memory, or when `size` is
    /// over what the allocator takes, `EINVAL` for a size of 0.
    pub(crate) fn new(size: usize, flags: Flags) -> Result<Self> {
        if size == 0 {
            return Err(EINVAL);
        }
        let mut bytes = Vec::with_capacity(size, flags)?;
        let start = NonNull::new(Vec::as_mut_ptr(&mut bytes)).ok_or(ENOMEM)?;
        let initialised = if flags.contains(__GFP_ZERO) { size } else { 0 };

        // SAFETY: The vector has `size` bytes of one of the two, zeroed because of the flag, and
        // nobody uses them but through the memory, for as long as the vector lives.
        Ok(unsafe { Self::of(Memory::allocated(start, size, initialised), VecOwner(bytes)) })
    }
}
