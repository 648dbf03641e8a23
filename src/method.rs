// SPDX-License-Identifier: GPL-2.0

//! What an allocation method is, and the one table of them.
//!
//! A new method is one file in `method/` with a type that implements [`Allocate`], and one line in
//! the table below. Parsing, the cycle, debugfs and the tests follow from it.

use kernel::{
    alloc::Allocator,
    device::{
        Bound,
        Device, //
    },
    fmt,
    prelude::*, //
};

use crate::rust::{
    address::Address,
    buffer::Buffer as Bytes,
    dma::ShownDmaAddress,
    gfp::Gfp,
    limits::Limit, //
};

/// What a method is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// In bytes.
    pub(crate) size: usize,
    pub(crate) gfp: Gfp,
}

/// What a method takes.
pub(crate) struct Rules {
    /// The size of a request that does not name one, in bytes.
    pub(crate) default_size: usize,
    /// The largest size; the smallest is 1.
    pub(crate) limit: Limit,
    /// Whether the memory is zeroed whatever the flags say.
    #[allow(dead_code, reason = "read by the tests")]
    pub(crate) zeroes: bool,
}

/// What was really got, to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    /// Where the CPU finds it.
    pub(crate) address: Address,
    /// The size asked for, in bytes.
    pub(crate) size: usize,
    /// Where a device finds it.
    pub(crate) dma_address: Option<ShownDmaAddress>,
}

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
            Self::Press(number) => f.write_fmt(fmt!("press {number}")),
            Self::Unbind => f.write_str("unbind"),
        }
    }
}

/// A request that a method refuses before it is tried.
pub(crate) enum Refusal {
    /// The size is not in 1 to `largest`, the kernel's limit called `limit`.
    Size {
        method: &'static str,
        size: usize,
        largest: usize,
        limit: &'static str,
    },
}

impl Refusal {
    /// Returns the error that the user gets: `E2BIG` for too large a size, `EINVAL` otherwise.
    pub(crate) fn errno(&self) -> Error {
        match self {
            Self::Size { size: 0, .. } => EINVAL,
            Self::Size { .. } => E2BIG,
        }
    }

    /// Returns the largest size that would not be refused, in bytes.
    pub(crate) fn largest(&self) -> usize {
        match self {
            Self::Size { largest, .. } => *largest,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size {
                method,
                size,
                largest,
                limit,
            } => f.write_fmt(fmt!(
                "{method} takes 1 to {largest} bytes ({limit}), not {size}"
            )),
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
    fn setup(dev: &Device<Bound>) -> Result<Self::State>;

    /// Refuses what cannot work, or what the kernel would warn about. May sleep.
    fn check(_state: &Self::State, request: &Request) -> Result<(), Refusal> {
        let largest = Self::RULES.limit.bytes();

        if (1..=largest).contains(&request.size) {
            return Ok(());
        }
        Err(Refusal::Size {
            method: Self::NAME,
            size: request.size,
            largest,
            limit: Self::RULES.limit.name,
        })
    }

    /// Allocates. May sleep if the flags let it. Returns what the allocator returns.
    fn alloc(state: &Self::State, dev: &Device<Bound>, request: &Request) -> Result<Self::Buffer>;
}

/// An allocation; how it ends is said, not only dropped.
pub(crate) trait Held: Send {
    /// Says what was got. Does not sleep.
    fn facts(&self) -> Facts;

    /// Gives the memory, where the CPU can use it as bytes. Does not sleep.
    #[allow(dead_code, reason = "the tests write and read through it")]
    fn bytes(&mut self) -> Option<&mut [u8]>;

    /// Ends the allocation. May sleep.
    fn release(self, _why: Reason)
    where
        Self: Sized,
    {
        drop(self);
    }
}

// What `KVec`, `VVec` and their kin hold is told alike.
impl<A: Allocator> Held for Bytes<A> {
    fn facts(&self) -> Facts {
        Facts {
            address: self.address(),
            size: self.size(),
            dma_address: None,
        }
    }

    fn bytes(&mut self) -> Option<&mut [u8]> {
        Some(self.bytes())
    }
}

// The table, in the order of the cycle.
methods! {
    kmalloc::Kmalloc,
    kzalloc::Kzalloc,
    vmalloc::Vmalloc,
    coherent::Coherent,
}

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
