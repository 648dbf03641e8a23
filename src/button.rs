// SPDX-License-Identifier: GPL-2.0

//! The two halves of the button's interrupt.
//!
//! The hard half counts edges, tells presses from bounces and wakes the thread half, which takes
//! the presses one by one. The count matters: one run of the thread half may follow many edges.
//! The hard half never sleeps or logs, and allocates only where the settings ask for it.

use kernel::{
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

use crate::rust::interrupt::Wake;

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

/// One button: its edges counted, its presses waiting.
pub(crate) struct Button {
    debounce: Debounce,
    start: Instant<Monotonic>,
    edges: Atomic<u64>,
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
            edges: Atomic::new(0),
            bounces: Atomic::new(0),
            waiting: Atomic::new(0),
        }
    }

    /// The hard half: takes an edge, and has `carry_out` carry out its press at once if no other
    /// is waiting; where that declines, the press waits. Hard interrupt context.
    pub(crate) fn hard(&self, carry_out: impl FnOnce() -> bool) -> Wake {
        self.edges.fetch_add(1, Relaxed);

        if !self.debounce.edge(self.start.elapsed().as_nanos()) {
            self.bounces.fetch_add(1, Relaxed);
            return Wake::Nothing;
        }
        if self.waiting.load(Acquire) > 0 || !carry_out() {
            self.waiting.fetch_add(1, Relaxed);
        }
        Wake::Thread
    }

    /// The thread half: carries out each waiting press once.
    ///
    /// An edge that comes meanwhile finds its press taken here, or has the thread half run once
    /// more: the interrupt core marks the wake-up after the hard half, and clears the mark before
    /// the thread half, both with fully ordered operations. The count is released after a press,
    /// so that a hard half that finds none waiting finds that press carried out.
    pub(crate) fn thread(&self, mut carry_out: impl FnMut()) {
        while self.waiting.load(Relaxed) > 0 {
            carry_out();
            // Afterwards: until then the press is waiting, and no later one may overtake it. Only
            // this thread takes presses away, so that the count cannot fall below 0.
            self.waiting.fetch_add(-1, Release);
        }
    }

    /// Returns the debounce window.
    pub(crate) fn debounce(&self) -> Delta {
        self.debounce.window
    }

    /// Returns how often the hard half ran.
    pub(crate) fn edges(&self) -> u64 {
        self.edges.load(Relaxed)
    }

    /// Returns how many edges came within the window.
    pub(crate) fn bounces(&self) -> u64 {
        self.bounces.load(Relaxed)
    }
}
