// SPDX-License-Identifier: GPL-2.0

//! The state machine: empty, or holding one allocation.
//!
//! It knows nothing of devices and interrupts, and gets the allocating as a function.

use core::ops::Deref;

use kernel::{
    prelude::*,
    time::{
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    method::{
        Allocation,
        Context,
        Method,
        Reason,
        Request,
        Zeroes, //
    },
    report::{
        layout,
        Event, //
    },
    rust::{
        gfp::Modifier,
        memory::kernel_zeroes,
        share::Lent, //
    },
    settings::{
        Plan,
        Selection, //
    },
    stats::Stats, //
};

/// How what is held came to be.
pub(crate) struct Origin {
    pub(crate) method: Method,
    pub(crate) request: Request,
    pub(crate) alloc_ns: u64,
    /// The number of the press that allocated it; 0 if that was done at probe.
    pub(crate) press: u64,
    in_cycle: bool,
    start: Instant<Monotonic>,
}

impl Origin {
    /// Returns how long it has been held, in nanoseconds.
    pub(crate) fn age_ns(&self) -> u64 {
        elapsed_ns(self.start)
    }
}

/// What is held, and how it came to be.
pub(crate) struct Held<'a, B> {
    pub(crate) allocation: &'a B,
    origin: &'a Origin,
}

impl<B> Deref for Held<'_, B> {
    type Target = Origin;

    fn deref(&self) -> &Origin {
        self.origin
    }
}

impl<B: Allocation> Held<'_, B> {
    /// Returns what zeroed the memory: `asked` for, the `kernel` by itself, or `no`. May sleep.
    ///
    /// A kernel that zeroes all memory spares some: an element of a pool's reserve, or a slab that
    /// its debugging fills. So the bytes are looked at, too.
    pub(crate) fn zeroed(&self) -> &'static str {
        let zeroes = self.allocation.zeroes();
        let zeroes = zeroes.unwrap_or(self.method.rules().zeroes);
        if zeroes == Zeroes::Always || self.request.gfp.has(Modifier::Zero) {
            "asked"
        } else if zeroes == Zeroes::Asked && kernel_zeroes() && self.allocation.rest_is_zero() {
            "kernel"
        } else {
            "no"
        }
    }
}

/// What came of allocating, but for what was got.
struct Attempt {
    method: Method,
    request: Request,
    result: Result,
    /// For how many bytes there is room, where there was too little to try.
    most: Option<usize>,
    ns: u64,
    start: Instant<Monotonic>,
}

impl Attempt {
    /// Allocates if there is room, and takes the time. Any context that `alloc` is for.
    #[inline(always)]
    fn new(method: Method, request: Request, alloc: impl FnOnce() -> Result) -> Self {
        // Looking for room is not part of the latency.
        let room = method.rules().room(request.size);
        let start = Instant::now();
        let result = if room.is_ok() { alloc() } else { Err(ENOMEM) };
        let ns = elapsed_ns(start);
        Self {
            method,
            request,
            result,
            most: room.err(),
            ns,
            start,
        }
    }
}

/// What came of allocating elsewhere than in the toggle.
pub(crate) struct Outcome<B> {
    attempt: Attempt,
    allocation: Option<B>,
}

impl<B> Outcome<B> {
    /// Has `alloc` fill a place, if there is room, and takes the time. Any context that `alloc` is
    /// for.
    pub(crate) fn of(
        method: Method,
        request: Request,
        alloc: impl FnOnce(&mut Option<B>) -> Result,
    ) -> Self {
        let mut allocation = None;
        let attempt = Attempt::new(method, request, || alloc(&mut allocation));
        Self {
            attempt,
            allocation,
        }
    }
}

/// A toggle over allocations of type `B`.
pub(crate) struct Toggle<B> {
    plan: Plan,
    // Where the cycle stands: it moves on when what it allocated is freed.
    next: Method,
    // Apart, so that an allocation is put where it stays. Without it, the other says nothing.
    allocation: Option<B>,
    origin: Option<Origin>,
    presses: u64,
    stats: Stats,
}

impl<B: Allocation> Toggle<B> {
    /// Makes an empty toggle. Sleeps. Returns `ENOMEM`.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        Ok(Self {
            plan,
            next: Method::ALL.first().copied().ok_or(EINVAL)?,
            allocation: None,
            origin: None,
            presses: 0,
            stats: Stats::new()?,
        })
    }

    /// Carries out one press: frees what is held, or else allocates with `alloc`. Returns what
    /// happened if it is to be shown: what is shown is found out for that alone.
    ///
    /// Sleeps if `alloc` or the drop of a `B` does.
    pub(crate) fn press(
        &mut self,
        is_shown: bool,
        alloc: impl FnOnce(Method, &Request, &mut Option<B>) -> Result,
    ) -> Option<Event> {
        self.presses += 1;
        if self.allocation.is_some() {
            return self.free(Reason::Press(self.presses), is_shown);
        }

        let (method, request) = self.next_in_thread();
        let place = &mut self.allocation;
        let attempt = Attempt::new(method, request, || alloc(method, &request, place));
        self.take_in(attempt, Reason::Press(self.presses), is_shown)
    }

    /// Returns what the next allocation is in a thread, whatever context the settings say.
    #[inline(always)]
    pub(crate) fn next_in_thread(&self) -> (Method, Request) {
        let (method, request) = self.plan.choose(self.next);
        let request = Request {
            context: Context::Thread,
            ..request
        };
        (method, request)
    }

    /// Takes over what was allocated elsewhere for a press that found the toggle empty.
    pub(crate) fn adopt(&mut self, outcome: Outcome<B>, is_shown: bool) -> Option<Event> {
        self.presses += 1;
        self.put(outcome, Reason::Press(self.presses), is_shown)
    }

    /// Takes over what was allocated before any press; returns what happened.
    pub(crate) fn probe(&mut self, outcome: Outcome<B>) -> Option<Event> {
        self.put(outcome, Reason::Probe, true)
    }

    #[inline(never)]
    fn put(&mut self, outcome: Outcome<B>, why: Reason, is_shown: bool) -> Option<Event> {
        self.allocation = outcome.allocation;
        self.take_in(outcome.attempt, why, is_shown)
    }

    /// Counts what came of allocating; what was got is in its place already.
    #[inline(always)]
    fn take_in(&mut self, attempt: Attempt, why: Reason, is_shown: bool) -> Option<Event> {
        let (method, ns) = (attempt.method, attempt.ns);

        if let Err(error) = attempt.result {
            self.stats.update(method, |stats| stats.failures += 1);
            return is_shown.then_some(Event::Failed {
                method,
                size: attempt.request.size,
                error,
                most: attempt.most,
                why,
            });
        }

        self.origin = Some(Origin {
            method,
            request: attempt.request,
            alloc_ns: ns,
            press: self.presses,
            in_cycle: self.plan.settings().selection == Selection::Cycle,
            start: attempt.start,
        });
        self.stats.update(method, |stats| {
            stats.allocs += 1;
            stats.alloc_ns.add(ns);
        });
        let allocation = self.allocation.as_ref().filter(|_| is_shown)?;
        Some(Event::Allocated {
            method,
            facts: allocation.facts(),
            layout: layout(allocation),
            ns,
            why,
        })
    }

    /// Frees what is held, if anything. Returns what happened if it is to be shown.
    ///
    /// Sleeps if the drop of a `B` does.
    pub(crate) fn free(&mut self, why: Reason, is_shown: bool) -> Option<Event> {
        let allocation = self.allocation.as_mut()?;
        let Origin {
            method, in_cycle, ..
        } = *self.origin.as_ref()?;
        // Before it is gone.
        let facts = is_shown.then(|| allocation.facts());

        let start = Instant::<Monotonic>::now();
        let ended = allocation.end(why);
        self.allocation = None;
        let ns = elapsed_ns(start);

        if in_cycle {
            self.next = method.after();
        }
        self.stats.update(method, |stats| {
            stats.frees += 1;
            stats.free_ns.add(ns);
        });
        facts.map(|facts| Event::Freed {
            method,
            facts,
            ended,
            ns,
            why,
        })
    }

    /// Changes what the next allocation is; what is held stays as it is.
    pub(crate) fn change(&mut self, plan: Plan) {
        self.plan = plan;
    }

    /// Returns what the next allocation follows.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the cycle's next method.
    pub(crate) fn next(&self) -> Method {
        self.plan.next_in_cycle(self.next)
    }

    /// Returns what is held.
    pub(crate) fn held(&self) -> Option<Held<'_, B>> {
        let (allocation, origin) = self.allocation.as_ref().zip(self.origin.as_ref())?;
        Some(Held { allocation, origin })
    }

    /// Returns the memory of what is held for user space, or why it cannot have it. May sleep.
    pub(crate) fn lend(&mut self) -> Option<(Method, Result<Lent<'_>, &'static str>)> {
        let (allocation, origin) = self.allocation.as_mut().zip(self.origin.as_ref())?;
        Some((origin.method, allocation.lend()))
    }

    /// Returns how many presses were carried out.
    pub(crate) fn presses(&self) -> u64 {
        self.presses
    }

    /// Returns the counters.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }
}

fn elapsed_ns(start: Instant<Monotonic>) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(0)
}
