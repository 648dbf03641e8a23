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
        bind_client,
        Assembly,
        ClientDriver, //
    },
    bound::BoundDevice,
    compat::i2c_driver::{
        form as compat,
        Bind, //
    },
    errno::Errno,
    platform::Buses, //
};

/// What the `kernel` crate is told of an [`ClientDriver`].
struct ClientBinding<T>(PhantomData<T>);

impl<T: ClientDriver> Bind for ClientBinding<T> {
    type Data<'bound> = Assembly<'bound, T>;
    const OF_ID_TABLE: of::IdTable<()> = T::OF_ID_TABLE;

    unsafe fn bind<'bound>(dev: &'bound Device<Bound>) -> Result<Assembly<'bound, T>> {
        // SAFETY: By the safety requirements of this function.
        unsafe { bind_client(BoundDevice::new(dev)) }
    }
}

/// The registration of a driver with the I2C bus.
pub(crate) struct I2cBus<T: ClientDriver> {
    _registration: Option<compat::Registration<ClientBinding<T>>>,
}

impl<T: ClientDriver> Buses for I2cBus<T> {
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
