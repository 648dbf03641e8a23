// SPDX-License-Identifier: GPL-2.0

//! A buffer in the module's own image: there before anything is allocated, one for all.

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use kernel::prelude::*;

use super::{
    flag::Flag,
    memory::{
        Memory,
        Owner, //
    }, //
};

/// The size of the buffer, in bytes.
pub(crate) const BUFFER_BYTES: usize = 2048;

/// Aligned as every allocator's memory is, at least; `bytes` come first.
///
/// # Invariants
///
/// Only the thread that set `taken` uses the bytes, until it clears it.
#[repr(C, align(8))]
struct Shared {
    bytes: UnsafeCell<[u8; BUFFER_BYTES]>,
    taken: Flag,
}

// SAFETY: By the type invariants, only one thread at a time uses the bytes.
unsafe impl Sync for Shared {}

static BUFFER: Shared = Shared {
    bytes: UnsafeCell::new([0; BUFFER_BYTES]),
    taken: Flag::new(false),
};

/// The buffer, while it is taken; dropping it lets the next have it.
pub(crate) struct FixedBuffer(Memory);

impl FixedBuffer {
    /// Takes the buffer, of which `size` bytes are used, at most all.
    ///
    /// Any context. Returns `EBUSY` while somebody else has it.
    pub(crate) fn take(size: usize) -> Result<Self> {
        // INVARIANT: Who gets `false` has changed it.
        if BUFFER.taken.test_and_set() {
            return Err(EBUSY);
        }

        let start = NonNull::new(BUFFER.bytes.get().cast::<u8>()).ok_or(ENOMEM)?;
        let size = size.min(BUFFER_BYTES);
        // SAFETY: The buffer is initialised from the start, and by the invariants of `Shared` ours
        // alone until `self` is dropped.
        Ok(Self(unsafe {
            Memory::new(start, size, BUFFER_BYTES, size)
        }))
    }
}

impl Owner for FixedBuffer {
    fn memory(&self) -> &Memory {
        &self.0
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes()
    }
}

impl Drop for FixedBuffer {
    fn drop(&mut self) {
        // INVARIANT: The bytes are not used any more.
        BUFFER.taken.set(false);
    }
}
