// SPDX-License-Identifier: GPL-2.0

//! A GPIO button as a laboratory for the kernel's memory allocators.
//!
//! One press allocates, the next press frees what the last one allocated. What each allocator
//! really did is told in the kernel log and in debugfs. README.md is the manual; the modules, from
//! top to bottom:
//!
//! - `driver` matches device-tree nodes and reads their properties,
//! - `control` is the debugfs files: every name and text format,
//! - `lab` is one button with its toggle, under one lock,
//! - `button` is the two interrupt halves, `toggle` the state machine,
//! - `request`, `stats` and `inspect` are what is asked for, counted and found,
//! - `method` is the table of allocation methods, one file each in `method/`,
//! - `rust` is what the `kernel` crate lacks: only there C is called.

#![deny(unsafe_code)]

include!("modules.rs");

mod control;
mod driver;
mod lab;
mod preload;

#[path = "../rust/params.rs"]
#[allow(unsafe_code, reason = "it is where C is called")]
mod params;

/// The module, as the macro below needs it named.
type AlloclabModule = rust::platform::Module<lab::Lab>;

kernel::prelude::module! {
    type: AlloclabModule,
    name: "alloclab",
    authors: ["The alloclab authors"],
    description: "GPIO button as a laboratory for the kernel's memory allocators",
    license: "GPL",
}
