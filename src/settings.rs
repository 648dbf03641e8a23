// SPDX-License-Identifier: GPL-2.0

//! What users ask for: its words, parsed and printed, what is said where one is not valid, and the
//! plan that follows.
//!
//! [`Settings`] are what was said, a [`Plan`] is settings that can be carried out.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    method::{
        Context,
        Method,
        Objection,
        Request, //
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

/// The longest label, in bytes.
const LABEL_BYTES: usize = 64;

/// Checks a label.
pub(crate) fn parse_label(text: &[u8]) -> Result<&[u8], Invalid> {
    let printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if !printable || !(1..=LABEL_BYTES).contains(&text.len()) {
        return Err(Invalid::Label);
    }
    Ok(text)
}

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
    /// Not a cell of the device tree.
    Cell,
    /// A value where there may be none.
    Flag,
    /// Not a label.
    Label,
    /// Not a setting with its value, or one that was said before.
    Word,
    /// This method objects to it.
    Refused(Method, Objection),
    /// Every method does; of the objections, the one that says what to change.
    RefusedByAll(Method, Objection),
}

impl Invalid {
    /// Returns the error that the user gets.
    pub(crate) fn errno(&self) -> Error {
        match self {
            Self::TooLarge
            | Self::TooLong(_)
            | Self::Refused(_, Objection::Size { size: 1.., .. }) => E2BIG,
            _ => EINVAL,
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
            Self::Cell => f.write_str("allowed is one 32-bit cell"),
            Self::Flag => f.write_str("allowed is the property without a value"),
            Self::Label => f.write_fmt(fmt!(
                "allowed are 1 to {LABEL_BYTES} printable ASCII characters"
            )),
            Self::Word => {
                f.write_str("allowed are")?;
                for (setting, _) in SETTINGS {
                    f.write_fmt(fmt!(" {setting}=VALUE"))?;
                }
                f.write_str(", each once")
            }
            Self::Refused(method, objection) => show_objection(f, *method, objection),
            Self::RefusedByAll(method, objection) => {
                f.write_str("every method refuses it, as ")?;
                show_objection(f, *method, objection)
            }
        }
    }
}

fn show_objection(
    f: &mut fmt::Formatter<'_>,
    method: Method,
    objection: &Objection,
) -> fmt::Result {
    f.write_str(method.name())?;
    match objection {
        Objection::Size {
            size,
            largest,
            limit,
        } => f.write_fmt(fmt!(" takes 1 to {largest} bytes ({limit}), not {size}")),
        Objection::Word(word) => {
            f.write_fmt(fmt!(" does not take {word}, which is for"))?;
            Method::ALL
                .iter()
                .filter(|method| method.rules().takes.has(word))
                .try_for_each(|method| f.write_fmt(fmt!(" {}", method.name())))
        }
        Objection::Together(reason) => f.write_fmt(fmt!(": {reason}")),
        Objection::Sleeps(reason) => {
            f.write_fmt(fmt!(" is not for hard interrupt context: {reason}"))
        }
        Objection::NoDma(why) => {
            f.write_fmt(fmt!(" is for a device that does DMA itself, and {why}"))
        }
    }
}

/// What was said, checked or not.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) selection: Selection,
    pub(crate) size: Size,
    pub(crate) gfp: Gfp,
    pub(crate) context: Context,
}

impl Settings {
    /// What holds where the device tree says nothing.
    pub(crate) const DEFAULT: Self = Self {
        selection: Selection::Cycle,
        size: Size::Default,
        gfp: Gfp::KERNEL,
        context: Context::Thread,
    };

    /// Returns what `method` is asked for under these settings.
    fn request(&self, method: Method) -> Request {
        let size = match self.size {
            Size::Default => method.rules().default_size,
            Size::Bytes(bytes) => bytes,
        };
        Request {
            size,
            gfp: self.gfp,
            context: self.context,
        }
    }
}

impl fmt::Display for Settings {
    /// Shows them as [`Change::parse`] takes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            selection,
            size,
            gfp,
            context,
        } = self;
        f.write_fmt(fmt!(
            "method={selection} size={size} gfp={gfp} context={context}"
        ))
    }
}

/// What is to become of the settings: those that were said change, the others stay.
#[derive(Clone, Copy, Default)]
pub(crate) struct Change {
    selection: Option<Selection>,
    size: Option<Size>,
    gfp: Option<Gfp>,
    context: Option<Context>,
}

/// Takes the value of one setting; returns whether it was said before.
type Take = fn(&mut Change, &[u8]) -> Result<bool, Invalid>;

/// Each setting by its name.
const SETTINGS: [(&str, Take); 4] = [
    ("method", |change, text| {
        Ok(change.selection.replace(Selection::parse(text)?).is_some())
    }),
    ("size", |change, text| {
        Ok(change.size.replace(Size::parse(text)?).is_some())
    }),
    ("gfp", |change, text| {
        Ok(change.gfp.replace(parse_gfp(text)?).is_some())
    }),
    ("context", |change, text| {
        Ok(change.context.replace(parse_context(text)?).is_some())
    }),
];

impl Change {
    /// Parses words such as `size=64`, each setting at most once, in any order; at least one word.
    ///
    /// Also returns the word that is not valid.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, (&[u8], Invalid)> {
        let mut change = Self::default();
        let mut words = text
            .split(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
            .filter(|word| !word.is_empty())
            .peekable();
        if words.peek().is_none() {
            return Err((text, Invalid::Word));
        }

        words.try_for_each(|word| change.take(word).map_err(|invalid| (word, invalid)))?;
        Ok(change)
    }

    fn take(&mut self, word: &[u8]) -> Result<(), Invalid> {
        let mut parts = word.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().ok_or(Invalid::Word)?;
        let (_, take) = SETTINGS
            .iter()
            .find(|(setting, _)| setting.as_bytes() == name)
            .ok_or(Invalid::Word)?;

        if take(self, value)? {
            return Err(Invalid::Word);
        }
        Ok(())
    }

    /// Makes the change.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        *settings = Settings {
            selection: self.selection.unwrap_or(settings.selection),
            size: self.size.unwrap_or(settings.size),
            gfp: self.gfp.unwrap_or(settings.gfp),
            context: self.context.unwrap_or(settings.context),
        };
    }
}

/// Settings that can be carried out.
///
/// # Invariants
///
/// At least one method that the selection covers is accepted.
pub(crate) struct Plan {
    settings: Settings,
    accepted: [bool; Method::ALL.len()],
}

impl Plan {
    /// Checks settings: a single method must accept them, of the cycle at least one.
    ///
    /// `check` is what the methods say of a request; `passed_over` gets what they object to in a
    /// cycle that can be carried out without them.
    pub(crate) fn new(
        settings: Settings,
        check: impl Fn(Method, &Request) -> Result<(), Objection>,
        mut passed_over: impl FnMut(&Invalid),
    ) -> Result<Self, Invalid> {
        let mut objections = [const { None }; Method::ALL.len()];
        for (objection, method) in objections.iter_mut().zip(Method::ALL) {
            *objection = match settings.selection {
                // What the others say does not matter.
                Selection::Only(only) if only != *method => None,
                _ => check(*method, &settings.request(*method)).err(),
            };
        }
        let accepted = objections.each_ref().map(|objection| objection.is_none());
        let mut objections = Method::ALL
            .iter()
            .zip(objections)
            .filter_map(|(method, objection)| Some((*method, objection?)));

        match settings.selection {
            Selection::Only(_) => objections
                .next()
                .map(|(method, objection)| Invalid::Refused(method, objection)),
            Selection::Cycle if accepted.contains(&true) => {
                objections.for_each(|(method, objection)| {
                    passed_over(&Invalid::Refused(method, objection));
                });
                None
            }
            Selection::Cycle => objections
                .max_by_key(|(_, objection)| objection.rank())
                .map(|(method, objection)| Invalid::RefusedByAll(method, objection)),
        }
        // INVARIANT: The only method, or one of the cycle, was accepted.
        .map_or(Ok(Self { settings, accepted }), Err)
    }

    /// Returns what was said.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the cycle's next method: `from`, or the first after it that is not passed over.
    pub(crate) fn next_in_cycle(&self, from: Method) -> Method {
        from.rotation()
            .find(|method| self.accepted.get(method.index()) == Some(&true))
            .unwrap_or(from)
    }

    /// Returns what the next allocation is, where the cycle stands at `next`.
    pub(crate) fn choose(&self, next: Method) -> (Method, Request) {
        let method = match self.settings.selection {
            Selection::Only(method) => method,
            Selection::Cycle => self.next_in_cycle(next),
        };
        (method, self.settings.request(method))
    }
}
