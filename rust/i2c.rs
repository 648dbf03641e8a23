// SPDX-License-Identifier: GPL-2.0

//! A driver of the I2C bus, the same on every kernel version that has one for drivers in Rust.
//!
//! C header: [`include/linux/i2c.h`](srctree/include/linux/i2c.h)

use core::marker::PhantomData;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    of,
    prelude::*, //
};

use super::{
    assembly::{
        Assembly,
        Driver, //
    },
    bound::BoundDevice,
    compat::i2c_driver::{
        form as compat,
        Bind, //
    },
    errno::Errno,
    platform::Buses, //
};

/// What a driver of the I2C bus provides further. Its devices do no DMA and have no interrupt.
pub(crate) trait I2cDriver: Driver {
    /// The device-tree nodes that it drives.
    const OF_ID_TABLE: of::IdTable<()>;

    /// Reads the node of `dev` and prepares the data. Sleeps.
    ///
    /// It logs what is wrong with a node.
    fn probe<'bound>(
        dev: BoundDevice<'bound>,
    ) -> Result<impl PinInit<Self::Data<'bound>, Error> + 'bound>;
}

/// What the `kernel` crate is told of an [`I2cDriver`].
struct Binding<T>(PhantomData<T>);

impl<T: I2cDriver> Bind for Binding<T> {
    type Data<'bound> = Assembly<'bound, T>;
    const OF_ID_TABLE: of::IdTable<()> = T::OF_ID_TABLE;

    unsafe fn bind<'bound>(dev: &'bound Device<Bound>) -> Result<Assembly<'bound, T>> {
        let dev = BoundDevice::new(dev);
        // SAFETY: By the safety requirements of this function.
        unsafe { Assembly::new(dev, T::probe(dev)?, None) }
    }
}

/// The registration of a driver with the I2C bus.
pub(crate) struct I2cBus<T: I2cDriver> {
    _registration: Option<compat::Registration<Binding<T>>>,
}

impl<T: I2cDriver> Buses for I2cBus<T> {
    fn register(module: &'static ThisModule) -> Result<Self> {
        let registration = compat::register(T::NAME, module)
            .inspect_err(|e| pr_err!("the I2C driver cannot be registered: {}\n", Errno(*e)))?;
        if registration.is_none() {
            pr_info!("no I2C devices: the kernel has no I2C for drivers in Rust\n");
        }
        Ok(Self {
            _registration: registration,
        })
    }
}
