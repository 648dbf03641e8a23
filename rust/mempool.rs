// SPDX-License-Identifier: GPL-2.0

//! A pool of elements with a reserve that is allocated in advance.
//!
//! C header: [`include/linux/mempool.h`](srctree/include/linux/mempool.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    ffi::c_int,
    prelude::*,
    sync::Arc, //
};

use super::{
    gfp::Gfp,
    helpers,
    memory::{
        Memory,
        Owned,
        Release, //
    }, //
};

/// A `mempool_t` over `kmalloc`; dropping it, after its last element, destroys it.
///
/// # Invariants
///
/// `pool` is a pool of elements of `bytes` bytes that is ours alone.
pub(crate) struct Pool {
    pool: NonNull<bindings::mempool_t>,
    bytes: usize,
}

// SAFETY: Pools may be used from any thread; they do their own locking.
unsafe impl Send for Pool {}

// SAFETY: As for `Send`.
unsafe impl Sync for Pool {}

impl Pool {
    /// Makes a pool of elements of `bytes` bytes and allocates its reserve of so many. Sleeps.
    ///
    /// Returns `ENOMEM`, also where `kmalloc` takes no such size.
    pub(crate) fn new(bytes: usize, reserve: u16) -> Result<Arc<Self>> {
        // SAFETY: The function takes any numbers that are not negative.
        let pool = unsafe { helpers::alloclab_mempool_create(c_int::from(reserve), bytes) };
        let pool = NonNull::new(pool).ok_or(ENOMEM)?;

        // INVARIANT: The pool is new.
        Ok(Arc::new(Self { pool, bytes }, GFP_KERNEL)?)
    }

    /// Returns how many elements are in reserve now. Any context.
    pub(crate) fn reserve(&self) -> u32 {
        // SAFETY: By the type invariants, the pool is valid. The counter changes under the pool's
        // lock; it is read at once, as by `READ_ONCE`.
        let reserve = unsafe { (&raw const (*self.pool.as_ptr()).curr_nr).read_volatile() };
        u32::try_from(reserve).unwrap_or(0)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: The pool is ours, and each element holds a reference: none is left.
        unsafe { bindings::mempool_destroy(self.pool.as_ptr()) };
    }
}

/// An element of a pool; dropping it gives it back.
pub(crate) type Element = Owned<Arc<Pool>>;

impl Release for Arc<Pool> {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: the element is of this pool.
        unsafe { bindings::mempool_free(memory.as_ptr(), self.pool.as_ptr()) };
    }
}

impl Element {
    /// Takes an element, of which `size` bytes are used, at most all.
    ///
    /// If `gfp` lets it sleep, it waits until there is one; otherwise it returns `ENOMEM` when
    /// the allocator fails and the reserve is used up.
    pub(crate) fn new(pool: &Arc<Pool>, size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: By its type invariants, the pool is valid.
        let element = unsafe { helpers::alloclab_mempool_alloc(pool.pool.as_ptr(), gfp.bits()) };
        let start = NonNull::new(element.cast()).ok_or(ENOMEM)?;
        let size = size.min(pool.bytes);

        // SAFETY: By its type invariants, the pool's elements have `pool.bytes` bytes. This one is
        // ours alone until it is given back.
        Ok(unsafe { Self::of(Memory::new(start, size, pool.bytes, 0), pool.clone()) })
    }

    /// Returns the pool.
    pub(crate) fn pool(&self) -> &Pool {
        &self.source
    }
}
