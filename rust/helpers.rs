// SPDX-License-Identifier: GPL-2.0

//! What is called in C: made by scripts/kernel/bindgen.sh of
//! rust/helpers.c rust/line.c rust/params.c rust/spi.c.

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

#[repr(C)]
#[derive(Copy, Clone)]
pub struct dma_pool {
    _unused: [u8; 0],
}
extern "C" {
    pub fn vfree(addr: *const ffi::c_void);
    pub fn alloclab_may_match(nodes: *const of_device_id, dev: *const device) -> bool_;
    pub fn alloclab_dev_name(dev: *const device) -> *const ffi::c_char;
    pub fn alloclab_controller_name(dev: *const device) -> *const ffi::c_char;
    pub fn alloclab_dma_mask(dev: *mut device) -> u64_;
    pub fn alloclab_place() -> ffi::c_int;
    pub fn alloclab_is_preempt_rt() -> bool_;
    pub fn alloclab_allow_spinlocks();
    pub fn alloclab_allow_spinlocks_end();
    pub fn alloclab_debugfs_create_dir(
        name: *const ffi::c_char,
        parent: *mut dentry,
    ) -> *mut dentry;
    pub fn alloclab_debugfs_create_file(
        name: *const ffi::c_char,
        mode: umode_t,
        parent: *mut dentry,
        data: *mut ffi::c_void,
        fops: *const file_operations,
    ) -> *mut dentry;
    pub fn alloclab_debugfs_remove(dentry: *mut dentry);
    pub fn alloclab_debugfs_lookup(name: *const ffi::c_char, parent: *mut dentry) -> *mut dentry;
    pub fn alloclab_vma_is_shared(vma: *const vm_area_struct) -> bool_;
    pub fn alloclab_vma_is_executable(vma: *const vm_area_struct) -> bool_;
    pub fn alloclab_vma_pages(vma: *const vm_area_struct) -> ffi::c_ulong;
    pub fn alloclab_vma_prepare(vma: *mut vm_area_struct, dev: *mut device);
    pub fn alloclab_fault_vma(fault: *const vm_fault) -> *mut vm_area_struct;
    pub fn alloclab_dma_can_mmap(dev: *mut device) -> bool_;
    pub fn alloclab_dma_pool_create(
        name: *const ffi::c_char,
        dev: *mut device,
        size: usize,
        align: usize,
        boundary: usize,
    ) -> *mut dma_pool;
    pub fn alloclab_dma_pool_destroy(pool: *mut dma_pool);
    pub fn alloclab_dma_pool_alloc(
        pool: *mut dma_pool,
        gfp: gfp_t,
        address: *mut dma_addr_t,
    ) -> *mut ffi::c_void;
    pub fn alloclab_dma_pool_free(
        pool: *mut dma_pool,
        block: *mut ffi::c_void,
        address: dma_addr_t,
    );
    pub fn alloclab_kmalloc_max_size() -> usize;
    pub fn alloclab_max_page_order() -> ffi::c_uint;
    pub fn alloclab_totalram_pages() -> ffi::c_ulong;
    pub fn alloclab_irq_is_nested(irq: ffi::c_uint) -> bool_;
    pub fn alloclab_irq_trigger(irq: ffi::c_uint) -> ffi::c_uint;
    pub fn alloclab_locked_down_to_confidentiality() -> ffi::c_int;
    pub fn alloclab_usable(start: *const ffi::c_void, size: usize) -> usize;
    pub fn alloclab_kernel_zeroes() -> bool_;
    pub fn alloclab_is_vmalloc(start: *const ffi::c_void) -> bool_;
    pub fn alloclab_is_linear(address: *const ffi::c_void) -> bool_;
    pub fn alloclab_pfn(address: *const ffi::c_void) -> ffi::c_ulong;
    pub fn alloclab_zero(pfn: ffi::c_ulong, offset: usize, len: usize);
    pub fn alloclab_pfn_to_nid(pfn: ffi::c_ulong) -> ffi::c_int;
    pub fn alloclab_mempool_create(reserve: ffi::c_int, size: usize) -> *mut mempool_t;
    pub fn alloclab_mempool_alloc(pool: *mut mempool_t, gfp: gfp_t) -> *mut ffi::c_void;
    pub fn alloclab_alloc_page(gfp: gfp_t) -> *mut page;
    pub fn alloclab_free_page(page: *mut page);
    pub fn alloclab_page_to_pfn(page: *const page) -> ffi::c_ulong;
    pub fn alloclab_platform_device_register(name: *const ffi::c_char) -> *mut platform_device;
    pub fn alloclab_kmalloc(size: usize, gfp: gfp_t) -> *mut ffi::c_void;
    pub fn alloclab_krealloc(
        block: *const ffi::c_void,
        size: usize,
        gfp: gfp_t,
    ) -> *mut ffi::c_void;
    pub fn alloclab_vmalloc(size: usize, gfp: gfp_t) -> *mut ffi::c_void;
    pub fn alloclab_get_free_pages(gfp: gfp_t, order: ffi::c_uint) -> *mut ffi::c_void;
    pub fn alloclab_available_pages() -> ffi::c_ulong;
    pub fn alloclab_cond_resched();
    pub fn alloclab_anon_inode(
        name: *const ffi::c_char,
        fops: *const file_operations,
    ) -> *mut inode;
    pub fn alloclab_copy(to: *mut ffi::c_void, from: *const ffi::c_void, len: usize);
    pub fn alloclab_fault_page(fault: *const vm_fault) -> ffi::c_ulong;
    pub fn alloclab_insert_pfn(fault: *const vm_fault, pfn: ffi::c_ulong) -> vm_fault_t;
    pub fn alloclab_cache_create(
        name: *const ffi::c_char,
        size: ffi::c_uint,
        align: ffi::c_uint,
        constructor: ::core::option::Option<unsafe extern "C" fn(object: *mut ffi::c_void)>,
    ) -> *mut kmem_cache;
    pub fn alloclab_cache_alloc(cache: *mut kmem_cache, gfp: gfp_t) -> *mut ffi::c_void;
    pub fn alloclab_trigger_of_node(dev: *const device, irq: *mut ffi::c_uint) -> ffi::c_uint;
    pub fn alloclab_wait_for_controller(dev: *const device);
    pub fn alloclab_button() -> bool_;
    pub fn alloclab_preload_kmalloc() -> ffi::c_ulong;
    pub fn alloclab_preload_vmalloc() -> ffi::c_ulong;
    pub fn alloclab_spi_register(
        name: *const ffi::c_char,
        nodes: *const of_device_id,
        make: ::core::option::Option<
            unsafe extern "C" fn(dev: *mut device, data: *mut *mut ffi::c_void) -> ffi::c_int,
        >,
        drop: ::core::option::Option<unsafe extern "C" fn(data: *mut ffi::c_void)>,
    ) -> ffi::c_int;
    pub fn alloclab_spi_unregister();
}
