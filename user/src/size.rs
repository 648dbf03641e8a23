// SPDX-License-Identifier: GPL-2.0

//! Numbers on the command line.

/// How many pages `--touch` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    All,
    First(usize),
}

/// The words of a size, and how often 1024 is in each.
const UNITS: [(char, u32); 6] = [('K', 1), ('M', 2), ('G', 3), ('T', 4), ('P', 5), ('E', 6)];

/// Parses bytes: `64`, `4K`, `2M`; also the other units of 1024.
pub fn parse(text: &str) -> Result<usize, String> {
    let (digits, power) = UNITS
        .iter()
        .find_map(|&(unit, power)| Some((text.strip_suffix(unit)?, power)))
        .unwrap_or((text, 0));
    let number = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse::<usize>().ok())
        .flatten();

    let valid = "a size is a number of bytes, or of K, M, G, T, P, E, such as 64, 4K, 2M";
    let factor = 1024_usize.checked_pow(power);
    match (number, factor) {
        (Some(number), Some(factor)) => number
            .checked_mul(factor)
            .ok_or_else(|| format!("at most {} bytes", usize::MAX)),
        _ if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("at most {} bytes", usize::MAX))
        }
        _ => Err(valid.to_owned()),
    }
}

/// Parses a byte: `0` to `255`, or `0x00` to `0xff`.
pub fn parse_byte(text: &str) -> Result<u8, String> {
    let byte = match text.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u8::from_str_radix(digits, 16),
        _ => text.parse(),
    };
    byte.map_err(|_| "a byte is 0 to 255, or 0x00 to 0xff".to_owned())
}

/// Parses what `--touch` takes.
pub fn parse_pages(text: &str) -> Result<Pages, String> {
    match text {
        "all" => Ok(Pages::All),
        _ => text
            .parse()
            .map(Pages::First)
            .map_err(|_| "allowed are a number of pages, and `all`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("64"), Ok(64));
        assert_eq!(parse("4K"), Ok(4096));
        assert_eq!(parse("2M"), Ok(2 << 20));
        assert_eq!(parse("1G"), Ok(1 << 30));
        for bad in ["", "K", "-1", "+1", "4k", "4 K", "0x10", "1.5M"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_largest_size() {
        let most = usize::MAX.to_string();
        assert_eq!(parse(&most), Ok(usize::MAX));
        for bad in [format!("{most}0"), format!("{most}K"), "16E".to_owned()] {
            assert!(parse(&bad).is_err_and(|text| text.contains(&most)), "{bad}");
        }
    }

    #[test]
    fn bytes() {
        assert_eq!(parse_byte("0"), Ok(0));
        assert_eq!(parse_byte("255"), Ok(255));
        assert_eq!(parse_byte("0xa5"), Ok(0xa5));
        for bad in ["256", "0x100", "0x", "0x+1", "a5", ""] {
            assert!(parse_byte(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
            let _ = parse_byte(&text);
            let _ = parse_pages(&text);
        }

        #[test]
        fn every_number_is_itself(number: usize) {
            prop_assert_eq!(parse(&number.to_string()), Ok(number));
        }
    }
}
