// SPDX-License-Identifier: GPL-2.0

//! A platform driver with an interrupt, debugfs files and a device file, the same on every kernel
//! version.
//!
//! It owns the order in which a device is put together and taken apart.
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
    str::CStr,
    sync::Arc, //
};

pub(crate) use super::compat::of_device_table::form::of_device_table;

use super::{
    bound::{
        Attached,
        BoundDevice, //
    },
    compat::platform_driver::{
        form::{
            Adapter,
            CoreDevice, //
        },
        Bind, //
    },
    debugfs::{
        Dir,
        File,
        Files, //
    },
    device_file::{
        Backed,
        DeviceFile, //
    },
    errno::Errno,
    helpers,
    interrupt::{
        Halves,
        Interrupt,
        Wake, //
    },
    line::{
        self,
        Line, //
    },
    module, //
};

/// What a driver provides.
///
/// What it makes of a [`BoundDevice`], a buffer for example, it can keep in its data and nowhere
/// else: the callbacks are generic over how long the device is bound.
pub(crate) trait Driver: Backed {
    /// The name of the driver, of its interrupts and of its debugfs directory.
    const NAME: &'static CStr;

    /// The device-tree nodes that it drives.
    const OF_ID_TABLE: of::IdTable<()>;

    /// Its debugfs files.
    const FILES: &'static [File<Self>];

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

    /// Called once the data is in place, before anything else calls. Sleeps.
    ///
    /// An error fails the probe; `unbind` is called then.
    fn start<'bound>(_data: &Self::Data<'bound>, _dev: BoundDevice<'bound>) -> Result {
        Ok(())
    }

    /// Called once everything is in place, with the line where there is one. Sleeps.
    fn ready<'bound>(data: &Self::Data<'bound>, dev: BoundDevice<'bound>, line: Option<Line>);

    /// The hard half of the interrupt: hard interrupt context, must not sleep.
    fn hard<'bound>(data: &Self::Data<'bound>, dev: BoundDevice<'bound>) -> Wake;

    /// The thread half of the interrupt. May sleep.
    ///
    /// It must return soon once `is_closing` says so: unbind waits for it.
    fn thread<'bound>(
        data: &Self::Data<'bound>,
        dev: BoundDevice<'bound>,
        is_closing: impl Fn() -> bool,
    );

    /// Called after the last of the other callbacks, with the device still bound. Sleeps.
    fn unbind<'bound>(data: &Self::Data<'bound>, dev: BoundDevice<'bound>);
}

impl<T: Driver> Halves for Arc<Attached<'_, T>> {
    fn hard(&self) -> Wake {
        T::hard(&self.data, self.dev)
    }

    fn thread(&self) {
        T::thread(&self.data, self.dev, || self.is_closing());
    }
}

/// The last reference to a device's data; dropping it tells the driver first.
struct Last<'bound, T: Driver>(Arc<Attached<'bound, T>>);

impl<T: Driver> Drop for Last<'_, T> {
    fn drop(&mut self) {
        T::unbind(&self.0.data, self.0.dev);
    }
}

/// The interrupt of a device.
type DeviceInterrupt<'bound, T> = Pin<KBox<Interrupt<'bound, Arc<Attached<'bound, T>>>>>;

/// Everything that belongs to one bound device, dropped from top to bottom.
///
/// The order is what lets the callbacks have `'bound` data: no interrupt runs, then no operation of
/// a file, and then the data goes, all while the driver core drops the driver data, before it
/// releases devres.
pub(crate) struct Assembly<'bound, T: Driver> {
    _interrupt: Option<DeviceInterrupt<'bound, T>>,
    _files: Files<'bound, T>,
    _device_file: Option<DeviceFile<'bound, T>>,
    last: Last<'bound, T>,
}

impl<'bound, T: Driver> Assembly<'bound, T> {
    /// Puts a device together; what is wrong is logged.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    unsafe fn new(pdev: &'bound CoreDevice<'_>) -> Result<Self> {
        let dev: &'bound Device<Bound> = pdev.as_ref();

        // SAFETY: No DMA memory has been allocated yet, so that none is made at the same time.
        unsafe { pdev.dma_set_mask_and_coherent(T::DMA_MASK) }.inspect_err(|e| {
            let bits = T::DMA_MASK.value().count_ones();
            dev_err!(dev, "no DMA with {bits}-bit addresses: {}\n", Errno(*e));
        })?;

        // First, as it may have to wait for the controller, in silence.
        let found = line::find(pdev)?;
        let line = found.as_ref().map(|(_, line)| *line);

        let dev = BoundDevice::new(dev);
        let data = T::probe(dev)?;
        let attached = Arc::pin_init(Attached::new(dev, data), GFP_KERNEL)?;
        let last = Last(attached.clone());
        T::start(&last.0.data, dev)?;
        // SAFETY: It becomes a field of this value, for which the caller promises the same, or is
        // dropped here.
        let files = unsafe { Files::new(T::NAME, T::FILES, attached.clone()) };
        // SAFETY: As for the files.
        let device_file = unsafe { DeviceFile::new(T::NAME, attached.clone()) };

        let interrupt = found.map(|(request, line)| {
            // SAFETY: As for the files.
            let interrupt = unsafe { Interrupt::new(request, line, T::NAME, attached) };
            KBox::pin_init(interrupt, GFP_KERNEL).inspect_err(|e| {
                if *e != EPROBE_DEFER {
                    dev_err!(dev, "interrupts: {line} cannot be had: {}\n", Errno(*e));
                }
            })
        });
        let interrupt = interrupt.transpose()?;

        T::ready(&last.0.data, dev, line);
        Ok(Self {
            _interrupt: interrupt,
            _files: files,
            _device_file: device_file,
            last,
        })
    }
}

impl<T: Driver> Drop for Assembly<'_, T> {
    fn drop(&mut self) {
        // Before the interrupt is freed, which waits for its thread half.
        self.last.0.close();
    }
}

/// What the `kernel` crate is told of a [`Driver`].
struct Binding<T>(PhantomData<T>);

impl<T: Driver> Bind for Binding<T> {
    type Data<'bound> = Assembly<'bound, T>;
    const OF_ID_TABLE: of::IdTable<()> = T::OF_ID_TABLE;

    unsafe fn bind<'bound>(pdev: &'bound CoreDevice<'_>) -> Result<Assembly<'bound, T>> {
        // SAFETY: By the safety requirements of this function.
        unsafe { Assembly::new(pdev) }
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
type Registration<T> = driver::Registration<platform::Adapter<Adapter<Binding<T>>>>;

/// The module: the driver, the device of our own, and the debugfs directory that devices share.
///
/// Dropped from top to bottom: when `_directory` goes, no device is left that has files in it.
pub(crate) struct Module<T: Driver> {
    _own_device: Option<OwnDevice>,
    _registration: Pin<KBox<Registration<T>>>,
    _directory: Option<Dir>,
    _load: T::Load,
}

impl<T: Driver> kernel::Module for Module<T> {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let load = T::load()?;
        let directory = Dir::new(T::NAME).inspect_err(|e| T::without_files(*e)).ok();
        let registration =
            KBox::pin_init(driver::Registration::new(T::NAME, module), GFP_KERNEL)
                .inspect_err(|e| pr_err!("the driver cannot be registered: {}\n", Errno(*e)))?;
        let own_device = own_device::<T>()?;

        // Last: devices are bound, and have files, before the registration is done or fails.
        module::loaded();
        Ok(Self {
            _own_device: own_device,
            _registration: registration,
            _directory: directory,
            _load: load,
        })
    }
}

/// Makes the device of our own, if there is to be one.
fn own_device<T: Driver>() -> Result<Option<OwnDevice>> {
    if !T::wants_own_device() {
        return Ok(None);
    }
    let device = OwnDevice::new(T::NAME)
        .inspect_err(|e| pr_err!("{} cannot be made: {}\n", T::OWN_DEVICE, Errno(*e)));
    device.map(Some)
}
