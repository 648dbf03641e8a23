// SPDX-License-Identifier: GPL-2.0

//! A driver of the I2C bus: whether the `kernel` crate has it, and what its callbacks get.
//!
//! All kernels call `unbind` before the bus releases devres, and drop the driver data after it. So
//! the data is dropped by `unbind`.
//!
//! Since 7.2 the crate's `type Data<'bound>` replaces the second form. No kernel makes the whole
//! unnecessary: each drops driver data too late, and one without I2C has nothing to register with.

#![allow(
    elided_lifetimes_in_paths,
    reason = "up to 7.1, `Core` has no lifetime that one could write"
)]

use kernel::{
    device::{
        Bound,
        Device, //
    },
    of,
    prelude::*, //
};

/// A driver of the I2C bus whose data for a device lives no longer than the device is bound.
pub(crate) trait Bind: 'static {
    /// The data for a device that is bound for `'bound`.
    type Data<'bound>: Send + 'bound;

    /// The device-tree nodes that it drives.
    const OF_ID_TABLE: of::IdTable<()>;

    /// Makes the data for a device. Sleeps.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    unsafe fn bind<'bound>(dev: &'bound Device<Bound>) -> Result<Self::Data<'bound>>;
}

/// Where the kernel has it.
#[cfg(any(has_i2c_driver_data, has_i2c_driver_init))]
mod present {
    use super::*;
    use core::cell::UnsafeCell;
    use kernel::{
        driver,
        i2c, //
    };

    /// What stays registered.
    pub(crate) type Registration<T> =
        Pin<KBox<driver::Registration<i2c::Adapter<form::Adapter<T>>>>>;

    /// Registers the driver. Sleeps. Returns none where the kernel has no such bus for us.
    pub(crate) fn register<T: Bind>(
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result<Option<Registration<T>>> {
        KBox::pin_init(driver::Registration::new(name, module), GFP_KERNEL).map(Some)
    }

    /// The driver data: dropped by `unbind`.
    pub(crate) struct DataSlot<D>(UnsafeCell<Option<D>>);

    impl<D> DataSlot<D> {
        pub(super) fn new(data: D) -> Self {
            Self(UnsafeCell::new(Some(data)))
        }

        /// Drops the data.
        ///
        /// # Safety
        ///
        /// Nobody else may use the value during the call.
        pub(super) unsafe fn empty(&self) {
            // SAFETY: By the safety requirements, the cell is ours.
            drop(unsafe { (*self.0.get()).take() });
        }
    }
}

/// `probe` returns an initializer of `type Data<'bound>`, since 7.2
#[cfg(has_i2c_driver_data)]
pub(crate) mod form {
    use super::{
        present::DataSlot,
        *, //
    };
    use core::marker::PhantomData;
    use kernel::{
        device::Core,
        i2c, //
    };

    pub(crate) use super::present::{
        register,
        Registration, //
    };

    /// Makes a driver of the `kernel` crate of a [`Bind`].
    pub(crate) struct Adapter<T>(PhantomData<T>);

    impl<T: Bind> i2c::Driver for Adapter<T> {
        type IdInfo = ();
        type Data<'bound> = DataSlot<T::Data<'bound>>;
        const OF_ID_TABLE: Option<of::IdTable<()>> = Some(T::OF_ID_TABLE);

        fn probe<'bound>(
            client: &'bound i2c::I2cClient<Core<'_>>,
            _: Option<&'bound ()>,
        ) -> impl PinInit<DataSlot<T::Data<'bound>>, Error> + 'bound {
            // Only when there is memory for it to lie in: what fails late was never bound.
            pin_init::pin_init_scope(move || {
                let dev: &'bound Device<Bound> = client.as_ref();
                // SAFETY: The driver core makes what this returns the driver data of `client`, and
                // `unbind` drops what is in it.
                Ok(unsafe { T::bind(dev) }.map(DataSlot::new))
            })
        }

        fn unbind<'bound>(
            _: &'bound i2c::I2cClient<Core<'_>>,
            this: Pin<&DataSlot<T::Data<'bound>>>,
        ) {
            // SAFETY: The driver core calls this once, and nothing else looks into driver data.
            unsafe { this.empty() };
        }
    }
}

/// `probe` returns an initializer of the driver, since 7.0
#[cfg(has_i2c_driver_init)]
pub(crate) mod form {
    use super::{
        present::DataSlot,
        *, //
    };
    use kernel::{
        device::Core,
        i2c, //
    };

    pub(crate) use super::present::{
        register,
        Registration, //
    };

    /// Makes a driver of the `kernel` crate of a [`Bind`]; the driver data, too.
    pub(crate) struct Adapter<T: Bind>(DataSlot<T::Data<'static>>);

    impl<T: Bind> i2c::Driver for Adapter<T> {
        type IdInfo = ();
        const OF_ID_TABLE: Option<of::IdTable<()>> = Some(T::OF_ID_TABLE);

        fn probe(client: &i2c::I2cClient<Core>, _: Option<&()>) -> impl PinInit<Self, Error> {
            // Only when there is memory for it to lie in: what fails late was never bound.
            pin_init::pin_init_scope(move || {
                let dev: &Device<Bound> = client.as_ref();
                // SAFETY: This version's driver data has no lifetime. What is made of the reference
                // is dropped while the device is bound, hence the reference is valid for as long as
                // it is used: `unbind` drops it, or probe.
                let dev = unsafe { &*core::ptr::from_ref(dev) };
                // SAFETY: The driver core makes what this returns the driver data of `client`.
                Ok(unsafe { T::bind(dev) }.map(|data| Self(DataSlot::new(data))))
            })
        }

        fn unbind(_: &i2c::I2cClient<Core>, this: Pin<&Self>) {
            // SAFETY: The driver core calls this once, and nothing else looks into driver data.
            unsafe { this.0.empty() };
        }
    }
}

/// none: I2C is not built in, or the kernel is older than 7.0
#[cfg(has_no_i2c_driver)]
pub(crate) mod form {
    use super::*;
    use core::marker::PhantomData;

    /// Where the kernel has one, the name means two things, and this does not compile.
    #[cfg(probe)]
    mod absence {
        mod ours {
            pub(crate) mod i2c {
                pub(crate) struct Absent;
            }
        }
        use kernel::*;
        use ours::*;

        const _: i2c::Absent = i2c::Absent;
    }

    /// Nothing is registered.
    pub(crate) struct Registration<T>(PhantomData<fn() -> T>);

    /// Returns none.
    pub(crate) fn register<T: Bind>(
        _: &'static CStr,
        _: &'static ThisModule,
    ) -> Result<Option<Registration<T>>> {
        // That no bus calls it makes it no dead code.
        let _ = T::bind;
        Ok(None)
    }
}
