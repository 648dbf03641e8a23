// SPDX-License-Identifier: GPL-2.0

//! Numbers of 64 bits in decimal, on machines of 32 bits too.
//!
//! To print a `u64`, `core` divides it. What divides 64 bits on a machine of 32 is the compiler's
//! run-time library, and in its place the kernel has functions that panic
//! (`rust/compiler_builtins.rs`).

use kernel::{
    fmt,
    prelude::*, //
};

/// A number, shown in decimal.
pub(crate) struct Decimal(pub(crate) u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if cfg!(target_pointer_width = "64") {
            fmt::Display::fmt(&self.0, f)
        } else {
            fmt::Display::fmt(&InParts(self.0), f)
        }
    }
}

/// The same, with divisions of 32 bits only.
pub(crate) struct InParts(pub(crate) u64);

impl fmt::Display for InParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long division by 10000, of digits that are 16 bits: what is divided fits into 32.
        let mut digits = [48, 32, 16, 0].map(|shift| (self.0 >> shift) as u32 & 0xffff);
        let mut parts = [0u32; 5];
        for part in parts.iter_mut().rev() {
            for digit in &mut digits {
                let rest = (*part << 16) | *digit;
                *digit = rest / 10_000;
                *part = rest % 10_000;
            }
        }

        let mut shown = parts.iter().skip_while(|part| **part == 0);
        f.write_fmt(fmt!("{}", shown.next().unwrap_or(&0)))?;
        shown.try_for_each(|part| f.write_fmt(fmt!("{part:04}")))
    }
}
