// SPDX-License-Identifier: GPL-2.0

//! A buffer in the module's own image: there before anything is allocated, one holder at a time.

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use kernel::prelude::*;

use super::{
    flag::Flag,
    memory::{
        Memory,
        Owned,
        Release, //
    }, //
};

/// A buffer of `N` bytes, to be made a `static`.
///
/// Aligned as every allocator's memory is, at least; `bytes` come first.
///
/// # Invariants
///
/// Only the thread that set `taken` uses the bytes, until it clears it.
#[repr(C, align(8))]
pub(crate) struct FixedBuffer<const N: usize> {
    bytes: UnsafeCell<[u8; N]>,
    taken: Flag,
}

// SAFETY: By the type invariants, only one thread at a time uses the bytes.
unsafe impl<const N: usize> Sync for FixedBuffer<N> {}

impl<const N: usize> FixedBuffer<N> {
    /// Makes a buffer, all zero, that nobody has.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Nobody uses the bytes.
        Self {
            bytes: UnsafeCell::new([0; N]),
            taken: Flag::new(false),
        }
    }

    /// Takes the buffer, of which `size` bytes are used, at most all.
    ///
    /// Any context. Returns `EBUSY` while somebody else has it.
    pub(crate) fn take(&'static self, size: usize) -> Result<Taken> {
        // INVARIANT: Who gets `false` has changed it.
        if self.taken.test_and_set() {
            return Err(EBUSY);
        }

        let start = NonNull::new(self.bytes.get().cast::<u8>()).ok_or(ENOMEM)?;
        let size = size.min(N);
        // SAFETY: The buffer is initialised from the start, and by the type invariants ours alone
        // until `taken` is cleared, which gives it back.
        Ok(unsafe { Taken::of(Memory::new(start, size, N, size), &self.taken) })
    }
}

/// A buffer that is taken; dropping it lets the next have it.
pub(crate) type Taken = Owned<&'static Flag>;

impl Release for &'static Flag {
    unsafe fn release(&mut self, _memory: &Memory) {
        // INVARIANT: By the safety requirements, the bytes are not used any more.
        self.set(false);
    }
}
