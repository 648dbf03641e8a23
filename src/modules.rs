// SPDX-License-Identifier: GPL-2.0

// The modules that the driver and its KUnit module share; both crate roots include this file.

#[path = "../rust/mod.rs"]
#[allow(unsafe_code, reason = "it is where C is called")]
mod rust;

mod button;
mod method;
mod report;
mod settings;
mod stats;
mod toggle;
