// SPDX-License-Identifier: GPL-2.0

//! Numbers of 64 bits in decimal.

use kernel::prelude::*;

#[kunit_tests(alloclab_decimal)]
mod tests {
    use super::*;
    use crate::rust::decimal::{
        Decimal,
        InParts, //
    };
    use kernel::{
        fmt,
        str::CString, //
    };

    /// Around each change of a part of four digits, of 16 and of 32 bits, and both ends.
    const NUMBERS: [(u64, &[u8]); 12] = [
        (0, b"0"),
        (7, b"7"),
        (9_999, b"9999"),
        (10_000, b"10000"),
        (10_007, b"10007"),
        (65_536, b"65536"),
        (100_000_000, b"100000000"),
        (u32::MAX as u64, b"4294967295"),
        (1 << 32, b"4294967296"),
        (1_000_000_000_000, b"1000000000000"),
        (1_234_567_890_123_456_789, b"1234567890123456789"),
        (u64::MAX, b"18446744073709551615"),
    ];

    #[test]
    fn both_ways_are_the_same() -> Result {
        for (number, shown) in NUMBERS {
            let way = CString::try_from_fmt(fmt!("{}", Decimal(number)))?;
            assert_eq!(way.to_bytes(), shown);
            let way = CString::try_from_fmt(fmt!("{}", InParts(number)))?;
            assert_eq!(way.to_bytes(), shown);
        }
        Ok(())
    }
}
