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
    sync::aref::ARef, //
};

use super::flag::Flag;

#[allow(improper_ctypes, reason = "C's zero-sized structs are only pointed to")]
extern "C" {
    fn alloclab_dma_mask(dev: *mut bindings::device) -> u64;
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
    /// The returned value, and all that are made of it, must be dropped before the device is
    /// unbound.
    pub(crate) unsafe fn new(dev: &Device<Bound>) -> Self {
        let dev: &Device = dev;
        // INVARIANT: `dev` is bound now, and by the safety requirements until the value is gone.
        Self(dev.into())
    }
}

impl BoundDevice {
    /// Returns another value for the same device, for what must not outlive its being bound.
    ///
    /// What gets it must live in the driver data, where [`BoundDevice::new`] wants all of them: see
    /// [`Driver`], on which that rests.
    ///
    /// [`Driver`]: super::platform::Driver
    pub(super) fn share(&self) -> Self {
        // INVARIANT: The safety requirements of `new` hold for this value too.
        Self(self.0.clone())
    }

    /// Returns the pointer for C.
    pub(super) fn as_raw(&self) -> *mut bindings::device {
        // CAST: `Device` is a transparent wrapper of `struct device`.
        core::ptr::from_ref::<Device>(&self.0).cast_mut().cast()
    }

    /// Returns the mask of the addresses that the device can reach.
    pub(crate) fn dma_mask(&self) -> u64 {
        // SAFETY: The device is valid, as `self` has a reference to it.
        unsafe { alloclab_dma_mask(self.as_raw()) }
    }

    /// Returns the device's name, as the kernel log shows it.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY:
        // - The device is valid, as `self` has a reference to it.
        // - The name is terminated, and it does not change while the device is bound.
        unsafe { CStr::from_char_ptr(alloclab_dev_name(self.as_raw())) }
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
    closing: Flag,
}

impl<T> Attached<T> {
    pub(super) fn new(dev: BoundDevice, data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            data <- data,
            dev,
            closing: Flag::new(false),
        })
    }

    /// Returns whether callbacks that take long are to end. Any context.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Tells callbacks that take long to end. Any context.
    pub(super) fn close(&self) {
        self.closing.set(true);
    }
}
