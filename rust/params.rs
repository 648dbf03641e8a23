// SPDX-License-Identifier: GPL-2.0

//! The module's parameters, which params.c defines.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use crate::rust::helpers;

/// Returns whether to make a button without a line.
pub(crate) fn button() -> bool {
    // SAFETY: The function reads a variable that does not change after load.
    unsafe { helpers::alloclab_button() }
}

/// Returns how many bytes to allocate by `kmalloc` while the module is loaded.
pub(crate) fn preload_kmalloc() -> usize {
    // SAFETY: The function reads a variable that does not change after load.
    unsafe { helpers::alloclab_preload_kmalloc() as usize }
}

/// Returns how many bytes to allocate by `vmalloc` while the module is loaded.
pub(crate) fn preload_vmalloc() -> usize {
    // SAFETY: The function reads a variable that does not change after load.
    unsafe { helpers::alloclab_preload_vmalloc() as usize }
}
