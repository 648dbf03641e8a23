// SPDX-License-Identifier: GPL-2.0

//! The bound device, for callbacks that only run while the device is bound.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use core::ops::Deref;

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    ffi::c_char,
    prelude::*,
    str::CStr,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    }, //
};

#[allow(improper_ctypes, reason = "C's zero-sized structs are only pointed to")]
extern "C" {
    fn alloclab_dev_name(dev: *const bindings::device) -> *const c_char;
}

/// A device that stays bound for as long as this value lives.
///
/// # Invariants
///
/// The device is bound.
pub(crate) struct BoundDevice(ARef<Device>);

impl BoundDevice {
    /// Takes a reference to `dev` that outlives the caller.
    ///
    /// # Safety
    ///
    /// The returned value must be dropped before the device is unbound.
    pub(super) unsafe fn new(dev: &Device<Bound>) -> Self {
        let dev: &Device = dev;
        // INVARIANT: `dev` is bound now, and by the safety requirements until the value is gone.
        Self(dev.into())
    }
}

impl Deref for BoundDevice {
    type Target = Device<Bound>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: By the type invariants, the device is bound for as long as `self` lives, and the
        // returned reference does not outlive `self`.
        unsafe { self.0.as_bound() }
    }
}

/// Data of a driver together with the device that it drives.
///
/// This is what every callback of a driver gets. It lives in an `Arc` whose references are held by
/// the interrupt, the debugfs files and the driver data, in the order in which [`Assembly`] drops
/// them: the data dies with the last one, while the device is still bound.
///
/// [`Assembly`]: super::platform::Assembly
#[pin_data]
pub(crate) struct Attached<T> {
    /// The driver's own data. Dropped before `dev`, so that its drop may use the device.
    #[pin]
    pub(crate) data: T,
    /// The device.
    pub(crate) dev: BoundDevice,
    closing: Atomic<bool>,
}

impl<T> Attached<T> {
    pub(super) fn new(dev: BoundDevice, data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            data <- data,
            dev,
            closing: Atomic::new(false),
        })
    }

    /// Returns whether callbacks that take long are to end. Any context.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Tells callbacks that take long to end. Any context.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
    }
}

/// Returns the name of `dev`, as the kernel log shows it.
pub(crate) fn name(dev: &Device<Bound>) -> &CStr {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    let dev = core::ptr::from_ref(dev).cast::<bindings::device>();

    // SAFETY:
    // - `dev` is valid, as it comes from a reference.
    // - The name is terminated, and it does not change while the device is bound.
    unsafe { CStr::from_char_ptr(alloclab_dev_name(dev)) }
}
