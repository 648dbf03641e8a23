// SPDX-License-Identifier: GPL-2.0

//! What an allocation method is.
//!
//! A new method is one file in `method/` with a type that implements [`Allocate`], and one line in
//! the table, `method/table.rs`. Parsing, the cycle, debugfs and the tests follow from it.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    rules::{
        Objection,
        Request,
        Rules, //
    },
    rust::{
        address::Address,
        bound::BoundDevice,
        decimal::Decimal,
        dma::ShownDmaAddress,
        memory::{
            Memory,
            Owner,
            Run, //
        }, //
    }, //
};

#[macro_use]
mod table;

/// Why an allocation ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// By the press with this number.
    Press(u64),
    /// Because its device goes away.
    Unbind,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Press(number) => f.write_fmt(fmt!("press {}", Decimal(*number))),
            Self::Unbind => f.write_str("unbind"),
        }
    }
}

/// How an allocation ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was given back.
    Freed,
    /// It was left to the device, which frees it later.
    Left,
}

/// What was really got, to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    /// Where the CPU finds it.
    pub(crate) address: Address,
    /// The size asked for, in bytes.
    pub(crate) size: usize,
    /// The size got, in bytes.
    pub(crate) usable: usize,
    /// Where a device finds it.
    pub(crate) dma_address: Option<ShownDmaAddress>,
}

impl Facts {
    /// What is known of every memory.
    pub(crate) fn of(memory: &Memory) -> Self {
        Self {
            address: memory.address(),
            size: memory.size(),
            usable: memory.usable(),
            dma_address: None,
        }
    }
}

/// A request that a method refuses before it is tried.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    /// Who refuses it.
    pub(crate) method: Method,
    /// And why.
    pub(crate) objection: Objection,
}

impl Refusal {
    /// Returns the error that the user gets: `E2BIG` for too large a size, `EINVAL` otherwise.
    pub(crate) fn errno(&self) -> Error {
        match self.objection {
            Objection::Size { size: 1.., .. } => E2BIG,
            _ => EINVAL,
        }
    }

    /// Returns how telling it is where every method refuses: the highest is what to change.
    ///
    /// Of sizes, the largest that a method takes. A word tells least: some method takes it.
    pub(crate) fn weight(&self) -> (u8, usize) {
        match self.objection {
            Objection::Word(_) => (0, 0),
            Objection::Size { largest, .. } => (1, largest),
            Objection::Together(_) => (2, 0),
            Objection::Sleeps(_) => (3, 0),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.name())?;
        match self.objection {
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
        }
    }
}

/// One way to allocate.
pub(crate) trait Allocate {
    /// The kernel API's name, without prefix noise.
    const NAME: &'static str;
    /// What it takes.
    const RULES: Rules;
    /// What it needs for each device: a cache, a pool; `()` for most.
    type State: Send + Sync + 'static;
    /// What it returns.
    type Buffer: Held;

    /// Makes the state for a device. Sleeps.
    fn setup(dev: &BoundDevice) -> Result<Self::State>;

    /// Refuses what cannot work, or what the kernel would warn about. May sleep.
    fn check(_state: &Self::State, request: &Request) -> Result<(), Objection> {
        Self::RULES.objection(request).map_or(Ok(()), Err)
    }

    /// Allocates. May sleep if the flags let it. Returns what the allocator returns.
    fn alloc(state: &Self::State, dev: &BoundDevice, request: &Request) -> Result<Self::Buffer>;
}

/// An allocation; how it ends is said, not only dropped.
pub(crate) trait Held: Send {
    /// Says what was got. Does not sleep.
    fn facts(&self) -> Facts;

    /// Says which pages it has. May sleep.
    fn runs(&self, each: &mut dyn FnMut(Run));

    /// Says what is particular to it, as lines for the kernel log. Does not sleep.
    fn remarks(&self, _each: &mut dyn FnMut(fmt::Arguments<'_>)) {}

    /// Says what is particular to it, as `key: value` lines for `live`. Does not sleep.
    fn details(&self, _each: &mut dyn FnMut(fmt::Arguments<'_>)) {}

    /// Returns whether the bytes that the driver has not written are zero. May sleep.
    fn rest_is_zero(&self) -> bool;

    /// Gives the bytes to `work`, which must not sleep; returns whether it is made of bytes.
    #[allow(dead_code, reason = "the tests write and read through it")]
    fn with_bytes(&mut self, work: &mut dyn FnMut(&mut [u8])) -> bool;

    /// Prepares the end: says what the drop that follows does. Does not sleep.
    fn end(&mut self, _why: Reason) -> Ended {
        Ended::Freed
    }
}

/// What most allocations are: memory, and a few words on it.
pub(crate) trait Plain: Owner {
    /// Where a device finds it.
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        None
    }

    /// As [`Held::remarks`].
    fn remarks(&self, _each: &mut dyn FnMut(fmt::Arguments<'_>)) {}

    /// As [`Held::details`].
    fn details(&self, _each: &mut dyn FnMut(fmt::Arguments<'_>)) {}

    /// As [`Held::end`].
    fn end(&mut self, _why: Reason) -> Ended {
        Ended::Freed
    }
}

impl<P: Plain> Held for P {
    fn facts(&self) -> Facts {
        Facts {
            dma_address: self.dma_address(),
            ..Facts::of(self.memory())
        }
    }

    fn runs(&self, each: &mut dyn FnMut(Run)) {
        self.memory().runs(each);
    }

    fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        Plain::remarks(self, each);
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        Plain::details(self, each);
    }

    fn rest_is_zero(&self) -> bool {
        self.memory().rest_is_zero()
    }

    fn with_bytes(&mut self, work: &mut dyn FnMut(&mut [u8])) -> bool {
        work(self.bytes());
        true
    }

    fn end(&mut self, why: Reason) -> Ended {
        Plain::end(self, why)
    }
}

methods!();

impl Method {
    /// Returns the method with this name.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|method| method.name().as_bytes() == name)
    }

    /// Returns its place in the table.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Returns all methods in the order of the cycle, this one first.
    pub(crate) fn rotation(self) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.cycle().skip(self.index()).take(Self::ALL.len())
    }

    /// Returns the method after this one; after the last comes the first.
    pub(crate) fn after(self) -> Self {
        self.rotation().nth(1).unwrap_or(self)
    }
}
