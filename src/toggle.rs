// SPDX-License-Identifier: GPL-2.0

//! The state machine: empty, or holding one allocation.
//!
//! It knows nothing of devices and interrupts, and gets the allocating as a function.

use kernel::{
    prelude::*,
    time::{
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    event::Event,
    facts::{
        Facts,
        Layout, //
    },
    inspect::layout,
    method::{
        Held,
        Method,
        Reason, //
    },
    plan::Plan,
    request::Selection,
    rules::{
        Context,
        Request,
        Zeroes, //
    },
    rust::memory::kernel_zeroes,
    stats::Stats, //
};

/// What is held, and how it came to be.
pub(crate) struct Holding<B> {
    pub(crate) buffer: B,
    pub(crate) facts: Facts,
    pub(crate) layout: Layout,
    pub(crate) method: Method,
    pub(crate) request: Request,
    pub(crate) alloc_ns: u64,
    /// The number of the press that allocated it.
    pub(crate) press: u64,
    in_cycle: bool,
    start: Instant<Monotonic>,
}

impl<B> Holding<B> {
    /// Returns how long it has been held, in nanoseconds.
    pub(crate) fn age_ns(&self) -> u64 {
        elapsed_ns(self.start)
    }
}

impl<B: Held> Holding<B> {
    /// Returns what zeroed the memory: `asked` for, the `kernel` by itself, or `no`. May sleep.
    ///
    /// A kernel that zeroes all memory spares some: an element of a pool's reserve, or a slab that
    /// its debugging fills. So the bytes are looked at, too.
    pub(crate) fn zeroed(&self) -> &'static str {
        let rules = self.method.rules();
        if rules.asks_for_zero(self.request.gfp) {
            "asked"
        } else if rules.zeroes == Zeroes::Asked && kernel_zeroes() && self.buffer.rest_is_zero() {
            "kernel"
        } else {
            "no"
        }
    }
}

/// What came of allocating for a press.
pub(crate) struct Outcome<B> {
    method: Method,
    request: Request,
    result: Result<B>,
    /// For how many bytes there is room, where it was not tried for want of it.
    most: Option<usize>,
    ns: u64,
    start: Instant<Monotonic>,
}

impl<B> Outcome<B> {
    /// Allocates if there is room, and takes the time. Any context that `alloc` is for.
    pub(crate) fn of(method: Method, request: Request, alloc: impl FnOnce() -> Result<B>) -> Self {
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

/// A toggle over allocations of type `B`.
pub(crate) struct Toggle<B> {
    plan: Plan,
    // Where the cycle stands: it moves on when what it allocated is freed.
    next: Method,
    held: Option<Holding<B>>,
    presses: u64,
    stats: Stats,
}

impl<B: Held> Toggle<B> {
    /// Makes an empty toggle. Sleeps. Returns `ENOMEM`.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        Ok(Self {
            plan,
            next: Method::ALL.first().copied().ok_or(EINVAL)?,
            held: None,
            presses: 0,
            stats: Stats::new()?,
        })
    }

    /// Carries out one press: frees what is held, or else allocates with `alloc`.
    ///
    /// Sleeps if `alloc` or the release of a `B` does.
    pub(crate) fn press(&mut self, alloc: impl FnOnce(Method, &Request) -> Result<B>) -> Event {
        self.presses += 1;
        let why = Reason::Press(self.presses);

        if let Some(event) = self.free(why) {
            return event;
        }

        let (method, request) = self.plan.choose(self.next);
        // Whatever the settings say, this is a thread.
        let request = Request {
            context: Context::Thread,
            ..request
        };
        self.take_in(Outcome::of(method, request, || alloc(method, &request)))
    }

    /// Takes over what was allocated elsewhere for a press that found the toggle empty.
    pub(crate) fn adopt(&mut self, outcome: Outcome<B>) -> Event {
        self.presses += 1;
        self.take_in(outcome)
    }

    fn take_in(&mut self, outcome: Outcome<B>) -> Event {
        let why = Reason::Press(self.presses);
        let Outcome {
            method,
            request,
            result,
            most,
            ns,
            start,
        } = outcome;

        match result {
            Ok(buffer) => {
                let facts = buffer.facts();
                let layout = layout(&buffer);
                self.held = Some(Holding {
                    buffer,
                    facts,
                    layout,
                    method,
                    request,
                    alloc_ns: ns,
                    press: self.presses,
                    start,
                    in_cycle: self.plan.settings().selection == Selection::Cycle,
                });
                self.stats.update(method, |stats| {
                    stats.allocs += 1;
                    stats.alloc_ns.add(ns);
                });
                Event::Allocated {
                    method,
                    facts,
                    layout,
                    ns,
                    why,
                }
            }
            Err(error) => {
                self.stats.update(method, |stats| stats.failures += 1);
                Event::Failed {
                    method,
                    size: request.size,
                    error,
                    most,
                    why,
                }
            }
        }
    }

    /// Frees what is held, if anything. Sleeps if the release of a `B` does.
    pub(crate) fn free(&mut self, why: Reason) -> Option<Event> {
        let Holding {
            buffer,
            facts,
            method,
            in_cycle,
            ..
        } = self.held.take()?;

        let start = Instant::<Monotonic>::now();
        let ended = buffer.release(why);
        let ns = elapsed_ns(start);

        if in_cycle {
            self.next = method.after();
        }
        self.stats.update(method, |stats| {
            stats.frees += 1;
            stats.free_ns.add(ns);
        });
        Some(Event::Freed {
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
    pub(crate) fn held(&self) -> Option<&Holding<B>> {
        self.held.as_ref()
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
