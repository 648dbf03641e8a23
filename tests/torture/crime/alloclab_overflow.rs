// SPDX-License-Identifier: GPL-2.0

//! Commits the crime that C cannot, when it is loaded: a sum that is too large for its type.
//!
//! Where the kernel checks Rust's arithmetic, that is a panic, hence an oops of who loads it. The
//! torture tests load it on the debug kernel.

use core::hint::black_box;
use kernel::prelude::*;

/// The module, which is never loaded.
struct Overflow;

impl kernel::Module for Overflow {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let sum = black_box(u8::MAX) + black_box(1);
        pr_info!("committed overflow, and the sum is {sum}\n");
        Err(EINVAL)
    }
}

kernel::prelude::module! {
    type: Overflow,
    name: "alloclab_overflow",
    authors: ["The alloclab authors"],
    description: "Commits an overflow for Rust's checks to detect, for alloclab's tests",
    license: "GPL",
}
