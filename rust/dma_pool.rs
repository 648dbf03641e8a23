// SPDX-License-Identifier: GPL-2.0

//! Small aligned blocks of coherent DMA memory.
//!
//! C header: [`include/linux/dmapool.h`](srctree/include/linux/dmapool.h)

use core::ptr::NonNull;

use kernel::{
    dma::DmaAddress,
    prelude::*,
    str::CStr,
    sync::Arc, //
};

use super::{
    bound::BoundDevice,
    dma::{
        without_warning,
        ShownDmaAddress, //
    },
    gfp::Gfp,
    helpers,
    memory::{
        Memory,
        Owned,
        Release, //
    },
    raw::initialised, //
};

/// How the blocks of a pool are.
#[derive(Clone, Copy)]
pub(crate) struct Blocks {
    /// The size, in bytes.
    pub(crate) bytes: usize,
    /// The alignment, in bytes: a power of two.
    pub(crate) align: usize,
    /// None crosses a multiple of so many bytes: a power of two, no less than the size.
    pub(crate) boundary: usize,
}

/// A `dma_pool`; dropping it, after its last block, destroys it.
///
/// # Invariants
///
/// `pool` is a pool of blocks of `bytes` bytes for `dev` that is ours alone.
pub(crate) struct DmaPool<'bound> {
    pool: NonNull<helpers::dma_pool>,
    bytes: usize,
    // The pool needs it bound.
    _dev: BoundDevice<'bound>,
}

// SAFETY: Pools may be used from any thread; they do their own locking.
unsafe impl Send for DmaPool<'_> {}

// SAFETY: As for `Send`.
unsafe impl Sync for DmaPool<'_> {}

impl<'bound> DmaPool<'bound> {
    /// Makes a pool for `dev`. Sleeps. Returns `ENOMEM`, also for blocks that are not possible.
    pub(crate) fn new(name: &CStr, dev: BoundDevice<'bound>, blocks: Blocks) -> Result<Arc<Self>> {
        // SAFETY: The name is terminated, and copied; the device is bound. The function checks the
        // numbers.
        let pool = unsafe {
            helpers::alloclab_dma_pool_create(
                name.as_char_ptr(),
                dev.as_raw(),
                blocks.bytes,
                blocks.align,
                blocks.boundary,
            )
        };
        let pool = NonNull::new(pool).ok_or(ENOMEM)?;

        // INVARIANT: The pool is new.
        let pool = Self {
            pool,
            bytes: blocks.bytes,
            _dev: dev,
        };
        Ok(Arc::new(pool, GFP_KERNEL)?)
    }
}

impl Drop for DmaPool<'_> {
    fn drop(&mut self) {
        // SAFETY: The pool is ours, its device is bound, and each block holds a reference: none is
        // left.
        unsafe { helpers::alloclab_dma_pool_destroy(self.pool.as_ptr()) };
    }
}

/// A block of a pool; dropping it gives it back.
pub(crate) type DmaBlock<'bound> = Owned<DmaPoolFree<'bound>>;

/// Where a block goes back to.
pub(crate) struct DmaPoolFree<'bound> {
    address: DmaAddress,
    pool: Arc<DmaPool<'bound>>,
}

impl Release for DmaPoolFree<'_> {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: the block with this address is of this pool.
        unsafe {
            helpers::alloclab_dma_pool_free(self.pool.pool.as_ptr(), memory.as_ptr(), self.address)
        };
    }
}

impl<'bound> DmaBlock<'bound> {
    /// Allocates a block, of which `size` bytes are used, at most all.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`.
    pub(crate) fn new(pool: &Arc<DmaPool<'bound>>, size: usize, gfp: Gfp) -> Result<Self> {
        let gfp = without_warning(gfp);
        let mut address: DmaAddress = 0;
        // SAFETY: By its type invariants the pool is valid; `address` is valid for a write.
        let block = unsafe {
            helpers::alloclab_dma_pool_alloc(pool.pool.as_ptr(), gfp.bits(), &mut address)
        };
        let start = NonNull::new(block.cast()).ok_or(ENOMEM)?;
        let size = size.min(pool.bytes);

        // SAFETY: By its type invariants, the pool's blocks have `pool.bytes` bytes. This one is
        // zeroed if the flags say so, and ours alone until it is given back: no device gets its
        // address.
        Ok(unsafe {
            let memory = Memory::new(start, size, pool.bytes, initialised(size, gfp));
            let pool = pool.clone();
            Self::of(memory, DmaPoolFree { address, pool })
        })
    }

    /// Returns the device's address of the first byte.
    pub(crate) fn dma_address(&self) -> ShownDmaAddress {
        ShownDmaAddress::new(self.source.address)
    }
}
