// SPDX-License-Identifier: GPL-2.0

//! A cache of objects of one size, with a constructor.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    ffi::{
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
    helpers,
    memory::{
        Memory,
        Owned,
        Release, //
    }, //
};

/// What the objects of a cache are.
pub(crate) trait ObjectType {
    /// The size of one, in bytes.
    const BYTES: usize;
    /// The alignment, in bytes: a power of two.
    const ALIGN: usize;

    /// Fills one, which is all zero, when its slab is new; not at each allocation. Does not sleep.
    fn construct(object: &mut [u8]);
}

/// Runs once for each object of a new slab.
///
/// # Safety
///
/// To be called by the slab allocator only, for a cache of `K`.
unsafe extern "C" fn construct<K: ObjectType>(object: *mut c_void) {
    let object = object.cast::<u8>();
    // SAFETY: The object has `K::BYTES` bytes and is nobody's yet.
    unsafe { object.write_bytes(0, K::BYTES) };
    // SAFETY: As before; the bytes are initialised now.
    K::construct(unsafe { core::slice::from_raw_parts_mut(object, K::BYTES) });
}

/// A `kmem_cache`; dropping it, after its last object, destroys it.
///
/// # Invariants
///
/// `cache` is a cache of objects of `K` that is ours alone.
pub(crate) struct Cache<K> {
    cache: NonNull<bindings::kmem_cache>,
    name: CString,
    _kind: PhantomData<fn() -> K>,
}

// SAFETY: Caches may be used from any thread; the slab allocator does its own locking.
unsafe impl<K> Send for Cache<K> {}

// SAFETY: As for `Send`.
unsafe impl<K> Sync for Cache<K> {}

impl<K: ObjectType> Cache<K> {
    /// Makes the cache `name`, which must be the name of no other cache.
    ///
    /// The constructor keeps it from being merged with another. Sleeps. Returns `ENOMEM`, also for
    /// objects that no slab can have.
    pub(crate) fn new(name: CString) -> Result<Arc<Self>> {
        const { assert!(K::ALIGN.is_power_of_two()) };
        let bytes = c_uint::try_from(K::BYTES).map_err(|_| ENOMEM)?;
        let align = c_uint::try_from(K::ALIGN).map_err(|_| ENOMEM)?;
        // SAFETY: The name is terminated, and copied; the constructor fits the size.
        let cache = unsafe {
            helpers::alloclab_cache_create(name.as_char_ptr(), bytes, align, Some(construct::<K>))
        };
        let cache = NonNull::new(cache).ok_or(ENOMEM)?;

        // INVARIANT: The cache is new.
        let cache = Self {
            cache,
            name,
            _kind: PhantomData,
        };
        Ok(Arc::new(cache, GFP_KERNEL)?)
    }
}

impl<K> Cache<K> {
    /// Returns the name.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }
}

impl<K> Drop for Cache<K> {
    fn drop(&mut self) {
        // SAFETY: The cache is ours, and each object holds a reference: none is left.
        unsafe { bindings::kmem_cache_destroy(self.cache.as_ptr()) };
    }
}

/// An object of a cache; dropping it gives it back.
pub(crate) type Object<K> = Owned<Arc<Cache<K>>>;

impl<K> Release for Arc<Cache<K>> {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: the object is of this cache.
        unsafe { bindings::kmem_cache_free(self.cache.as_ptr(), memory.as_ptr()) };
    }
}

impl<K: ObjectType> Object<K> {
    /// Allocates an object, of which `size` bytes are used, at most all.
    ///
    /// May sleep if `gfp` lets it. Returns `ENOMEM`.
    pub(crate) fn new(cache: &Arc<Cache<K>>, size: usize, gfp: Gfp) -> Result<Self> {
        // SAFETY: By its type invariants, the cache is valid.
        let object = unsafe { helpers::alloclab_cache_alloc(cache.cache.as_ptr(), gfp.bits()) };
        let start = NonNull::new(object.cast()).ok_or(ENOMEM)?;
        let size = size.min(K::BYTES);

        // SAFETY: The object has `K::BYTES` bytes, initialised by the constructor and by who had it
        // before, and is ours alone until it is given back.
        Ok(unsafe { Self::of(Memory::new(start, size, K::BYTES, size), cache.clone()) })
    }

    /// Returns the cache.
    pub(crate) fn cache(&self) -> &Cache<K> {
        &self.source
    }
}
