// SPDX-License-Identifier: GPL-2.0

//! What is called in C: made by scripts/kernel/bindgen.sh of
//! tests/bench/pairs.c.

#![allow(
    improper_ctypes,
    non_camel_case_types,
    unreachable_pub,
    reason = "it is bindgen's; C's zero-sized structs are only pointed to"
)]

use kernel::{
    bindings::*,
    ffi, //
};

extern "C" {
    pub fn alloclab_count_begin();
    pub fn alloclab_pairs_end();
    pub fn alloclab_pairs_begin(dev: *mut device) -> bool_;
    pub fn alloclab_pair_kmalloc(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_kzalloc(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_vmalloc(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_vzalloc(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_kvmalloc(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_devm(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_page(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_pages(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_slab(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_mempool(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_coherent(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_dmapool(dev: *mut device, size: usize) -> u32_;
    pub fn alloclab_pair_nothing(dev: *mut device, size: usize) -> u32_;
}
