// SPDX-License-Identifier: GPL-2.0

//! An atomic `bool`.
//!
//! Only for old kernels, such as 6.18: there `Atomic` takes no `bool`. Once no such kernel is
//! served, `Atomic<bool>` replaces it.

use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed,
    Release, //
};

/// An atomic `bool`. Any context.
pub(crate) struct Flag(Atomic<u32>);

impl Flag {
    /// Makes a flag.
    pub(crate) const fn new(value: bool) -> Self {
        Self(Atomic::new(value as u32))
    }

    /// Returns the value; orders nothing.
    pub(crate) fn get(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// Changes the value; what came before is ordered before it.
    pub(crate) fn set(&self, value: bool) {
        self.0.store(u32::from(value), Release);
    }

    /// Changes the value to true and returns what it was; fully ordered.
    pub(crate) fn test_and_set(&self) -> bool {
        self.0.xchg(1, Full) != 0
    }
}
