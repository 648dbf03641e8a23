// SPDX-License-Identifier: GPL-2.0

//! What only the module needs that compares pairs of allocate and free: the count of instructions,
//! and the same pairs in C.
//!
//! Not in `mod.rs`: the driver does not contain it.

use core::arch::asm;

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

use crate::rust::bound::BoundDevice;

#[path = "../tests/bench/pairs.rs"]
mod c;

/// Returns how many instructions were carried out, of 32 bits. Any context.
#[inline(always)]
pub(crate) fn count() -> u32 {
    let count: u64;
    // SAFETY: It reads a counter, as count.h does.
    unsafe { asm!("isb", "mrs {}, pmevcntr0_el0", out(reg) count) };
    count as u32
}

/// The counter, and what C's pairs allocate from; dropping it gives that back.
pub(crate) struct Pairs<'a>(BoundDevice<'a>);

/// Returns the pointer for C.
fn as_raw(dev: &Device<Bound>) -> *mut bindings::device {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(dev).cast_mut().cast()
}

impl<'a> Pairs<'a> {
    /// Prepares C's side. Sleeps. Returns `ENOMEM`. There must be one at a time.
    pub(crate) fn new(dev: BoundDevice<'a>) -> Result<Self> {
        // SAFETY: Nobody else uses the counter in a guest that measures.
        unsafe { c::alloclab_count_begin() };
        // SAFETY: The device is bound, and stays so while `self` lives.
        if unsafe { c::alloclab_pairs_begin(as_raw(&dev)) } {
            Ok(Self(dev))
        } else {
            Err(ENOMEM)
        }
    }
}

impl Drop for Pairs<'_> {
    fn drop(&mut self) {
        // SAFETY: `new` has made it, and no pair is under way.
        unsafe { c::alloclab_pairs_end() };
    }
}

/// Makes for each name a function that carries out C's pair and returns its count, 0 if it failed.
macro_rules! pairs {
    ($($name:ident = $symbol:ident;)*) => {
        impl Pairs<'_> {
            $(
                /// Carries out the pair for `size` bytes. Sleeps.
                pub(crate) fn $name(&self, size: usize) -> u32 {
                    // SAFETY: The device is bound, and what it allocates from is there.
                    unsafe { c::$symbol(as_raw(&self.0), size) }
                }
            )*
        }
    };
}

pairs! {
    nothing = alloclab_pair_nothing;
    kmalloc = alloclab_pair_kmalloc;
    kzalloc = alloclab_pair_kzalloc;
    vmalloc = alloclab_pair_vmalloc;
    coherent = alloclab_pair_coherent;
    kvmalloc = alloclab_pair_kvmalloc;
    vzalloc = alloclab_pair_vzalloc;
    devm = alloclab_pair_devm;
    page = alloclab_pair_page;
    pages = alloclab_pair_pages;
    slab = alloclab_pair_slab;
    mempool = alloclab_pair_mempool;
    dmapool = alloclab_pair_dmapool;
}
