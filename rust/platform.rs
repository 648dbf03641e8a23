// SPDX-License-Identifier: GPL-2.0

//! A platform driver, and the module that has it, the same on every kernel version.
//!
//! C header: [`include/linux/platform_device.h`](srctree/include/linux/platform_device.h)

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
    dma::{
        Device as _,
        DmaMask, //
    },
    driver,
    error::from_err_ptr,
    of,
    platform,
    prelude::*,
    str::CStr, //
};

pub(crate) use super::compat::of_device_table::form::of_device_table;

use super::{
    assembly::{
        Assembly,
        Driver, //
    },
    bound::BoundDevice,
    compat::platform_driver::{
        form::{
            Adapter,
            CoreDevice, //
        },
        Bind, //
    },
    debugfs::Dir,
    errno::Errno,
    helpers,
    line,
    module, //
};

/// What a driver of the platform bus, and its module, provide further.
pub(crate) trait PlatformDriver: Driver {
    /// The device-tree nodes that it drives.
    const OF_ID_TABLE: of::IdTable<()>;

    /// The addresses that its devices reach by DMA.
    const DMA_MASK: DmaMask;

    /// What users call the device of our own.
    const OWN_DEVICE: &'static str;

    /// What lives from load to unload.
    type Load: Send + Sync;

    /// Prepares what lives from load to unload. Sleeps. An error refuses the load.
    fn load() -> Result<Self::Load>;

    /// Logs what it means that its devices have no debugfs files. May sleep.
    ///
    /// The error is `ENODEV` where the kernel has no debugfs, `EPERM` where it is turned off, and
    /// another where the directory cannot be made.
    fn without_files(e: Error);

    /// Returns whether there is to be a device of our own, which has no node and no interrupt.
    fn wants_own_device() -> bool;

    /// Reads the node of `dev` and prepares the data. Sleeps.
    ///
    /// It logs what is wrong with a node.
    fn probe<'bound>(
        dev: BoundDevice<'bound>,
    ) -> Result<impl PinInit<Self::Data<'bound>, Error> + 'bound>;
}

/// What the `kernel` crate is told of a [`PlatformDriver`].
struct Binding<T>(PhantomData<T>);

impl<T: PlatformDriver> Bind for Binding<T> {
    type Data<'bound> = Assembly<'bound, T>;
    const OF_ID_TABLE: of::IdTable<()> = T::OF_ID_TABLE;

    unsafe fn bind<'bound>(pdev: &'bound CoreDevice<'_>) -> Result<Assembly<'bound, T>> {
        let dev: &'bound Device<Bound> = pdev.as_ref();

        // SAFETY: No DMA memory has been allocated yet, so that none is made at the same time.
        unsafe { pdev.dma_set_mask_and_coherent(T::DMA_MASK) }.inspect_err(|e| {
            let bits = T::DMA_MASK.value().count_ones();
            dev_err!(dev, "no DMA with {bits}-bit addresses: {}\n", Errno(*e));
        })?;

        // First, as it may have to wait for the controller, in silence.
        let found = line::find(pdev)?;
        let dev = BoundDevice::new(dev);
        // SAFETY: By the safety requirements of this function.
        unsafe { Assembly::new(dev, T::probe(dev)?, found) }
    }
}

/// A platform device without a node; dropping it unbinds and unregisters it.
///
/// # Invariants
///
/// The pointer is a platform device that is registered, and that nobody else unregisters.
struct OwnDevice(NonNull<bindings::platform_device>);

// SAFETY: A platform device may be unregistered from any thread.
unsafe impl Send for OwnDevice {}

// SAFETY: Nothing can be done with a reference.
unsafe impl Sync for OwnDevice {}

impl OwnDevice {
    /// Registers the device `name`.0, which the driver of that name then binds. Sleeps.
    ///
    /// Returns `EEXIST` where there is such a device, `ENOMEM`. That the driver refuses the device
    /// is no error here: the driver says so.
    fn new(name: &CStr) -> Result<Self> {
        // SAFETY: The name is terminated, and copied.
        let pdev = unsafe { helpers::alloclab_platform_device_register(name.as_char_ptr()) };
        let pdev = from_err_ptr(pdev)?;

        // INVARIANT: It was just registered, and this is the only handle to it.
        NonNull::new(pdev).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for OwnDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the device is registered and ours to unregister.
        unsafe { bindings::platform_device_unregister(self.0.as_ptr()) };
    }
}

/// The registration of a driver.
type PlatformRegistration<T> = driver::Registration<platform::Adapter<Adapter<Binding<T>>>>;

/// What registers the module's driver with other buses. Dropping it undoes that.
pub(crate) trait Buses: Send + Sync + Sized {
    /// Registers it. Sleeps. What goes wrong is logged.
    fn register(module: &'static ThisModule) -> Result<Self>;
}

/// There is no other bus.
impl Buses for () {
    fn register(_: &'static ThisModule) -> Result {
        Ok(())
    }
}

/// There are three.
impl<A: Buses, B: Buses, C: Buses> Buses for (A, B, C) {
    fn register(module: &'static ThisModule) -> Result<Self> {
        Ok((
            A::register(module)?,
            B::register(module)?,
            C::register(module)?,
        ))
    }
}

/// USB, whose devices are for a module of its own: says so where the kernel can have none.
pub(crate) struct UsbOfAnotherModule;

impl Buses for UsbOfAnotherModule {
    fn register(_: &'static ThisModule) -> Result<Self> {
        if !cfg!(alloclab_usb) {
            pr_info!("no USB devices: the kernel has no USB for drivers in Rust\n");
        }
        Ok(Self)
    }
}

/// The module: the driver, on the platform bus and others, the device of our own, and the debugfs
/// directory that devices share.
///
/// Dropped from top to bottom: when `_directory` goes, no device is left that has files in it.
pub(crate) struct Module<T: PlatformDriver, B: Buses = ()> {
    _own_device: Option<OwnDevice>,
    _buses: B,
    _registration: Pin<KBox<PlatformRegistration<T>>>,
    _directory: Option<Dir>,
    _load: T::Load,
}

impl<T: PlatformDriver, B: Buses + 'static> kernel::Module for Module<T, B> {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let load = T::load()?;
        let directory = Dir::new(T::NAME).inspect_err(|e| T::without_files(*e)).ok();
        let registration =
            KBox::pin_init(driver::Registration::new(T::NAME, module), GFP_KERNEL)
                .inspect_err(|e| pr_err!("the driver cannot be registered: {}\n", Errno(*e)))?;
        let buses = B::register(module)?;
        let own_device = own_device::<T>()?;

        // Last: devices are bound, and have files, before the registration is done or fails.
        module::loaded();
        Ok(Self {
            _own_device: own_device,
            _buses: buses,
            _registration: registration,
            _directory: directory,
            _load: load,
        })
    }
}

/// Makes the device of our own, if there is to be one.
fn own_device<T: PlatformDriver>() -> Result<Option<OwnDevice>> {
    if !T::wants_own_device() {
        return Ok(None);
    }
    let device = OwnDevice::new(T::NAME)
        .inspect_err(|e| pr_err!("{} cannot be made: {}\n", T::OWN_DEVICE, Errno(*e)));
    device.map(Some)
}
