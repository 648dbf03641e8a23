// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module for USB devices, which params.c defines.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use kernel::{
    ffi::c_char,
    prelude::*,
    str::CStr, //
};

use crate::rust::usb::helpers;

/// Returns the text of a parameter.
///
/// # Safety
///
/// `read` must return a string that lives as long as the module.
unsafe fn parameter(read: unsafe extern "C" fn() -> *const c_char) -> &'static [u8] {
    // SAFETY: By the safety requirements. Parameters do not change after load.
    unsafe { CStr::from_char_ptr(read()) }.to_bytes()
}

/// Returns what method each device is to use at first.
pub(crate) fn method() -> &'static [u8] {
    // SAFETY: It is a parameter.
    unsafe { parameter(helpers::alloclab_usb_method) }
}

/// Returns how much each device is to allocate at first.
pub(crate) fn size() -> &'static [u8] {
    // SAFETY: It is a parameter.
    unsafe { parameter(helpers::alloclab_usb_size) }
}

/// Returns the flags that each device is to use at first.
pub(crate) fn gfp() -> &'static [u8] {
    // SAFETY: It is a parameter.
    unsafe { parameter(helpers::alloclab_usb_gfp) }
}
