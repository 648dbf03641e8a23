// SPDX-License-Identifier: GPL-2.0

//! A threaded interrupt, the same on every kernel version and on every kind of controller.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use kernel::{
    irq::{
        Flags,
        IrqRequest,
        IrqReturn,
        ThreadedIrqReturn, //
    },
    prelude::*,
    str::CStr, //
};

use super::{
    compat::threaded_irq::{
        self,
        form as compat, //
    },
    line::Line, //
};

/// What the hard half asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing more is to be done.
    Nothing,
    /// The thread half is to run.
    Thread,
}

/// The two halves of an interrupt handler.
pub(crate) trait Halves: Send + Sync {
    /// Runs in hard interrupt context, also with `threadirqs` and on `PREEMPT_RT`: must not sleep,
    /// nor take a lock that may sleep on `PREEMPT_RT`, such as a spinlock.
    ///
    /// On a controller behind a slow bus, such as an I2C GPIO expander, it runs in the thread of
    /// the controller's own interrupt. Other controllers may call it in a thread or in a soft
    /// interrupt as well.
    fn hard(&self) -> Wake;

    /// Runs in a kernel thread, after [`Halves::hard`] asked for it. May sleep.
    ///
    /// Several calls of `hard` may lead to one call of `thread`.
    fn thread(&self);
}

/// Adapts [`Halves`] to what the `kernel` crate calls.
struct MaybeNested<H> {
    halves: H,
    // The interrupt core calls no hard half of an interrupt that is nested in another's thread.
    nested: bool,
}

impl<H: Halves> threaded_irq::Handler for MaybeNested<H> {
    fn hard(&self) -> ThreadedIrqReturn {
        match self.halves.hard() {
            Wake::Nothing => ThreadedIrqReturn::Handled,
            Wake::Thread => ThreadedIrqReturn::WakeThread,
        }
    }

    fn thread(&self) -> IrqReturn {
        if !self.nested || self.halves.hard() == Wake::Thread {
            self.halves.thread();
        }
        IrqReturn::Handled
    }
}

/// A requested interrupt; dropping it frees it, and leaves the line's trigger as it is.
///
/// The drop sleeps until neither half runs and every wake-up of the thread half was carried out.
#[pin_data]
pub(crate) struct Interrupt<'a, H: Halves> {
    #[pin]
    registration: compat::Registration<'a, MaybeNested<H>>,
}

impl<'a, H: Halves> Interrupt<'a, H> {
    /// Requests the interrupt; `halves` may be called before this returns.
    ///
    /// `name` is shown in `/proc/interrupts`. Sleeps. Returns `EBUSY` when the line is taken,
    /// `EINVAL` when its controller cannot do its trigger, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(super) unsafe fn new(
        request: IrqRequest<'a>,
        line: Line,
        name: &'static CStr,
        halves: H,
    ) -> impl PinInit<Self, Error> + 'a
    where
        H: 'a,
    {
        let nested = line.nested;
        let handler = MaybeNested { halves, nested };

        // Forced threading makes the request ONESHOT, which masks the line until the thread has
        // run: edges that come meanwhile are one to the handler.
        let flags = line.trigger() | Flags::NO_THREAD;

        // SAFETY: The caller drops it.
        let registration = unsafe { compat::request(request, flags, name, handler) };
        try_pin_init!(Self {
            registration <- registration,
        })
    }
}
