// SPDX-License-Identifier: GPL-2.0

//! What is called in C: made by scripts/kernel/bindgen.sh of
//! rust/usb/helpers.c rust/usb/params.c.

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
    pub fn alloclab_is_usb_interface(dev: *const device) -> bool_;
    pub fn alloclab_usb_controller(dev: *mut device) -> *mut device;
    pub fn alloclab_usb_does_dma(dev: *mut device) -> bool_;
    pub fn alloclab_usb_alloc(
        dev: *mut device,
        bytes: usize,
        flags: gfp_t,
        dma: *mut dma_addr_t,
    ) -> *mut ffi::c_void;
    pub fn alloclab_usb_free(
        dev: *mut device,
        bytes: usize,
        start: *mut ffi::c_void,
        dma: dma_addr_t,
    );
    pub fn alloclab_usb_source(
        dev: *mut device,
        start: *const ffi::c_void,
        bytes: usize,
        usable: *mut usize,
    ) -> ffi::c_int;
    pub fn alloclab_usb_method() -> *const ffi::c_char;
    pub fn alloclab_usb_size() -> *const ffi::c_char;
    pub fn alloclab_usb_gfp() -> *const ffi::c_char;
}
