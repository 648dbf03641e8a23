// SPDX-License-Identifier: GPL-2.0

//! GFP flags that can be parsed and printed.
//!
//! [`Flags`] of the `kernel` crate is opaque; a [`Gfp`] remembers what it was made of.
//!
//! C header: [`include/linux/gfp_types.h`](srctree/include/linux/gfp_types.h)

use kernel::{
    alloc::{
        flags::*,
        Flags, //
    },
    fmt,
    prelude::*, //
};

/// The flag that an allocation is made with in the first place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// `GFP_KERNEL`: may sleep.
    Kernel,
    /// `GFP_ATOMIC`: may not sleep, may use reserves.
    Atomic,
    /// `GFP_NOWAIT`: may not sleep.
    Nowait,
}

impl Base {
    const ALL: [Self; 3] = [Self::Kernel, Self::Atomic, Self::Nowait];

    fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Atomic => "atomic",
            Self::Nowait => "nowait",
        }
    }

    fn flags(self) -> Flags {
        match self {
            Self::Kernel => GFP_KERNEL,
            Self::Atomic => GFP_ATOMIC,
            Self::Nowait => GFP_NOWAIT,
        }
    }
}

/// What [`Gfp::parse`] accepts, for messages.
pub(crate) const ALLOWED: &str = "kernel, atomic or nowait, then any of +zero, +nowarn, +account";

/// A base and modifiers, as in `kernel+zero+nowarn`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gfp {
    base: Base,
    zero: bool,
    nowarn: bool,
    account: bool,
}

impl Gfp {
    /// `GFP_KERNEL` alone.
    pub(crate) const KERNEL: Self = Self {
        base: Base::Kernel,
        zero: false,
        nowarn: false,
        account: false,
    };

    /// Parses a base and its modifiers, each modifier at most once and in any order.
    ///
    /// Returns `EINVAL` for anything else; [`ALLOWED`] says what is accepted. Any context.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let mut words = text.split(|byte| *byte == b'+');

        let base = words.next().ok_or(EINVAL)?;
        let base = Base::ALL.into_iter().find(|b| b.name().as_bytes() == base);
        let mut gfp = Self {
            base: base.ok_or(EINVAL)?,
            ..Self::KERNEL
        };

        for word in words {
            let modifier = match word {
                b"zero" => &mut gfp.zero,
                b"nowarn" => &mut gfp.nowarn,
                b"account" => &mut gfp.account,
                _ => return Err(EINVAL),
            };

            if core::mem::replace(modifier, true) {
                return Err(EINVAL);
            }
        }

        Ok(gfp)
    }

    /// Returns the flags for the allocation functions of the `kernel` crate.
    pub(crate) fn flags(self) -> Flags {
        self.modifiers()
            .into_iter()
            .filter(|(set, _, _)| *set)
            .fold(self.base.flags(), |flags, (_, _, modifier)| {
                flags | modifier
            })
    }

    /// The modifiers in the order in which they are printed: whether set, name, flags.
    fn modifiers(self) -> [(bool, &'static str, Flags); 3] {
        // `+account` alone is what `GFP_KERNEL_ACCOUNT` has beyond `GFP_KERNEL`.
        let account = GFP_KERNEL_ACCOUNT & !GFP_KERNEL;

        [
            (self.zero, "+zero", __GFP_ZERO),
            (self.nowarn, "+nowarn", __GFP_NOWARN),
            (self.account, "+account", account),
        ]
    }
}

impl fmt::Display for Gfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.name())?;
        self.modifiers()
            .into_iter()
            .filter(|(set, _, _)| *set)
            .try_for_each(|(_, name, _)| f.write_str(name))
    }
}
