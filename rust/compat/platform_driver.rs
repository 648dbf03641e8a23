// SPDX-License-Identifier: GPL-2.0

//! The trait of a platform driver: what probe gets, and how long what it returns lives.
//!
//! Since 7.2 the `kernel` crate's `platform::Driver` can replace [`Bind`].

#![allow(
    elided_lifetimes_in_paths,
    reason = "up to 7.1, `Core` has no lifetime that one could write"
)]

use kernel::{
    device::Core,
    of,
    platform,
    prelude::*, //
};

/// A platform driver whose data for a device lives no longer than the device is bound.
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
    unsafe fn bind<'bound>(pdev: &'bound platform::Device<Core>) -> Result<Self::Data<'bound>>;
}

/// `probe` returns an initializer of `type Data<'bound>`, since 7.2
#[cfg(has_platform_driver_data)]
pub(crate) mod form {
    use super::*;
    use core::marker::PhantomData;

    /// The device that [`Bind::bind`] gets.
    pub(crate) type CoreDevice<'a> = platform::Device<Core<'a>>;

    /// Makes a driver of the `kernel` crate of a [`Bind`].
    pub(crate) struct Adapter<T>(PhantomData<T>);

    impl<T: Bind> platform::Driver for Adapter<T> {
        type IdInfo = ();
        type Data<'bound> = T::Data<'bound>;
        const OF_ID_TABLE: Option<of::IdTable<()>> = Some(T::OF_ID_TABLE);

        fn probe<'bound>(
            pdev: &'bound platform::Device<Core<'_>>,
            _: Option<&'bound ()>,
        ) -> impl PinInit<T::Data<'bound>, Error> + 'bound {
            // Only when there is memory for it to lie in: what fails late was never bound.
            pin_init::pin_init_scope(move || {
                // SAFETY: The driver core makes what this returns the driver data of `pdev`, and
                // drops that before the device is unbound.
                Ok(unsafe { T::bind(pdev) })
            })
        }
    }
}

/// Where the driver data has no lifetime: it is dropped by `unbind`.
///
/// Some of these kernels drop the driver data after they have released devres. They all call
/// `unbind` before that.
#[cfg(any(has_platform_driver_init, has_platform_driver_box))]
mod cell {
    use super::*;
    use core::cell::UnsafeCell;

    /// The device that [`Bind::bind`] gets.
    pub(crate) type CoreDevice<'a> = platform::Device<Core>;

    /// Makes a driver of the `kernel` crate of a [`Bind`]; the driver data, too.
    pub(crate) struct Adapter<T: Bind>(UnsafeCell<Option<T::Data<'static>>>);

    impl<T: Bind> Adapter<T> {
        /// # Safety
        ///
        /// The value must become the driver data of `pdev`, or be dropped before probe returns.
        pub(super) unsafe fn new(pdev: &platform::Device<Core>) -> Result<Self> {
            // SAFETY: This version's driver data has no lifetime. What is made of the reference is
            // dropped while the device is bound, hence the reference is valid for as long as it is
            // used: by the safety requirements, `unbind` drops it, or probe.
            let pdev = unsafe { &*core::ptr::from_ref(pdev) };
            // SAFETY: As before.
            let data = unsafe { T::bind(pdev) }?;
            Ok(Self(UnsafeCell::new(Some(data))))
        }

        /// Drops the data.
        ///
        /// # Safety
        ///
        /// Nobody else may use the value during the call.
        pub(super) unsafe fn drop_data(&self) {
            // SAFETY: By the safety requirements, the cell is ours.
            drop(unsafe { (*self.0.get()).take() });
        }
    }
}

/// `probe` returns an initializer of the driver, since 7.0
#[cfg(has_platform_driver_init)]
pub(crate) mod form {
    use super::*;
    pub(crate) use cell::{
        Adapter,
        CoreDevice, //
    };

    impl<T: Bind> platform::Driver for Adapter<T> {
        type IdInfo = ();
        const OF_ID_TABLE: Option<of::IdTable<()>> = Some(T::OF_ID_TABLE);

        fn probe(pdev: &platform::Device<Core>, _: Option<&()>) -> impl PinInit<Self, Error> {
            // Only when there is memory for it to lie in: what fails late was never bound.
            pin_init::pin_init_scope(move || {
                // SAFETY: The driver core makes what this returns the driver data of `pdev`.
                Ok(unsafe { Self::new(pdev) })
            })
        }

        fn unbind(_: &platform::Device<Core>, this: Pin<&Self>) {
            // SAFETY: The driver core calls this once, and nothing else looks into driver data.
            unsafe { this.drop_data() };
        }
    }
}

/// `probe` returns the driver in a box, since 6.18
#[cfg(has_platform_driver_box)]
pub(crate) mod form {
    use super::*;
    pub(crate) use cell::{
        Adapter,
        CoreDevice, //
    };

    impl<T: Bind> platform::Driver for Adapter<T> {
        type IdInfo = ();
        const OF_ID_TABLE: Option<of::IdTable<()>> = Some(T::OF_ID_TABLE);

        fn probe(pdev: &platform::Device<Core>, _: Option<&()>) -> Result<Pin<KBox<Self>>> {
            // First, as what fails late was never bound.
            let place = KBox::new_uninit(GFP_KERNEL)?;
            // SAFETY: What this returns becomes the driver data of `pdev`.
            let adapter = unsafe { Self::new(pdev) }?;
            Ok(place.write(adapter).into())
        }

        fn unbind(_: &platform::Device<Core>, this: Pin<&Self>) {
            // SAFETY: The driver core calls this once, and nothing else looks into driver data.
            unsafe { this.drop_data() };
        }
    }
}
