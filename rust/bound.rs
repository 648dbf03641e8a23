// SPDX-License-Identifier: GPL-2.0

//! The bound device, and what is kept for it while it is bound.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use core::ops::Deref;

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    str::CStr, //
};

use super::{
    flag::Flag,
    helpers, //
};

/// A device that stays bound for `'bound`.
///
/// It is `&'bound Device<Bound>`, which may be sent to another thread on every kernel version.
///
/// # Invariants
///
/// The device is bound for `'bound`.
#[derive(Clone, Copy)]
pub(crate) struct BoundDevice<'bound>(&'bound Device);

impl<'bound> BoundDevice<'bound> {
    /// Makes it of the reference that the `kernel` crate gives.
    pub(crate) fn new(dev: &'bound Device<Bound>) -> Self {
        // INVARIANT: A `Device<Bound>` is bound for as long as it is borrowed.
        Self(dev)
    }

    /// Returns the pointer for C.
    pub(super) fn as_raw(self) -> *mut bindings::device {
        // CAST: `Device` is a transparent wrapper of `struct device`.
        core::ptr::from_ref(self.0).cast_mut().cast()
    }

    /// Returns the mask of the addresses that the device can reach.
    pub(crate) fn dma_mask(self) -> u64 {
        // SAFETY: The device is valid, as `self` borrows it.
        unsafe { helpers::alloclab_dma_mask(self.as_raw()) }
    }

    /// Returns the name of the device that drives the bus of this one, where it is on a bus whose
    /// controllers are devices themselves: I2C, SPI. Behind a multiplexer of buses, it is the next
    /// device on the way there.
    pub(crate) fn controller(self) -> Option<&'bound CStr> {
        // SAFETY: The device is valid, as `self` borrows it. A controller goes after the devices on
        // its bus.
        let name = unsafe { helpers::alloclab_controller_name(self.as_raw()) };
        // SAFETY: A name is terminated, and it does not change while the device is bound.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    }

    /// Returns the device's name, as the kernel log shows it.
    pub(crate) fn name(self) -> &'bound CStr {
        // SAFETY:
        // - The device is valid, as `self` borrows it.
        // - The name is terminated, and it does not change while the device is bound.
        unsafe { CStr::from_char_ptr(helpers::alloclab_dev_name(self.as_raw())) }
    }
}

impl Deref for BoundDevice<'_> {
    type Target = Device<Bound>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: By the type invariants, the device is bound for `'bound`, which the returned
        // reference does not outlive.
        unsafe { self.0.as_bound() }
    }
}

/// What a driver keeps for one device: a type for each lifetime for which a device may be bound.
///
/// As the driver's callbacks are generic over the lifetime, nothing that they make of a
/// [`BoundDevice`] can be kept in a `static`, or where else it would outlive the device's being
/// bound.
pub(crate) trait PerDevice: 'static {
    /// The data for a device that is bound for `'bound`.
    type Data<'bound>: Send + Sync + 'bound;
}

/// Data of a driver together with the device that it drives.
///
/// This is what every callback of a driver gets. It lives in an `Arc` whose references are held by
/// the interrupt, the debugfs files, the device file and the driver data, in the order in which
/// [`Assembly`] drops them: the data dies with the last one, while the device is still bound.
///
/// [`Assembly`]: super::assembly::Assembly
#[pin_data]
pub(crate) struct Attached<'bound, T: PerDevice> {
    /// The driver's own data.
    #[pin]
    pub(crate) data: T::Data<'bound>,
    /// The device.
    pub(crate) dev: BoundDevice<'bound>,
    closing: Flag,
}

impl<'bound, T: PerDevice> Attached<'bound, T> {
    pub(super) fn new(
        dev: BoundDevice<'bound>,
        data: impl PinInit<T::Data<'bound>, Error>,
    ) -> impl PinInit<Self, Error> {
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
