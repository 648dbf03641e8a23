// SPDX-License-Identifier: GPL-2.0

//! What an allocation method is: what it is asked for, the rules of what it takes, and what it
//! returns.
//!
//! A new method is one file in `method/` with a type that implements [`Allocate`] or
//! [`AllocateFrom`], and one line in the table, `method/table.rs`. Parsing, the cycle, debugfs and
//! the tests follow from it.

use kernel::{
    fmt,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::rust::{
    address::Address,
    bound::BoundDevice,
    decimal::Decimal,
    dma::ShownDmaAddress,
    gfp::{
        Base,
        Gfp,
        Modifier, //
    },
    limits::{
        Limit,
        KMALLOC_MAX_SIZE,
        TOTAL_RAM, //
    },
    memory::{
        Memory,
        Owner,
        Run, //
    },
    room::Room,
    share::{
        Lent,
        Paged,
        Shared,
        NEIGHBOURS, //
    }, //
};

#[macro_use]
mod table;

/// What the file of a method uses.
mod prelude {
    pub(super) use super::{
        Allocate,
        Devices,
        Particulars,
        Request,
        Rules,
        Takes,
        Zeroes, //
    };
    pub(super) use crate::rust::gfp::{
        Base,
        Gfp,
        Modifier, //
    };
    pub(super) use kernel::prelude::*;
}

/// Where a press allocates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Context {
    /// In the interrupt's thread: it may sleep.
    Thread,
    /// In the interrupt itself: it must not sleep.
    Hard,
}

impl Context {
    pub(crate) const ALL: [Self; 2] = [Self::Thread, Self::Hard];

    /// Returns the name that users know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Hard => "hard",
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a method is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// In bytes.
    pub(crate) size: usize,
    pub(crate) gfp: Gfp,
    pub(crate) context: Context,
}

/// The flags that a method takes.
pub(crate) struct Takes {
    pub(crate) bases: &'static [Base],
    pub(crate) modifiers: &'static [Modifier],
}

impl Takes {
    /// What the `kernel` crate has.
    pub(crate) const CRATE: Self = Self {
        bases: &[Base::Kernel, Base::Atomic, Base::Nowait],
        modifiers: &[Modifier::Zero, Modifier::Nowarn, Modifier::Account],
    };

    /// Everything.
    pub(crate) const ALL: Self = Self {
        bases: Base::ALL,
        modifiers: Modifier::ALL,
    };

    /// What the slab allocator takes without a warning: no high memory, no zone of 32 bits.
    pub(crate) const SLAB: Self = Self {
        bases: &[
            Base::Kernel,
            Base::Atomic,
            Base::Nowait,
            Base::Noio,
            Base::Nofs,
            Base::User,
            Base::Dma,
        ],
        modifiers: &[
            Modifier::Zero,
            Modifier::Nowarn,
            Modifier::Noretry,
            Modifier::RetryMayfail,
            Modifier::Nofail,
            Modifier::High,
            Modifier::Thisnode,
            Modifier::Account,
        ],
    };

    /// What the C function `__vmalloc` takes.
    pub(crate) const VMALLOC: Self = Self {
        bases: Base::VMALLOC,
        modifiers: Modifier::VMALLOC,
    };

    /// Returns whether the word `name` is among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        let mut modifiers = self.modifiers.iter();
        self.bases.iter().any(|base| base.name() == name)
            || modifiers.any(|modifier| modifier.name() == name)
    }
}

/// When a method's memory is zeroed, apart from what the kernel does to every allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeroes {
    /// Whatever the flags say.
    Always,
    /// Where the flags ask for it.
    Asked,
    /// Where the flags ask for it, and never by the kernel itself: a constructor or the driver
    /// fills it, or it is of no allocator.
    Never,
}

/// What a method takes.
pub(crate) struct Rules {
    /// The size of a request that does not name one, in bytes.
    pub(crate) default_size: usize,
    /// The largest size; the smallest is 1.
    pub(crate) limit: Limit,
    /// When the memory is zeroed.
    pub(crate) zeroes: Zeroes,
    /// Whether more than a page follow each other in physical memory.
    pub(crate) contiguous: bool,
    /// Whether user space may have the memory, as its pages hold nothing else.
    pub(crate) own_pages: bool,
    /// Whether it is for a device that does DMA itself.
    pub(crate) dma: bool,
    /// The flags.
    pub(crate) takes: Takes,
    /// Why it must not run in the interrupt itself, if so.
    pub(crate) sleeps: Option<&'static str>,
}

/// The devices for which a method may allocate.
#[derive(Clone, Copy)]
pub(crate) struct Devices<'bound> {
    /// The one that is driven.
    pub(crate) own: BoundDevice<'bound>,
    /// The one that does DMA, the same or another, if one does.
    pub(crate) dma: Option<BoundDevice<'bound>>,
}

/// Why a request is refused before it is tried.
#[derive(Clone, Copy)]
pub(crate) enum Objection {
    /// The size is not in 1 to `largest`, the limit called `limit`.
    Size {
        size: usize,
        largest: usize,
        limit: &'static str,
    },
    /// The method does not take this word of the flags.
    Word(&'static str),
    /// The flags make no sense together, or the kernel would warn.
    Together(&'static str),
    /// It must not run in the interrupt itself.
    Sleeps(&'static str),
    /// Nothing does DMA for the device, for this reason.
    NoDma(&'static str),
}

impl Objection {
    /// Returns the rank of what it says to change, where every method objects: the highest is told.
    ///
    /// Of sizes, the largest that a method takes. A word ranks lowest, as some method takes it, and
    /// so does DMA, as some method does without.
    pub(crate) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Word(_) | Self::NoDma(_) => (0, 0),
            Self::Size { largest, .. } => (1, *largest),
            Self::Together(_) => (2, 0),
            Self::Sleeps(_) => (3, 0),
        }
    }
}

/// The most pages that the page allocator looks for until there are any.
const NOFAIL_PAGES: usize = 2;

impl Rules {
    /// What the `kmalloc` of the `kernel` crate takes; methods like it differ in some.
    pub(crate) const KMALLOC: Self = Self {
        default_size: 64,
        limit: KMALLOC_MAX_SIZE,
        zeroes: Zeroes::Asked,
        contiguous: true,
        own_pages: false,
        dma: false,
        takes: Takes::CRATE,
        sleeps: None,
    };

    /// What its `vmalloc` takes.
    pub(crate) const VMALLOC: Self = Self {
        default_size: 4096,
        limit: TOTAL_RAM,
        zeroes: Zeroes::Asked,
        contiguous: false,
        own_pages: true,
        dma: false,
        takes: Takes {
            bases: Base::CRATE_VMALLOC,
            modifiers: Takes::CRATE.modifiers,
        },
        sleeps: Some("the vmalloc family may sleep"),
    };

    /// Says what is wrong with a request.
    pub(crate) fn objection(&self, request: &Request) -> Option<Objection> {
        self.size(request.size)
            .or_else(|| self.words(request.gfp))
            .or_else(|| self.together(request))
            .or_else(|| self.context(request))
    }

    /// Takes the room for `size` bytes where nothing but memory itself is the limit. Any context.
    ///
    /// Where there is none, returns for how many bytes there is.
    pub(crate) fn room(&self, size: usize) -> Result<Option<Room>, usize> {
        if self.limit.fixed {
            return Ok(None);
        }
        Room::new(size).map(Some)
    }

    fn size(&self, size: usize) -> Option<Objection> {
        let largest = self.limit.bytes();
        let objection = Objection::Size {
            size,
            largest,
            limit: self.limit.name,
        };
        (!(1..=largest).contains(&size)).then_some(objection)
    }

    fn words(&self, gfp: Gfp) -> Option<Objection> {
        let base = gfp.base();
        if !self.takes.bases.contains(&base) {
            return Some(Objection::Word(base.name()));
        }
        gfp.modifiers()
            .find(|modifier| !self.takes.modifiers.contains(modifier))
            .map(|modifier| Objection::Word(modifier.name()))
    }

    fn together(&self, request: &Request) -> Option<Objection> {
        let gfp = request.gfp;
        let nofail = gfp.has(Modifier::Nofail);
        let efforts = [Modifier::Noretry, Modifier::RetryMayfail, Modifier::Nofail];

        let reason = if efforts.into_iter().filter(|e| gfp.has(*e)).count() > 1 {
            "noretry, retry_mayfail and nofail exclude each other"
        } else if nofail && !gfp.base().may_sleep() {
            "nofail has to wait, and with this base it must not sleep"
        } else if nofail && self.contiguous && request.size > NOFAIL_PAGES * PAGE_SIZE {
            "nofail is for at most two contiguous pages"
        } else {
            return None;
        };
        Some(Objection::Together(reason))
    }

    fn context(&self, request: &Request) -> Option<Objection> {
        match request.context {
            Context::Thread => None,
            Context::Hard if request.gfp.base().may_sleep() => {
                Some(Objection::Sleeps("its flags let it sleep"))
            }
            Context::Hard => self.sleeps.map(Objection::Sleeps),
        }
    }
}

/// Why an allocation ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// For its device, when that was bound.
    Probe,
    /// By the press with this number.
    Press(u64),
    /// Because its device goes away.
    Unbind,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe => f.write_str("probe"),
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

/// One way to allocate.
pub(crate) trait Allocate {
    /// The kernel API's name, without prefix noise.
    const NAME: &'static str;
    /// What it takes.
    const RULES: Rules;
    /// What it returns.
    type Allocation: Allocation;

    /// Refuses what cannot work, or what the kernel would warn about.
    fn check(request: &Request) -> Result<(), Objection> {
        Self::RULES.objection(request).map_or(Ok(()), Err)
    }

    /// Allocates. May sleep if the flags let it. Returns what the allocator returns.
    fn alloc(request: &Request) -> Result<Self::Allocation>;
}

/// One way to allocate, for a device or from something that each device has: a cache, a pool.
pub(crate) trait AllocateFrom {
    /// As [`Allocate::NAME`].
    const NAME: &'static str;
    /// As [`Allocate::RULES`].
    const RULES: Rules;
    /// What it needs for each device; the device itself, if nothing else.
    type State<'bound>: Send + Sync;
    /// What it returns.
    type Allocation<'bound>: Allocation;

    /// Makes the state for a device. Sleeps.
    fn setup(devices: Devices<'_>) -> Result<Self::State<'_>>;

    /// As [`Allocate::check`].
    fn check(request: &Request) -> Result<(), Objection> {
        Self::RULES.objection(request).map_or(Ok(()), Err)
    }

    /// As [`Allocate::alloc`].
    fn alloc<'bound>(
        state: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>>;
}

impl<M: Allocate> AllocateFrom for M {
    const NAME: &'static str = M::NAME;
    const RULES: Rules = M::RULES;
    type State<'bound> = ();
    type Allocation<'bound> = M::Allocation;

    fn setup(_devices: Devices<'_>) -> Result {
        Ok(())
    }

    fn check(request: &Request) -> Result<(), Objection> {
        M::check(request)
    }

    fn alloc<'bound>(
        _state: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        M::alloc(request)
    }
}

/// An allocation; how it ends is said, not only dropped.
pub(crate) trait Allocation: Send {
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

    /// Returns when it is zeroed, where the method's rules do not say so. Does not sleep.
    fn zeroes(&self) -> Option<Zeroes> {
        None
    }

    /// Gives the bytes to `work`, which must not sleep; returns whether it is made of bytes.
    #[allow(dead_code, reason = "the tests write and read through it")]
    fn with_bytes(&mut self, work: &mut dyn FnMut(&mut [u8])) -> bool;

    /// Returns the memory for user space, or why it cannot have it. May sleep.
    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        Err(NEIGHBOURS)
    }

    /// Prepares the end: says what the drop that follows does. Does not sleep.
    fn end(&mut self, _why: Reason) -> Ended {
        Ended::Freed
    }
}

/// What most allocations are: memory, and a few words on it.
pub(crate) trait Particulars: Owner {
    /// Where a device finds it.
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        None
    }

    /// As [`Allocation::remarks`].
    fn remarks(&self, _each: &mut dyn FnMut(fmt::Arguments<'_>)) {}

    /// As [`Allocation::details`].
    fn details(&self, _each: &mut dyn FnMut(fmt::Arguments<'_>)) {}

    /// As [`Allocation::zeroes`].
    fn zeroes(&self) -> Option<Zeroes> {
        None
    }

    /// As [`Allocation::lend`].
    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        Err(NEIGHBOURS)
    }

    /// As [`Allocation::end`].
    fn end(&mut self, _why: Reason) -> Ended {
        Ended::Freed
    }
}

/// What user space may have is what it is without that.
impl<P: Particulars + Paged> Particulars for Shared<P> {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        Particulars::dma_address(&**self)
    }

    fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        Particulars::remarks(&**self, each);
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        Particulars::details(&**self, each);
    }

    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        Shared::lend(self)
    }
}

impl<P: Particulars> Allocation for P {
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
        Particulars::remarks(self, each);
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        Particulars::details(self, each);
    }

    fn rest_is_zero(&self) -> bool {
        self.memory().rest_is_zero()
    }

    fn zeroes(&self) -> Option<Zeroes> {
        Particulars::zeroes(self)
    }

    fn with_bytes(&mut self, work: &mut dyn FnMut(&mut [u8])) -> bool {
        work(self.bytes());
        true
    }

    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        Particulars::lend(self)
    }

    fn end(&mut self, why: Reason) -> Ended {
        Particulars::end(self, why)
    }
}

#[cfg(not(usb))]
methods!();
#[cfg(usb)]
methods_for_usb!();

impl Method {
    /// Returns the method with this name.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|method| method.name().as_bytes() == name)
    }

    /// Refuses what it cannot do for a device, for which nothing does DMA if there is a reason.
    pub(crate) fn check_for(
        self,
        no_dma: Option<&'static str>,
        request: &Request,
    ) -> Result<(), Objection> {
        match no_dma {
            Some(why) if self.rules().dma => Err(Objection::NoDma(why)),
            _ => self.check(request),
        }
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
