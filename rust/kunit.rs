// SPDX-License-Identifier: GPL-2.0

//! What only the KUnit module needs: a device to allocate for, the memory that is free, and how
//! often a thread slept.
//!
//! Not in `mod.rs`: the driver does not contain it.
//!
//! C header: [`include/kunit/device.h`](srctree/include/kunit/device.h)

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    error::from_err_ptr,
    ffi::c_ulong,
    page::PAGE_SIZE,
    prelude::*,
    str::CStr,
    task::Task, //
};

use crate::rust::bound::BoundDevice;

#[path = "../tests/kunit/helpers.rs"]
mod helpers;

/// A device on KUnit's own bus, bound to a driver of KUnit's; dropping it unregisters it.
///
/// Its DMA mask has 32 bits.
///
/// # Invariants
///
/// `dev` is registered and bound, and `test` is the running test that it belongs to.
pub(crate) struct TestDevice {
    test: *mut bindings::kunit,
    dev: *mut bindings::device,
}

impl TestDevice {
    /// Registers a device for the running test. Sleeps. Returns `ENODEV` outside of a test.
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        // SAFETY: The function has no requirements; it returns null outside of a test.
        let test = unsafe { bindings::kunit_get_current_test() };
        if test.is_null() {
            return Err(ENODEV);
        }

        // SAFETY: `test` is the running test, the name is terminated and copied.
        let dev = unsafe { helpers::kunit_device_register(test, name.as_char_ptr()) };
        let dev = from_err_ptr(dev)?;

        // INVARIANT: The device was registered for the running test.
        Ok(Self { test, dev })
    }

    /// Returns the device.
    pub(crate) fn bound(&self) -> BoundDevice<'_> {
        // SAFETY: By the type invariants, the device is bound; it is until `self` is dropped.
        // CAST: `Device` is a transparent wrapper of `struct device`.
        BoundDevice::new(unsafe { &*self.dev.cast::<Device<Bound>>() })
    }
}

impl Drop for TestDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, both are what `kunit_device_register` had.
        unsafe { helpers::kunit_device_unregister(self.test, self.dev) };
    }
}

/// Returns the bytes in free pages now. Any context; the value is out of date when it is read.
pub(crate) fn free_bytes() -> usize {
    // SAFETY: The function reads a counter.
    PAGE_SIZE.saturating_mul(unsafe { helpers::alloclab_nr_free_pages() } as usize)
}

/// Returns how often a thread gave up its processor by itself. Any context.
pub(crate) fn sleeps(task: &Task) -> c_ulong {
    // SAFETY: The reference keeps the thread's structure. Its counter is read at once, as by
    // `READ_ONCE`.
    unsafe { (&raw const (*task.as_ptr()).nvcsw).read_volatile() }
}
