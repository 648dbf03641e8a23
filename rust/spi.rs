// SPDX-License-Identifier: GPL-2.0

//! A driver of the SPI bus, of which the `kernel` crate has nothing.
//!
//! C header: [`include/linux/spi/spi.h`](srctree/include/linux/spi/spi.h)

use core::marker::PhantomData;

use kernel::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*, //
};

use super::{
    assembly::{
        bind_client,
        drop_raw,
        into_raw,
        ClientDriver, //
    },
    errno::Errno,
    helpers,
    platform::Buses, //
};

/// The registration of a driver with the SPI bus; dropping it undoes that, and unbinds the driver's
/// devices.
///
/// # Invariants
///
/// Where the kernel has SPI, the driver is registered, and nobody else unregisters it.
pub(crate) struct SpiBus<T>(PhantomData<fn() -> T>);

/// Makes the data of a device. Sleeps.
///
/// # Safety
///
/// `dev` must be about to be bound, and `data` valid for a write. If this returns 0, `remove` must
/// be called with what was written, before the device is unbound and from any thread.
unsafe extern "C" fn probe<T: ClientDriver>(
    dev: *mut bindings::device,
    data: *mut *mut c_void,
) -> c_int {
    // SAFETY: By the safety requirements.
    from_result(|| unsafe {
        *data = into_raw::<T>(dev, bind_client)?;
        Ok(0)
    })
}

/// Drops the data of a device. Sleeps.
///
/// # Safety
///
/// `data` must be what `probe` has made of this device, and nobody may use it any more.
unsafe extern "C" fn remove<T: ClientDriver>(data: *mut c_void) {
    // SAFETY: By the safety requirements.
    unsafe { drop_raw::<T>(data) };
}

impl<T: ClientDriver> Buses for SpiBus<T> {
    fn register(_: &'static ThisModule) -> Result<Self> {
        if !cfg!(CONFIG_SPI) {
            pr_info!("no SPI devices: the kernel has no SPI\n");
            return Ok(Self(PhantomData));
        }
        // SAFETY:
        // - Name and table live as long as the module, which unregisters the driver at its end.
        // - A module registers it once, when it is loaded.
        // - The callbacks are called as they demand: the bus removes each device that it has probed
        //   before the driver core releases devres.
        to_result(unsafe {
            helpers::alloclab_spi_register(
                T::NAME.as_char_ptr(),
                T::OF_ID_TABLE.as_ptr(),
                Some(probe::<T>),
                Some(remove::<T>),
            )
        })
        .inspect_err(|e| pr_err!("the SPI driver cannot be registered: {}\n", Errno(*e)))?;

        // INVARIANT: It was just registered, and this is the only handle to it.
        Ok(Self(PhantomData))
    }
}

impl<T> Drop for SpiBus<T> {
    fn drop(&mut self) {
        if cfg!(CONFIG_SPI) {
            // SAFETY: By the type invariants, it is registered and ours to unregister.
            unsafe { helpers::alloclab_spi_unregister() };
        }
    }
}
