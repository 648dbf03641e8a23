// SPDX-License-Identifier: GPL-2.0

//! The two halves of the button's interrupt.
//!
//! The hard half counts edges, tells presses from bounces and wakes the thread half, which takes
//! the presses one by one. The count matters: one run of the thread half may follow many edges.
//! The hard half never sleeps or logs, and allocates only where the settings ask for it.

use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::rust::{
    context::Place,
    decimal::Decimal,
    interrupt::Wake, //
};

/// How long edges after an edge are bounces, unless something else is asked for: as in gpio-keys.
pub(crate) const DEFAULT_DEBOUNCE: Delta = Delta::from_millis(5);

/// How long the thread half works before it pauses, if presses still wait.
const STRETCH: Delta = Delta::from_millis(10);

/// How many nanoseconds of work cause a microsecond of pause: the pause is a tenth of the work.
const WORK_NS_PER_US: u32 = 10_000;

/// Stands for "no edge yet" among the nanoseconds since probe.
const NEVER: i64 = i64::MIN;

/// Tells presses from bounces.
///
/// An edge is a press if it is the first, or if at least the window passed since the last edge,
/// be that a press or a bounce.
pub(crate) struct Debounce {
    window: Delta,
    // Written by the hard half alone.
    last_ns: Atomic<i64>,
}

impl Debounce {
    /// Makes a debounce that has seen no edge; a window of 0 makes every edge a press.
    pub(crate) const fn new(window: Delta) -> Self {
        Self {
            window,
            last_ns: Atomic::new(NEVER),
        }
    }

    /// Takes an edge at `now_ns`, and returns whether it is a press. Any context.
    ///
    /// The difference is right across a wrap of the counter.
    pub(crate) fn edge(&self, now_ns: i64) -> bool {
        let last_ns = self.last_ns.load(Relaxed);
        self.last_ns.store(now_ns, Relaxed);

        last_ns == NEVER || now_ns.wrapping_sub(last_ns) >= self.window.as_nanos()
    }
}

/// Tells when work that goes on and on is to pause.
///
/// The thread half has a real-time priority: a storm of presses would keep the processor from all
/// that has a lower one, and from other interrupts' threads, which have the same.
pub(crate) struct Stretch {
    // None until it is asked for the first time.
    start_ns: Option<i64>,
}

impl Stretch {
    /// Makes a stretch of work that begins when it is first asked about.
    pub(crate) const fn new() -> Self {
        Self { start_ns: None }
    }

    /// Returns for how long to pause work that still goes on at `now_ns`, if at all. Any context.
    ///
    /// The longer a single press takes, the longer the stretch becomes, and so does the pause, up
    /// to what four seconds of work cost. The difference is right across a wrap of the counter.
    pub(crate) fn pause(&mut self, now_ns: i64) -> Option<Delta> {
        let start_ns = *self.start_ns.get_or_insert(now_ns);
        let worked_ns = now_ns.wrapping_sub(start_ns);
        if worked_ns < STRETCH.as_nanos() {
            return None;
        }
        // Within 32 bits: kernels of 32 bits have no division of more.
        let worked_ns = u32::try_from(worked_ns).unwrap_or(u32::MAX);
        Some(Delta::from_micros(i64::from(worked_ns / WORK_NS_PER_US)))
    }

    /// Begins anew at `now_ns`, after a pause. Any context.
    pub(crate) fn restart(&mut self, now_ns: i64) {
        self.start_ns = Some(now_ns);
    }
}

/// How many edges came where; shown as `hardirq=1 softirq=0 thread=0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Edges {
    pub(crate) hardirq: u64,
    pub(crate) softirq: u64,
    pub(crate) thread: u64,
}

impl Edges {
    /// Returns how many there are in all.
    pub(crate) fn total(self) -> u64 {
        self.hardirq + self.softirq + self.thread
    }
}

impl fmt::Display for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hardirq,
            softirq,
            thread,
        } = self;
        let [hardirq, softirq, thread] = [*hardirq, *softirq, *thread].map(Decimal);
        f.write_fmt(fmt!("hardirq={hardirq} softirq={softirq} thread={thread}"))
    }
}

/// One button: its edges counted, its presses waiting.
pub(crate) struct Button {
    debounce: Debounce,
    start: Instant<Monotonic>,
    hardirq_edges: Atomic<u64>,
    softirq_edges: Atomic<u64>,
    thread_edges: Atomic<u64>,
    bounces: Atomic<u64>,
    // Never below 0; signed, as it is taken from by adding -1.
    waiting: Atomic<i64>,
}

impl Button {
    /// Makes a button that was never pressed.
    pub(crate) fn new(debounce: Delta) -> Self {
        Self {
            debounce: Debounce::new(debounce),
            start: Instant::now(),
            hardirq_edges: Atomic::new(0),
            softirq_edges: Atomic::new(0),
            thread_edges: Atomic::new(0),
            bounces: Atomic::new(0),
            waiting: Atomic::new(0),
        }
    }

    /// The hard half: takes an edge, and has `carry_out` carry out its press at once if no other
    /// is waiting; where that declines, the press waits. Hard interrupt context.
    ///
    /// `place` is where it runs.
    pub(crate) fn hard(&self, place: Place, carry_out: impl FnOnce() -> bool) -> Wake {
        let edges = match place {
            Place::Hardirq => &self.hardirq_edges,
            Place::Softirq => &self.softirq_edges,
            Place::Thread => &self.thread_edges,
        };
        edges.fetch_add(1, Relaxed);

        if !self.debounce.edge(self.now_ns()) {
            self.bounces.fetch_add(1, Relaxed);
            return Wake::Nothing;
        }
        if self.waiting.load(Acquire) > 0 || !carry_out() {
            self.waiting.fetch_add(1, Relaxed);
        }
        Wake::Thread
    }

    /// The thread half: carries out each waiting press once, and lets others run from time to time
    /// by `pause`, which is to sleep for about so long.
    ///
    /// An edge that comes meanwhile finds its press taken here, or has the thread half run once
    /// more: the interrupt core marks the wake-up after the hard half, and clears the mark before
    /// the thread half, both with fully ordered operations. The count is released after a press,
    /// so that a hard half that finds none waiting finds that press carried out.
    ///
    /// The clock is read only where more presses wait: a single press does not pay for the storm.
    pub(crate) fn thread(&self, mut carry_out: impl FnMut(), mut pause: impl FnMut(Delta)) {
        let mut stretch = Stretch::new();

        while self.waiting.load(Relaxed) > 0 {
            carry_out();
            // Afterwards: until then the press is waiting, and no later one may overtake it. Only
            // this thread takes presses away, so that the count cannot fall below 0.
            let left = self.waiting.fetch_add(-1, Release) - 1;

            // What waits during a pause is not forgotten: this loop takes it afterwards.
            if left > 0 {
                if let Some(length) = stretch.pause(self.now_ns()) {
                    pause(length);
                    stretch.restart(self.now_ns());
                }
            }
        }
    }

    /// Returns whether a press waits for the thread half. Any context.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// Returns the time since probe, in nanoseconds.
    fn now_ns(&self) -> i64 {
        self.start.elapsed().as_nanos()
    }

    /// Returns the debounce window.
    pub(crate) fn debounce(&self) -> Delta {
        self.debounce.window
    }

    /// Returns how often the hard half ran, and where.
    pub(crate) fn edges(&self) -> Edges {
        Edges {
            hardirq: self.hardirq_edges.load(Relaxed),
            softirq: self.softirq_edges.load(Relaxed),
            thread: self.thread_edges.load(Relaxed),
        }
    }

    /// Returns how many edges came within the window.
    pub(crate) fn bounces(&self) -> u64 {
        self.bounces.load(Relaxed)
    }
}
