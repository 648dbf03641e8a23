// SPDX-License-Identifier: GPL-2.0

//! What is called in C: made by scripts/kernel/bindgen.sh of
//! tests/kunit/helpers.c.

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
    pub fn kunit_device_register(test: *mut kunit, name: *const ffi::c_char) -> *mut device;
    pub fn kunit_device_unregister(test: *mut kunit, dev: *mut device);
    pub fn alloclab_nr_free_pages() -> ffi::c_ulong;
}
