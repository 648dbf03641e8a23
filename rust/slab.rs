// SPDX-License-Identifier: GPL-2.0

//! A cache of objects of one size, with a constructor.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use core::ptr::NonNull;

use kernel::{
    bindings,
    ffi::{
        c_char,
        c_uint,
        c_void, //
    },
    prelude::*,
    str::{
        CStr,
        CString, //
    },
    sync::Arc, //
};

use super::{
    gfp::Gfp,
    memory::{
        Memory,
        Owner, //
    }, //
};

#[allow(improper_ctypes, reason = "C's zero-sized structs are only pointed to")]
extern "C" {
    fn alloclab_cache_create(
        name: *const c_char,
        size: c_uint,
        align: c_uint,
        constructor: unsafe extern "C" fn(*mut c_void),
    ) -> *mut bindings::kmem_cache;
    fn alloclab_cache_destroy(cache: *mut bindings::kmem_cache);
    fn alloclab_cache_alloc(cache: *mut bindings::kmem_cache, gfp: c_uint) -> *mut c_void;
    fn alloclab_cache_free(cache: *mut bindings::kmem_cache, object: *mut c_void);
}

/// The size of an object, in bytes.
pub(crate) const OBJECT_BYTES: usize = 256;

/// The alignment of an object, in bytes.
pub(crate) const OBJECT_ALIGN: usize = 64;

/// What the constructor fills objects with.
pub(crate) const CONSTRUCTED: u8 = 0xc5;

/// Runs once for each object of a new slab, not at each allocation.
///
/// # Safety
///
/// To be called by the slab allocator only, for a cache of [`Cache::new`].
unsafe extern "C" fn construct(object: *mut c_void) {
    // SAFETY: The object has `OBJECT_BYTES` bytes and is nobody's yet.
    unsafe { object.cast::<u8>().write_bytes(CONSTRUCTED, OBJECT_BYTES) };
}

/// A `kmem_cache`; dropping it, after its last object, destroys it.
///
/// # Invariants
///
/// `cache` is a cache of objects of `OBJECT_BYTES` bytes that is ours alone.
pub(crate) struct Cache {
    cache: NonNull<bindings::kmem_cache>,
    name: CString,
}

// SAFETY: Caches may be used from any thread; the slab allocator does its own locking.
unsafe impl Send for Cache {}

// SAFETY: As for `Send`.
unsafe impl Sync for Cache {}

impl Cache {
    /// Makes the cache `name`, which must be the name of no other cache.
    ///
    /// The constructor keeps it from being merged with another. Sleeps. Returns `ENOMEM`.
    pub(crate) fn new(name: CString) -> Result<Arc<Self>> {
        // SAFETY: The name is terminated, and copied; the size fits; the constructor fits the size.
        let cache = unsafe {
            alloclab_cache_create(
                name.as_char_ptr(),
                OBJECT_BYTES as c_uint,
                OBJECT_ALIGN as c_uint,
                construct,
            )
        };
        let cache = NonNull::new(cache).ok_or(ENOMEM)?;

        // INVARIANT: The cache is new.
        Ok(Arc::new(Self { cache, name }, GFP_KERNEL)?)
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: The cache is ours, and each object holds a reference: none is left.
        unsafe { alloclab_cache_destroy(self.cache.as_ptr()) };
    }
}

/// An object of a cache; dropping it gives it back.
pub(crate) struct Object {
    memory: Memory,
    cache: Arc<Cache>,
}

impl Object {
    /// Allocates an object, of which `size` bytes are used, at most all.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`.
    pub(crate) fn new(cache: &Arc<Cache>, size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: By its type invariants, the cache is valid.
        let object = unsafe { alloclab_cache_alloc(cache.cache.as_ptr(), gfp.bits()) };
        let start = NonNull::new(object.cast()).ok_or(ENOMEM)?;
        let size = size.min(OBJECT_BYTES);

        // SAFETY: The object has `OBJECT_BYTES` bytes, initialised by the constructor and by who
        // had it before, and is ours alone until `self` is dropped.
        let memory = unsafe { Memory::new(start, size, OBJECT_BYTES, size) };
        Ok(Self {
            memory,
            cache: cache.clone(),
        })
    }

    /// Returns the cache.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }
}

impl Owner for Object {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.memory.bytes()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: The object is of this cache, ours, and not used any more.
        unsafe { alloclab_cache_free(self.cache.cache.as_ptr(), self.memory.as_ptr()) };
    }
}
