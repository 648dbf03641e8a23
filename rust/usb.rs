// SPDX-License-Identifier: GPL-2.0

//! A driver of the USB bus, the module that has it, and the memory that the bus has for devices.
//!
//! `kernel::usb` is not built where USB is a module, as distributions have it, and it drops a
//! driver's data after devres is released: as late as that, nothing may be used any more.
//!
//! C headers: [`include/linux/usb.h`](srctree/include/linux/usb.h),
//! [`include/linux/usb/hcd.h`](srctree/include/linux/usb/hcd.h)

#![warn(dead_code, unused_imports, reason = "no other module has it")]

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    dma::DmaAddress,
    error::{
        from_result,
        to_result, //
    },
    ffi::c_int,
    prelude::*,
    types::Opaque, //
};

pub(crate) mod helpers;

use super::{
    assembly::{
        drop_raw,
        into_raw,
        Assembly,
        Driver, //
    },
    bound::BoundDevice,
    debugfs::Dir,
    dma::{
        without_warning,
        ShownDmaAddress, //
    },
    errno::Errno,
    gfp::Gfp,
    memory::{
        Memory,
        Owned,
        Release, //
    },
    module,
    raw::initialised, //
};

/// What a driver of the USB bus, and its module, provide further.
pub(crate) trait UsbDriver: Driver {
    /// Checks the module's parameters. Sleeps. An error refuses the load.
    fn load() -> Result;

    /// Logs what it means that its devices have no debugfs files. May sleep.
    ///
    /// The error is `ENODEV` where the kernel has no debugfs, `EPERM` where it is turned off, and
    /// another where the directory cannot be made.
    fn without_files(e: Error);

    /// Prepares the data. Sleeps. It logs what is wrong.
    fn probe<'bound>(
        interface: Interface<'bound>,
    ) -> Result<impl PinInit<Self::Data<'bound>, Error> + 'bound>;
}

/// A USB interface that stays bound for `'bound`.
///
/// # Invariants
///
/// The device is the one of a USB interface.
#[derive(Clone, Copy)]
pub(crate) struct Interface<'bound>(BoundDevice<'bound>);

impl<'bound> Interface<'bound> {
    /// Makes it of a device. Returns `ENODEV` for one that is no USB interface.
    pub(crate) fn of(dev: BoundDevice<'bound>) -> Result<Self> {
        // SAFETY: The device is valid, as `dev` borrows it.
        if !unsafe { helpers::alloclab_is_usb_interface(dev.as_raw()) } {
            return Err(ENODEV);
        }
        // INVARIANT: It was just found to be one.
        Ok(Self(dev))
    }

    /// Returns the device.
    pub(crate) fn device(self) -> BoundDevice<'bound> {
        self.0
    }

    /// Returns the device that does DMA for the controller, where that does any.
    pub(crate) fn controller(self) -> BoundDevice<'bound> {
        // SAFETY: By the type invariants.
        let controller = unsafe { helpers::alloclab_usb_controller(self.0.as_raw()) };
        // CAST: `Device` is a transparent wrapper of `struct device`.
        // SAFETY: It is the controller's device, or one above it whose driver has made that. A
        // driver takes away what it has made before it is unbound, and a controller the devices on
        // its bus.
        BoundDevice::new(unsafe { &*controller.cast::<Device<Bound>>() })
    }

    /// Returns whether the controller does DMA, and to the kernel's memory.
    pub(crate) fn does_dma(self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { helpers::alloclab_usb_does_dma(self.0.as_raw()) }
    }
}

/// Where the bus has memory for a device from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A pool of coherent memory, by blocks.
    Pool,
    /// Coherent memory, by pages.
    Coherent,
    /// Memory of the controller's own.
    Controller,
    /// `kmalloc`, as the controller does no DMA.
    Kmalloc,
}

/// Memory that the bus has for a device; dropping it frees it.
pub(crate) type UsbBuffer<'bound> = Owned<UsbFree<'bound>>;

/// Where it goes back to.
pub(crate) struct UsbFree<'bound> {
    interface: Interface<'bound>,
    address: DmaAddress,
    from: Source,
}

impl Release for UsbFree<'_> {
    unsafe fn release(&mut self, memory: &Memory) {
        // SAFETY: By the safety requirements: it was allocated for this interface, with this size
        // and this address.
        unsafe {
            helpers::alloclab_usb_free(
                self.interface.0.as_raw(),
                memory.size(),
                memory.as_ptr(),
                self.address,
            );
        }
    }
}

impl<'bound> UsbBuffer<'bound> {
    /// Allocates `size` bytes by `usb_alloc_coherent`.
    ///
    /// May sleep if `gfp` lets it. Returns `EINVAL` for a size of 0, `ENOMEM`.
    pub(crate) fn new(interface: Interface<'bound>, size: usize, gfp: Gfp) -> Result<Self> {
        if size == 0 {
            return Err(EINVAL);
        }
        let dev = interface.0.as_raw();
        let gfp = without_warning(gfp);
        let (mut address, mut usable): (DmaAddress, usize) = (0, 0);
        // SAFETY: By its type invariants; `address` is valid for a write.
        let block = unsafe { helpers::alloclab_usb_alloc(dev, size, gfp.bits(), &mut address) };
        let start = NonNull::new(block.cast()).ok_or(ENOMEM)?;

        // SAFETY: So many bytes were just allocated there; `usable` is valid for a write.
        let from = match unsafe { helpers::alloclab_usb_source(dev, block, size, &mut usable) } {
            0 => Source::Pool,
            1 => Source::Coherent,
            2 => Source::Controller,
            _ => Source::Kmalloc,
        };
        // By pages it is zeroed, whatever the flags say.
        let initialised = match from {
            Source::Coherent => size,
            _ => initialised(size, gfp),
        };
        let source = UsbFree {
            interface,
            address,
            from,
        };

        // SAFETY: The memory has `usable` bytes, at least `size`, the first of them initialised as
        // was said. It is ours alone until it is freed: no device gets its address.
        Ok(unsafe { Self::of(Memory::new(start, size, usable, initialised), source) })
    }

    /// Returns where it is from.
    pub(crate) fn from(&self) -> Source {
        self.source.from
    }

    /// Returns the device's address of the first byte, where there is one.
    pub(crate) fn dma_address(&self) -> Option<ShownDmaAddress> {
        (self.source.from != Source::Kmalloc).then(|| ShownDmaAddress::new(self.source.address))
    }
}

/// The registration of a driver with the USB bus; dropping it undoes that, and unbinds the driver's
/// interfaces.
///
/// It knows no device: user space names each by `new_id`.
///
/// # Invariants
///
/// The driver is registered, and nobody else unregisters it.
struct UsbRegistration<T> {
    driver: Pin<KBox<Opaque<bindings::usb_driver>>>,
    _driver: PhantomData<fn() -> T>,
}

// SAFETY: A driver may be unregistered from any thread.
unsafe impl<T> Send for UsbRegistration<T> {}

// SAFETY: Nothing can be done with a reference.
unsafe impl<T> Sync for UsbRegistration<T> {}

impl<T: UsbDriver> UsbRegistration<T> {
    /// Registers the driver. Sleeps. Returns `EBUSY` where there is one of its name, `ENOMEM`.
    fn new(module: &'static ThisModule) -> Result<Self> {
        let driver = KBox::pin(Opaque::<bindings::usb_driver>::zeroed(), GFP_KERNEL)?;
        let name = T::NAME.as_char_ptr();
        // SAFETY: The structure is ours until it is registered; all else in it may be zero.
        unsafe {
            let driver = driver.get();
            (*driver).name = name;
            (*driver).probe = Some(probe::<T>);
            (*driver).disconnect = Some(disconnect::<T>);
            (*driver).suspend = Some(suspend);
            (*driver).resume = Some(stay);
            (*driver).reset_resume = Some(stay);
            (*driver).pre_reset = Some(stay);
            (*driver).post_reset = Some(stay);
        }
        // SAFETY:
        // - It does not move, and it lives until it is unregistered; the name lives as long as the
        //   module.
        // - The callbacks are called as they demand: the bus calls `disconnect` for each interface
        //   that `probe` has taken, before the driver core releases devres.
        to_result(unsafe { bindings::usb_register_driver(driver.get(), module.as_ptr(), name) })?;

        // INVARIANT: It was just registered, and this is the only handle to it.
        Ok(Self {
            driver,
            _driver: PhantomData,
        })
    }
}

impl<T> Drop for UsbRegistration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, it is registered and ours to unregister.
        unsafe { bindings::usb_deregister(self.driver.get()) };
    }
}

/// Returns the device of an interface.
///
/// # Safety
///
/// `interface` must be valid.
unsafe fn device_of(interface: *mut bindings::usb_interface) -> *mut bindings::device {
    // SAFETY: By the safety requirements.
    unsafe { &raw mut (*interface).dev }
}

/// Puts an interface together. Sleeps.
///
/// # Safety
///
/// `interface` must be about to be bound. If this returns 0, `disconnect` must be called before it
/// is unbound, from any thread.
unsafe extern "C" fn probe<T: UsbDriver>(
    interface: *mut bindings::usb_interface,
    _id: *const bindings::usb_device_id,
) -> c_int {
    /// # Safety
    ///
    /// As of [`Assembly::new`].
    unsafe fn make<T: UsbDriver>(dev: BoundDevice<'static>) -> Result<Assembly<'static, T>> {
        // SAFETY: By the safety requirements.
        unsafe { Assembly::new(dev, T::probe(Interface::of(dev)?)?, None) }
    }
    // SAFETY: By the safety requirements; the driver's data is the driver's to set.
    from_result(|| unsafe {
        let dev = device_of(interface);
        bindings::dev_set_drvdata(dev, into_raw::<T>(dev, make::<T>)?);
        Ok(0)
    })
}

/// Takes an interface apart, with it still bound. Sleeps.
///
/// # Safety
///
/// `probe` must have taken the interface, and nobody may use its data any more.
unsafe extern "C" fn disconnect<T: UsbDriver>(interface: *mut bindings::usb_interface) {
    // SAFETY: By the safety requirements; `probe` has set the data.
    unsafe { drop_raw::<T>(bindings::dev_get_drvdata(device_of(interface))) };
}

/// Leaves an interface as it is, before and after its device is reset, and when it wakes up.
///
/// Nothing that the device does is to be stopped or started. Without this, the bus would unbind it.
extern "C" fn stay(_: *mut bindings::usb_interface) -> c_int {
    0
}

/// The same, before its device sleeps.
extern "C" fn suspend(_: *mut bindings::usb_interface, _: bindings::pm_message_t) -> c_int {
    0
}

/// The module: the driver, and the debugfs directory that devices share.
///
/// Dropped from top to bottom: when `_directory` goes, no device is left that has files in it.
pub(crate) struct UsbModule<T: UsbDriver> {
    _registration: UsbRegistration<T>,
    _directory: Option<Dir>,
}

impl<T: UsbDriver> kernel::Module for UsbModule<T> {
    fn init(module: &'static ThisModule) -> Result<Self> {
        T::load()?;
        let directory = Dir::new(T::NAME).inspect_err(|e| T::without_files(*e)).ok();
        let registration = UsbRegistration::new(module)
            .inspect_err(|e| pr_err!("the USB driver cannot be registered: {}\n", Errno(*e)))?;

        // Last: devices may be bound, and have files, before the registration is done or fails.
        module::loaded();
        Ok(Self {
            _registration: registration,
            _directory: directory,
        })
    }
}
