// SPDX-License-Identifier: GPL-2.0

//! The macro that makes the table of device-tree nodes which a driver drives.
//!
//! Since 7.3 the `kernel` crate's own macro replaces it.

/// `of_device_table!` of a table, a type and the entries, since 7.3
#[cfg(has_of_device_table_of_three)]
pub(crate) mod form {
    /// Makes the table of device-tree nodes that a driver drives.
    macro_rules! of_device_table {
        ($table:ident, $alias:ident, [$($compatible:expr),* $(,)?]) => {
            kernel::of_device_table!(
                $table,
                (),
                [$((kernel::of::DeviceId::new($compatible), ())),*]
            );
        };
    }
    pub(crate) use of_device_table;

    #[cfg(probe)]
    of_device_table!(TABLE, ALIAS, [kernel::c_str!("alloclab,probe")]);
}

/// `of_device_table!` of a table, an alias, a type and the entries, since 6.18
#[cfg(has_of_device_table_of_four)]
pub(crate) mod form {
    /// Makes the table of device-tree nodes that a driver drives.
    macro_rules! of_device_table {
        ($table:ident, $alias:ident, [$($compatible:expr),* $(,)?]) => {
            kernel::of_device_table!(
                $table,
                $alias,
                (),
                [$((kernel::of::DeviceId::new($compatible), ())),*]
            );
        };
    }
    pub(crate) use of_device_table;

    #[cfg(probe)]
    of_device_table!(TABLE, ALIAS, [kernel::c_str!("alloclab,probe")]);
}
