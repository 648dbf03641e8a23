// SPDX-License-Identifier: GPL-2.0

//! A slot where a thread leaves an order for an interrupt handler, and the handler its result.
//!
//! There is one slot for either. The handler never waits; the thread sleeps while the handler
//! runs. It does what a lock would do that is taken with interrupts off, which Rust code
//! cannot do before Linux 7.3, and keeps interrupts on.

use core::cell::UnsafeCell;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

/// Nothing is published: the slot is the thread's.
const CLOSED: i32 = 0;
/// There is an order: the slot is nobody's.
const OPEN: i32 = 1;
/// The handler carries out the order: the slot is the handler's.
const TAKEN: i32 = 2;
/// There is a result: the slot is the thread's.
const DONE: i32 = 3;

/// How long the thread sleeps while a handler is at it: longer than a handler takes, and so long
/// that `fsleep` does not spin instead, which it does up to 10 us.
const NAP: Delta = Delta::from_micros(20);

/// # Invariants
///
/// - Who owns the slot follows from `state`, as the states say.
/// - Only the publisher changes `CLOSED` and `DONE`; only a job changes `TAKEN`.
struct Slot<O, R> {
    state: Atomic<i32>,
    order: UnsafeCell<Option<O>>,
    result: UnsafeCell<Option<R>>,
}

// SAFETY: By the type invariants, one thread or handler at a time uses the cells.
unsafe impl<O: Send, R: Send> Sync for Slot<O, R> {}

/// The thread's side.
pub(crate) struct Publisher<O, R>(Arc<Slot<O, R>>);

/// The handler's side.
pub(crate) struct Taker<O, R>(Arc<Slot<O, R>>);

/// Makes both sides of a slot in which nothing is published. Sleeps. Returns `ENOMEM`.
pub(crate) fn new<O: Send, R: Send>() -> Result<(Publisher<O, R>, Taker<O, R>)> {
    let slot = Arc::new(
        Slot {
            state: Atomic::new(CLOSED),
            order: UnsafeCell::new(None),
            result: UnsafeCell::new(None),
        },
        GFP_KERNEL,
    )?;
    Ok((Publisher(slot.clone()), Taker(slot)))
}

impl<O: Send, R: Send> Publisher<O, R> {
    /// Publishes an order. What was published or done before and not withdrawn is lost. Sleeps.
    pub(crate) fn publish(&mut self, order: O) {
        drop(self.withdraw());
        // SAFETY: Nothing is published, and this is the only publisher: the slot is ours.
        unsafe { *self.0.order.get() = Some(order) };
        self.0.state.store(OPEN, Release);
    }

    /// Returns whether nothing is published, and no result is there. Any context.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.state.load(Acquire) == CLOSED
    }

    /// Makes sure that no handler takes the order any more; returns the result if one has.
    ///
    /// Sleeps while a handler is at it.
    pub(crate) fn withdraw(&mut self) -> Option<R> {
        loop {
            match self.0.state.load(Acquire) {
                CLOSED => return None,
                OPEN => {
                    if self.0.state.cmpxchg(OPEN, CLOSED, Acquire).is_ok() {
                        return None;
                    }
                }
                DONE => {
                    // SAFETY: There is a result, and this is the only publisher: the slot is ours.
                    let result = unsafe { (*self.0.result.get()).take() };
                    self.0.state.store(CLOSED, Relaxed);
                    return result;
                }
                // The handler runs on another processor. Where it is a thread, it may be on this
                // one and need it.
                _ => fsleep(NAP),
            }
        }
    }
}

impl<O: Send, R: Send> Taker<O, R> {
    /// Takes the order, if there is one. Any context; does not wait.
    pub(crate) fn take(&self) -> Option<(O, Job<'_, O, R>)> {
        self.0.state.cmpxchg(OPEN, TAKEN, Acquire).ok()?;
        let job = Job(&self.0);

        // SAFETY: We changed the state to `TAKEN`: the slot is ours.
        let order = unsafe { (*self.0.order.get()).take() }?;
        Some((order, job))
    }
}

/// An order that was taken; dropping it without a result withdraws it.
pub(crate) struct Job<'a, O, R>(&'a Slot<O, R>);

impl<O, R> Job<'_, O, R> {
    /// Hands over the result. Any context; does not wait.
    pub(crate) fn complete(self, result: R) {
        // SAFETY: The state is `TAKEN`, by us: the slot is ours. What is overwritten is `None`,
        // as a result is taken out before the next order is published.
        unsafe { *self.0.result.get() = Some(result) };
        self.0.state.store(DONE, Release);
        core::mem::forget(self);
    }
}

impl<O, R> Drop for Job<'_, O, R> {
    fn drop(&mut self) {
        self.0.state.store(CLOSED, Release);
    }
}
