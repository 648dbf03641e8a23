// SPDX-License-Identifier: GPL-2.0

//! A place where a thread leaves an order for an interrupt handler, and the handler its result.
//!
//! There is one place for either. The handler never waits; the thread sleeps while the handler
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

/// Nothing is published: the place is the thread's.
const CLOSED: i32 = 0;
/// There is an order: the place is nobody's.
const OPEN: i32 = 1;
/// The handler carries out the order: the place is the handler's.
const TAKEN: i32 = 2;
/// There is a result: the place is the thread's.
const DONE: i32 = 3;

/// How long the thread sleeps while a handler is at it: longer than a handler takes, and so long
/// that `fsleep` does not spin instead, which it does up to 10 us.
const NAP: Delta = Delta::from_micros(20);

/// # Invariants
///
/// - Who owns the place follows from `state`, as the states say.
/// - Only the publisher changes `CLOSED` and `DONE`; only a job changes `TAKEN`.
struct Place<O, R> {
    state: Atomic<i32>,
    order: UnsafeCell<Option<O>>,
    result: UnsafeCell<Option<R>>,
}

// SAFETY: By the type invariants, one thread or handler at a time uses the cells.
unsafe impl<O: Send, R: Send> Sync for Place<O, R> {}

/// The thread's side.
pub(crate) struct Publisher<O, R>(Arc<Place<O, R>>);

/// The handler's side.
pub(crate) struct Taker<O, R>(Arc<Place<O, R>>);

/// Makes both sides of a place in which nothing is published. Sleeps. Returns `ENOMEM`.
pub(crate) fn new<O: Send, R: Send>() -> Result<(Publisher<O, R>, Taker<O, R>)> {
    let place = Arc::new(
        Place {
            state: Atomic::new(CLOSED),
            order: UnsafeCell::new(None),
            result: UnsafeCell::new(None),
        },
        GFP_KERNEL,
    )?;
    Ok((Publisher(place.clone()), Taker(place)))
}

impl<O: Send, R: Send> Publisher<O, R> {
    /// Publishes an order. What was published or done before and not withdrawn is lost. Sleeps.
    pub(crate) fn publish(&mut self, order: O) {
        drop(self.withdraw());
        // SAFETY: Nothing is published, and this is the only publisher: the place is ours.
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
                    // SAFETY: There is a result, and this is the only publisher: the place is ours.
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

        // SAFETY: We changed the state to `TAKEN`: the place is ours.
        let order = unsafe { (*self.0.order.get()).take() }?;
        Some((order, job))
    }
}

/// An order that was taken; dropping it without a result withdraws it.
pub(crate) struct Job<'a, O, R>(&'a Place<O, R>);

impl<O, R> Job<'_, O, R> {
    /// Hands over the result. Any context; does not wait.
    pub(crate) fn complete(self, result: R) {
        // SAFETY: The state is `TAKEN`, by us: the place is ours. What is overwritten is `None`,
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
