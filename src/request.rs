// SPDX-License-Identifier: GPL-2.0

//! What users ask for: parsed and printed, and what is said where it is not valid.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    method::{
        Method,
        Refusal, //
    },
    rules::{
        Context,
        Objection, //
    },
    rust::{
        context::is_preempt_rt,
        gfp::{
            self,
            Gfp, //
        }, //
    }, //
};

/// The word for going through all methods, in the device tree and in debugfs.
const CYCLE: &str = "cycle";

/// The word for each method's own size, in debugfs.
const DEFAULT: &str = "default";

/// Which method the next allocation uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Selection {
    /// Each method in turn, moving on after each free.
    Cycle,
    /// Always this one.
    Only(Method),
}

impl Selection {
    /// Parses `cycle` or a method's name.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Invalid> {
        if text == CYCLE.as_bytes() {
            return Ok(Self::Cycle);
        }
        Method::from_name(text)
            .map(Self::Only)
            .ok_or(Invalid::Method)
    }

    /// Shows `cycle` and all methods on one line, this selection in brackets.
    pub(crate) fn among_all(self) -> impl fmt::Display {
        AmongAll(self)
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cycle => CYCLE,
            Self::Only(method) => method.name(),
        })
    }
}

struct AmongAll(Selection);

impl fmt::Display for AmongAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut show = |space, selection| {
            if selection == self.0 {
                f.write_fmt(fmt!("{space}[{selection}]"))
            } else {
                f.write_fmt(fmt!("{space}{selection}"))
            }
        };

        show("", Selection::Cycle)?;
        Method::ALL
            .iter()
            .try_for_each(|method| show(" ", Selection::Only(*method)))
    }
}

/// The size of the next allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// Each method's own default.
    Default,
    /// So many bytes.
    Bytes(usize),
}

impl Size {
    /// Parses `default`, or a number of bytes with an optional suffix K, M or G for KiB, MiB, GiB.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Invalid> {
        if text == DEFAULT.as_bytes() {
            return Ok(Self::Default);
        }

        let (digits, shift) = match text.split_last() {
            Some((b'K' | b'k', digits)) => (digits, 10),
            Some((b'M' | b'm', digits)) => (digits, 20),
            Some((b'G' | b'g', digits)) => (digits, 30),
            _ => (text, 0),
        };
        let number = parse_number(digits, Invalid::Size)?;

        number
            .checked_mul(1 << shift)
            .map(Self::Bytes)
            .ok_or(Invalid::TooLarge)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str(DEFAULT),
            Self::Bytes(bytes) => f.write_fmt(fmt!("{bytes}")),
        }
    }
}

/// Parses the flags.
pub(crate) fn parse_gfp(text: &[u8]) -> Result<Gfp, Invalid> {
    Gfp::parse(text).map_err(|_| Invalid::Gfp)
}

/// Parses a context that this kernel has.
pub(crate) fn parse_context(text: &[u8]) -> Result<Context, Invalid> {
    Context::ALL
        .into_iter()
        .filter(|context| *context == Context::Thread || !is_preempt_rt())
        .find(|context| context.name().as_bytes() == text)
        .ok_or(Invalid::Context)
}

/// The most presses that one write can ask for.
const MAX_PRESSES: usize = 1_000_000;

/// Parses a number of presses.
pub(crate) fn parse_presses(text: &[u8]) -> Result<usize, Invalid> {
    match parse_number(text, Invalid::Presses) {
        Ok(number @ 1..=MAX_PRESSES) => Ok(number),
        _ => Err(Invalid::Presses),
    }
}

/// Parses decimal digits; anything else is `otherwise`, a number beyond `usize` is too large.
fn parse_number(text: &[u8], otherwise: Invalid) -> Result<usize, Invalid> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(otherwise);
    }

    text.iter()
        .try_fold(0usize, |number, digit| {
            number
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))
        })
        .ok_or(Invalid::TooLarge)
}

/// What is wrong with what was said; shown as what is allowed.
pub(crate) enum Invalid {
    /// Neither a method nor `cycle`.
    Method,
    /// Not a size.
    Size,
    /// A number that does not fit the machine.
    TooLarge,
    /// More text than a value can have, which is so many bytes.
    TooLong(usize),
    /// Not flags.
    Gfp,
    /// Not a context, or not one of this kernel.
    Context,
    /// Not a number of presses.
    Presses,
    /// The selected method refuses it.
    Refused(Refusal),
    /// Every method refuses it; of the reasons, the most telling one.
    RefusedByAll(Refusal),
}

impl Invalid {
    /// Returns the error that the user gets.
    pub(crate) fn errno(&self) -> Error {
        match self {
            Self::TooLarge | Self::TooLong(_) => E2BIG,
            Self::Refused(refusal) => refusal.errno(),
            _ => EINVAL,
        }
    }
}

impl Invalid {
    /// Returns what a method objected to, if one did.
    pub(crate) fn objection(&self) -> Option<Objection> {
        match self {
            Self::Refused(refusal) | Self::RefusedByAll(refusal) => Some(refusal.objection),
            _ => None,
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => {
                f.write_fmt(fmt!("allowed are {CYCLE}"))?;
                Method::ALL
                    .iter()
                    .try_for_each(|method| f.write_fmt(fmt!(", {}", method.name())))
            }
            Self::Size => f.write_fmt(fmt!(
                "allowed are {DEFAULT} or bytes in decimal, with K, M or G for KiB, MiB or GiB"
            )),
            Self::TooLarge => f.write_fmt(fmt!("allowed are numbers up to {}", usize::MAX)),
            Self::TooLong(bytes) => f.write_fmt(fmt!("allowed are up to {bytes} bytes")),
            Self::Gfp => f.write_fmt(fmt!("allowed are {}", gfp::allowed())),
            Self::Context if is_preempt_rt() => f.write_str(
                "allowed is thread, as on a PREEMPT_RT kernel no interrupt may allocate",
            ),
            Self::Context => f.write_str("allowed are thread, hard"),
            Self::Presses => f.write_fmt(fmt!("allowed are 1 to {MAX_PRESSES}")),
            Self::Refused(refusal) => f.write_fmt(fmt!("{refusal}")),
            Self::RefusedByAll(refusal) => {
                f.write_fmt(fmt!("every method refuses it, as {refusal}"))
            }
        }
    }
}
