// SPDX-License-Identifier: GPL-2.0

//! The trait of a platform driver: what probe gets, and what it returns.

use kernel::{
    device::{
        Bound,
        Core, //
    },
    of,
    platform,
    prelude::*, //
};

struct Probe;

const TABLE: Option<of::IdTable<()>> = None;

/// `probe` returns an initializer of `type Data<'bound>`, since 7.2
#[cfg(has_platform_driver_data)]
mod form {
    use super::*;

    impl platform::Driver for Probe {
        type IdInfo = ();
        type Data<'bound> = &'bound platform::Device<Bound>;
        const OF_ID_TABLE: Option<of::IdTable<()>> = TABLE;

        fn probe<'bound>(
            _: &'bound platform::Device<Core<'_>>,
            _: Option<&'bound ()>,
        ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
            Err(ENODEV)
        }
    }
}

/// `probe` returns an initializer of the driver, since 7.0
#[cfg(has_platform_driver_init)]
mod form {
    use super::*;

    impl platform::Driver for Probe {
        type IdInfo = ();
        const OF_ID_TABLE: Option<of::IdTable<()>> = TABLE;

        fn probe(_: &platform::Device<Core>, _: Option<&()>) -> impl PinInit<Self, Error> {
            Err(ENODEV)
        }
    }
}

/// `probe` returns the driver in a box, since 6.18
#[cfg(has_platform_driver_box)]
mod form {
    use super::*;

    impl platform::Driver for Probe {
        type IdInfo = ();
        const OF_ID_TABLE: Option<of::IdTable<()>> = TABLE;

        fn probe(_: &platform::Device<Core>, _: Option<&()>) -> Result<Pin<KBox<Self>>> {
            Err(ENODEV)
        }
    }
}
