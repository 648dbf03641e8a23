// SPDX-License-Identifier: GPL-2.0

//! The two halves of the button's interrupt.
//!
//! The hard half counts edges, tells presses from bounces and wakes the thread half, which takes
//! the presses one by one. The count matters: one run of the thread half may follow many edges.
//! The hard half never allocates, sleeps or logs.

use kernel::{
    sync::atomic::{
        Atomic,
        Relaxed, //
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
    window_ns: i64,
    // Written by the hard half alone.
    last_ns: Atomic<i64>,
}

impl Debounce {
    /// Makes a debounce that has seen no edge; a window of 0 makes every edge a press.
    pub(crate) const fn new(window: Delta) -> Self {
        Self {
            window_ns: window.as_nanos(),
            last_ns: Atomic::new(NEVER),
        }
    }

    /// Takes an edge at `now_ns`, and returns whether it is a press. Any context.
    ///
    /// The difference is right across a wrap of the counter.
    pub(crate) fn edge(&self, now_ns: i64) -> bool {
        let last_ns = self.last_ns.load(Relaxed);
        self.last_ns.store(now_ns, Relaxed);

        last_ns == NEVER || now_ns.wrapping_sub(last_ns) >= self.window_ns
    }
}

/// One button: its edges counted, its presses waiting.
pub(crate) struct Button {
    debounce: Debounce,
    start: Instant<Monotonic>,
    edges: Atomic<u64>,
    bounces: Atomic<u64>,
    waiting: Atomic<u64>,
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

    /// The hard half: takes an edge. Hard interrupt context.
    pub(crate) fn hard(&self) -> Wake {
        self.edges.fetch_add(1, Relaxed);

        if self.debounce.edge(self.start.elapsed().as_nanos()) {
            self.waiting.fetch_add(1, Relaxed);
            Wake::Thread
        } else {
            self.bounces.fetch_add(1, Relaxed);
            Wake::Nothing
        }
    }

    /// The thread half: carries out each waiting press once.
    ///
    /// An edge that comes meanwhile finds its press taken here, or has the thread half run once
    /// more. Relaxed atomics are enough for that: the interrupt core marks the wake-up after the
    /// hard half, and clears the mark before the thread half, both with fully ordered operations.
    pub(crate) fn thread(&self, mut carry_out: impl FnMut()) {
        while self.waiting.load(Relaxed) > 0 {
            // Only this thread takes presses away, so that the count cannot fall below 0.
            self.waiting.fetch_sub(1, Relaxed);
            carry_out();
        }
    }

    /// Returns the debounce window.
    pub(crate) fn debounce(&self) -> Delta {
        Delta::from_nanos(self.debounce.window_ns)
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
