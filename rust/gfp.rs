// SPDX-License-Identifier: GPL-2.0

//! GFP flags that can be parsed, printed and asked what they are made of.
//!
//! [`Flags`] of the `kernel` crate is opaque and has only some of the kernel's flags; a [`Gfp`]
//! remembers the words it was made of, and has all that a driver may use.
//!
//! C header: [`include/linux/gfp_types.h`](srctree/include/linux/gfp_types.h)

use kernel::{
    alloc::{
        flags::*,
        Flags, //
    },
    bindings,
    fmt,
    prelude::*, //
};

/// Makes the words: for each its variant, its name, the kernel's bits, and the `kernel` crate's
/// flags where it has them.
macro_rules! words {
    (
        $(#[$doc:meta])* $type:ident:
        $($word:ident = $name:literal, $bits:expr, $flags:expr;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $type {
            $(#[doc = concat!("`", $name, "`")] $word,)*
        }

        impl $type {
            /// All of them, in the order in which they are printed.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// Returns the name that users know it by.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$word => $name,)*
                }
            }

            /// Returns the bits of C's `gfp_t`.
            const fn bits(self) -> u32 {
                match self {
                    $(Self::$word => $bits,)*
                }
            }

            /// Returns the `kernel` crate's flags, where it has them.
            fn flags(self) -> Option<Flags> {
                match self {
                    $(Self::$word => $flags,)*
                }
            }
        }
    };
}

const IO: u32 = 1 << bindings::___GFP_IO_BIT;
const FS: u32 = 1 << bindings::___GFP_FS_BIT;
const HARDWALL: u32 = 1 << bindings::___GFP_HARDWALL_BIT;
const DIRECT_RECLAIM: u32 = 1 << bindings::___GFP_DIRECT_RECLAIM_BIT;
const RECLAIM: u32 = DIRECT_RECLAIM | (1 << bindings::___GFP_KSWAPD_RECLAIM_BIT);
const USER: u32 = RECLAIM | IO | FS | HARDWALL;
const HIGHMEM: u32 = 1 << bindings::___GFP_HIGHMEM_BIT;
const DMA: u32 = 1 << bindings::___GFP_DMA_BIT;
const DMA32: u32 = 1 << bindings::___GFP_DMA32_BIT;
const ACCOUNT: u32 = 1 << bindings::___GFP_ACCOUNT_BIT;

words! {
    /// What an allocation is made with in the first place.
    ///
    /// `dma` and `dma32` are `GFP_KERNEL` in that zone: the bare flags of these names do not even
    /// wake the reclaim.
    Base:
    Kernel = "kernel", bindings::GFP_KERNEL, Some(GFP_KERNEL);
    Atomic = "atomic", bindings::GFP_ATOMIC, Some(GFP_ATOMIC);
    Nowait = "nowait", bindings::GFP_NOWAIT, Some(GFP_NOWAIT);
    Noio = "noio", RECLAIM, None;
    Nofs = "nofs", RECLAIM | IO, None;
    User = "user", USER, None;
    Highuser = "highuser", USER | HIGHMEM, None;
    Dma = "dma", bindings::GFP_KERNEL | DMA, None;
    Dma32 = "dma32", bindings::GFP_KERNEL | DMA32, None;
}

words! {
    /// What is added to a base.
    Modifier:
    Zero = "zero", bindings::__GFP_ZERO, Some(__GFP_ZERO);
    Nowarn = "nowarn", bindings::__GFP_NOWARN, Some(__GFP_NOWARN);
    Noretry = "noretry", 1 << bindings::___GFP_NORETRY_BIT, None;
    RetryMayfail = "retry_mayfail", 1 << bindings::___GFP_RETRY_MAYFAIL_BIT, None;
    Nofail = "nofail", 1 << bindings::___GFP_NOFAIL_BIT, None;
    High = "high", 1 << bindings::___GFP_HIGH_BIT, None;
    Thisnode = "thisnode", 1 << bindings::___GFP_THISNODE_BIT, None;
    // Alone, it is what `GFP_KERNEL_ACCOUNT` has beyond `GFP_KERNEL`.
    Account = "account", ACCOUNT, Some(GFP_KERNEL_ACCOUNT & !GFP_KERNEL);
    Comp = "comp", 1 << bindings::___GFP_COMP_BIT, None;
}

impl Base {
    /// Returns whether an allocation with it may sleep.
    pub(crate) const fn may_sleep(self) -> bool {
        self.bits() & DIRECT_RECLAIM != 0
    }
}

/// A base and modifiers, as in `kernel+zero+nowarn`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Gfp {
    base: Base,
    /// A bit for each modifier, by its place among them.
    modifiers: u16,
    // What follows from the two, so that an allocation need not look for it.
    bits: u32,
    flags: Option<Flags>,
}

impl Gfp {
    /// `GFP_KERNEL` alone.
    pub(crate) const KERNEL: Self = Self {
        base: Base::Kernel,
        modifiers: 0,
        bits: Base::Kernel.bits(),
        flags: Some(GFP_KERNEL),
    };

    /// Parses a base and its modifiers, each modifier at most once and in any order.
    ///
    /// Returns `EINVAL` for anything else; [`allowed`] says what is accepted. Any context.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let mut words = text.split(|byte| *byte == b'+');

        let base = words.next().ok_or(EINVAL)?;
        let base = Base::ALL.iter().find(|b| b.name().as_bytes() == base);
        let mut gfp = Self::KERNEL.with_base(*base.ok_or(EINVAL)?);

        for word in words {
            let modifier = Modifier::ALL.iter().find(|m| m.name().as_bytes() == word);
            let modifier = *modifier.ok_or(EINVAL)?;
            if gfp.has(modifier) {
                return Err(EINVAL);
            }
            gfp = gfp.with(modifier);
        }
        Ok(gfp)
    }

    /// Returns the base.
    pub(crate) fn base(self) -> Base {
        self.base
    }

    /// Returns whether `modifier` is set.
    pub(crate) fn has(self, modifier: Modifier) -> bool {
        self.modifiers & (1 << modifier as u16) != 0
    }

    /// Returns these flags and `modifier`.
    pub(crate) fn with(mut self, modifier: Modifier) -> Self {
        self.modifiers |= 1 << modifier as u16;
        self.bits |= modifier.bits();
        self.flags = self.flags.zip(modifier.flags()).map(|(all, one)| all | one);
        self
    }

    /// Returns the same modifiers with another base.
    pub(crate) fn with_base(self, base: Base) -> Self {
        let alone = Self {
            base,
            modifiers: 0,
            bits: base.bits(),
            flags: base.flags(),
        };
        self.modifiers().fold(alone, Self::with)
    }

    /// Returns the modifiers that are set, in the order in which they are printed.
    pub(crate) fn modifiers(self) -> impl Iterator<Item = Modifier> {
        let all = Modifier::ALL.iter().copied();
        all.filter(move |modifier| self.has(*modifier))
    }

    /// Returns the flags for the `kernel` crate, or `EINVAL` if it does not have one of the words.
    pub(crate) fn flags(self) -> Result<Flags> {
        self.flags.ok_or(EINVAL)
    }

    /// Returns the bits of C's `gfp_t`.
    pub(super) fn bits(self) -> u32 {
        self.bits
    }
}

impl fmt::Display for Gfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.name())?;
        self.modifiers()
            .try_for_each(|modifier| f.write_fmt(fmt!("+{}", modifier.name())))
    }
}

/// Shows what [`Gfp::parse`] accepts.
pub(crate) fn allowed() -> impl fmt::Display {
    AllowedFlags
}

struct AllowedFlags;

impl fmt::Display for AllowedFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of")?;
        for base in Base::ALL {
            f.write_fmt(fmt!(" {}", base.name()))?;
        }
        f.write_str(", then any of")?;
        Modifier::ALL
            .iter()
            .try_for_each(|modifier| f.write_fmt(fmt!(" +{}", modifier.name())))
    }
}
