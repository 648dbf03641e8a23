// SPDX-License-Identifier: GPL-2.0

//! A driver whose devices have debugfs files, a device file and perhaps an interrupt, on any bus.
//!
//! It owns the order in which a device is put together and taken apart.

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    ffi::c_void,
    irq::IrqRequest,
    of,
    prelude::*,
    str::CStr,
    sync::Arc, //
};

use super::{
    bound::{
        Attached,
        BoundDevice, //
    },
    debugfs::{
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
    line::Line, //
};

/// What a driver provides for its devices, whatever bus they are on.
///
/// What it makes of a [`BoundDevice`], a buffer for example, it can keep in its data and nowhere
/// else: the callbacks are generic over how long the device is bound.
pub(crate) trait Driver: Backed {
    /// The name of the driver, of its interrupts and of its debugfs directory.
    const NAME: &'static CStr;

    /// Its debugfs files.
    const FILES: &'static [File<Self>];

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

/// What a driver of devices on a bus provides that have no interrupt, and leave DMA to the bus's
/// controller.
pub(crate) trait ClientDriver: Driver {
    /// The device-tree nodes that it drives.
    const OF_ID_TABLE: of::IdTable<()>;

    /// Reads the node of `dev` and prepares the data. Sleeps.
    ///
    /// It logs what is wrong with a node.
    fn probe<'bound>(
        dev: BoundDevice<'bound>,
    ) -> Result<impl PinInit<Self::Data<'bound>, Error> + 'bound>;
}

/// Puts a device of a [`ClientDriver`] together; what is wrong is logged. Sleeps.
///
/// Returns `ENODEV` for a device with the node of another driver. The buses compare names without
/// the vendor, too.
///
/// # Safety
///
/// The value must be dropped, and not forgotten, before the device is unbound.
pub(super) unsafe fn bind_client<T: ClientDriver>(dev: BoundDevice<'_>) -> Result<Assembly<'_, T>> {
    // SAFETY: The device is valid, as `dev` borrows it. The table ends with an empty entry.
    if !unsafe { helpers::alloclab_may_match(T::OF_ID_TABLE.as_ptr(), dev.as_raw()) } {
        return Err(ENODEV);
    }
    // SAFETY: By the safety requirements of this function.
    unsafe { Assembly::new(dev, T::probe(dev)?, None) }
}

/// Makes what C keeps for a device until [`drop_raw`]; what is wrong is logged. Sleeps.
///
/// # Safety
///
/// `dev` must be about to be bound to a driver. If this returns a pointer, `drop_raw` of the same
/// `T` must be called with it, before the device is unbound and from any thread. `make` must ask
/// for no more than [`Assembly::new`] does.
pub(super) unsafe fn into_raw<T: Driver>(
    dev: *mut bindings::device,
    make: unsafe fn(BoundDevice<'static>) -> Result<Assembly<'static, T>>,
) -> Result<*mut c_void> {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    // SAFETY: The device is bound for as long as the reference is used: by the safety requirements,
    // what is made of it is dropped before that ends.
    let dev = BoundDevice::new(unsafe { &*dev.cast::<Device<Bound>>() });

    // Only when there is memory for it to lie in: what fails late was never bound.
    let room = KBox::<Assembly<'static, T>>::new_uninit(GFP_KERNEL)?;
    // SAFETY: By the safety requirements, `drop_raw` drops it in time.
    Ok(KBox::into_raw(room.write(unsafe { make(dev) }?)).cast())
}

/// Drops what C has kept. Sleeps.
///
/// # Safety
///
/// `data` must be what [`into_raw`] of the same `T` has made, and nobody may use it any more.
pub(super) unsafe fn drop_raw<T: Driver>(data: *mut c_void) {
    /// It may be dropped from another thread than it was made by.
    fn drop_anywhere<D: Send>(data: D) {
        drop(data);
    }
    // SAFETY: By the safety requirements, it is from `into_raw`, and it is ours. The type has no
    // lifetime that C could keep.
    drop_anywhere(unsafe { KBox::from_raw(data.cast::<Assembly<'static, T>>()) });
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
    /// Puts a device together, with its interrupt if there is one; what is wrong is logged. Sleeps.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(super) unsafe fn new(
        dev: BoundDevice<'bound>,
        data: impl PinInit<T::Data<'bound>, Error>,
        found: Option<(IrqRequest<'bound>, Line)>,
    ) -> Result<Self> {
        let line = found.as_ref().map(|(_, line)| *line);
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
