// SPDX-License-Identifier: GPL-2.0

//! A GPIO button as a laboratory for the kernel's memory allocators.
//!
//! One press allocates, the next press frees what the last one allocated. What each allocator
//! really did is told in the kernel log and in debugfs. README.md and doc/ are the manual; the
//! modules, from top to bottom:
//!
//! - `node` is the device tree: what a node says, and what is wrong with it,
//! - `buses` is what the driver is on each bus,
//! - `control` is the debugfs files: every name and text format,
//! - `device` is the device file: what is held, read, written and mapped,
//! - `lab` is one button: the driver's callbacks, its lock, its presses,
//! - `button` makes presses of edges, `toggle` is empty or holds an allocation,
//! - `settings` is what is asked for, `report` what came of it, `stats` what is counted,
//! - `method` is how: what a method is, the table of them, one file each in `method/`,
//! - `preload` is what is allocated at load,
//! - `rust` is what the `kernel` crate lacks: only there C is called.

#![deny(unsafe_code)]

include!("modules.rs");

mod buses;
mod control;
mod device;
mod lab;
mod node;
mod preload;

#[path = "../rust/params.rs"]
#[allow(unsafe_code, reason = "it is where C is called")]
mod params;

/// The module, as the macro below needs it named.
type AlloclabModule = rust::platform::Module<
    lab::Alloclab,
    (
        rust::i2c::I2cBus<lab::Alloclab>,
        rust::spi::SpiBus<lab::Alloclab>,
        rust::platform::UsbOfAnotherModule,
    ),
>;

kernel::prelude::module! {
    type: AlloclabModule,
    name: "alloclab",
    authors: ["The alloclab authors"],
    description: "GPIO button as a laboratory for the kernel's memory allocators",
    license: "GPL",
}
