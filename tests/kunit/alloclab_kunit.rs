// SPDX-License-Identifier: GPL-2.0

//! KUnit suites for alloclab, in a module of their own: a production kernel carries no tests.
//!
//! The suites run when the module is loaded, on a kernel that has `CONFIG_KUNIT=y`.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the driver's own checks find what is dead; here not every part is tested by itself"
)]

use kernel::prelude::*;

include!("../../src/modules.rs");

#[path = "../../rust/kunit.rs"]
mod kunit;

mod button_test;
mod decimal_test;
mod handover_test;
mod method_test;
mod particular_test;
mod plan_test;
mod request_test;
mod rules_test;
mod stats_test;
mod toggle_test;

struct Tests;

impl kernel::Module for Tests {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

module! {
    type: Tests,
    name: "alloclab_kunit",
    authors: ["The alloclab authors"],
    description: "KUnit suites of alloclab",
    license: "GPL",
}
