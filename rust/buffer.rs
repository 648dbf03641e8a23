// SPDX-License-Identifier: GPL-2.0

//! A byte buffer of run-time size from any of the kernel crate's allocators.

use kernel::{
    alloc::{
        allocator::{
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

use super::address::Address;

/// A [`Buffer`] of physically contiguous memory, from `kmalloc`.
pub(crate) type KBuffer = Buffer<Kmalloc>;

/// A [`Buffer`] of virtually contiguous memory, from `vmalloc`.
pub(crate) type VBuffer = Buffer<Vmalloc>;

/// What memory is filled with that was not zeroed: reading it as it came would be undefined, and
/// zero would pass for zeroed.
const POISON: u8 = 0x5a;

/// A byte buffer from the allocator `A`; dropping it frees it.
///
/// Nothing touches the memory between allocation and the first call of [`Buffer::bytes`], so that
/// what is measured is the allocator alone.
///
/// # Invariants
///
/// - The capacity of `bytes` is at least `size`.
/// - The length of `bytes` is 0 or `size`.
pub(crate) struct Buffer<A: Allocator> {
    bytes: Vec<u8, A>,
    size: usize,
}

impl<A: Allocator> Buffer<A> {
    /// Allocates `size` bytes, zeroed by the allocator if `flags` has `__GFP_ZERO`.
    ///
    /// May sleep if `flags` lets it. Returns `ENOMEM` when there is no memory, or when `size` is
    /// over what the allocator takes.
    pub(crate) fn new(size: usize, flags: Flags) -> Result<Self> {
        let mut bytes = Vec::with_capacity(size, flags)?;

        if flags.contains(__GFP_ZERO) {
            // SAFETY:
            // - The length is 0 and the capacity is at least `size`.
            // - The allocator zeroed the capacity because of `__GFP_ZERO`, and zero is a valid
            //   `u8`, so that the first `size` elements are initialised.
            unsafe { bytes.inc_len(size) };
        }

        // INVARIANT: The capacity is at least `size`, the length is `size` or still 0.
        Ok(Self { bytes, size })
    }

    /// Returns the size asked for, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the address of the first byte.
    pub(crate) fn address(&self) -> Address {
        Address::of(self.bytes.as_ptr())
    }

    /// Returns the bytes; what was not zeroed is filled with a poison at the first call.
    ///
    /// Does not allocate or sleep.
    #[allow(dead_code, reason = "the tests write and read through it")]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        if self.bytes.len() < self.size {
            // Cannot fail: by the type invariants it fits the capacity, nothing is allocated.
            let _ = self.bytes.resize(self.size, POISON, GFP_NOWAIT);
        }
        &mut self.bytes
    }
}
