// SPDX-License-Identifier: GPL-2.0

//! What a method is asked for, and what methods take.

use kernel::{
    fmt,
    page::PAGE_SIZE, //
};

use crate::rust::{
    gfp::{
        Base,
        Gfp,
        Modifier, //
    },
    limits::Limit,
    room::Room, //
};

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
    /// The flags.
    pub(crate) takes: Takes,
    /// Why it must not run in the interrupt itself, if so.
    pub(crate) sleeps: Option<&'static str>,
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
}

/// The most pages that the page allocator looks for until there are any.
const NOFAIL_PAGES: usize = 2;

impl Rules {
    /// Says what is wrong with a request.
    pub(crate) fn objection(&self, request: &Request) -> Option<Objection> {
        self.size(request.size)
            .or_else(|| self.words(request.gfp))
            .or_else(|| self.together(request))
            .or_else(|| self.context(request))
    }

    /// Returns whether memory that is allocated with `gfp` is zeroed because it is asked for.
    pub(crate) fn asks_for_zero(&self, gfp: Gfp) -> bool {
        self.zeroes == Zeroes::Always || gfp.has(Modifier::Zero)
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

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
