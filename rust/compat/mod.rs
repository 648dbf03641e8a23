// SPDX-License-Identifier: GPL-2.0

//! What differs between the kernels: each file is one interface of the `kernel` crate, or what C
//! takes.
//!
//! A file has a module `form` for each form that a kernel may have, the newest first. A build
//! compiles each to find out which one its kernel has; the driver uses that one. To drop a kernel
//! is to delete the forms that no other kernel has, and then the file, where it says what replaces
//! it.

pub(super) mod coherent;
pub(super) mod i2c_driver;
pub(super) mod of_device_table;
pub(super) mod platform_driver;
pub(super) mod threaded_irq;
pub(super) mod vmalloc_gfp;
