// SPDX-License-Identifier: GPL-2.0

//! The macro that makes the table of device-tree nodes which a driver drives.

use kernel::{
    c_str,
    of, //
};

const ID: of::DeviceId = of::DeviceId::new(c_str!("alloclab,probe"));

/// `of_device_table!` of a table, a type and the entries, since 7.3
#[cfg(has_of_device_table_of_three)]
mod form {
    kernel::of_device_table!(TABLE, (), [(super::ID, ())]);

    const PROBE: kernel::of::IdTable<()> = &TABLE;
}

/// `of_device_table!` of a table, an alias, a type and the entries, since 6.18
#[cfg(has_of_device_table_of_four)]
mod form {
    kernel::of_device_table!(TABLE, ALIAS, (), [(super::ID, ())]);

    const PROBE: kernel::of::IdTable<()> = &TABLE;
}
