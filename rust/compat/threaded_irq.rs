// SPDX-License-Identifier: GPL-2.0

//! A threaded interrupt: what its two halves get, and who sees that it is freed.
//!
//! Since 7.3 the `kernel` crate's `ThreadedHandler` and `ThreadedRegistration` replace it.

use kernel::{
    irq::{
        Flags,
        IrqRequest,
        IrqReturn,
        ThreadedHandler,
        ThreadedIrqReturn,
        ThreadedRegistration, //
    },
    prelude::*,
    str::CStr, //
};

/// What handles an interrupt.
pub(crate) trait Handler: Send + Sync {
    /// The hard half: hard interrupt context.
    fn hard(&self) -> ThreadedIrqReturn;

    /// The thread half. May sleep.
    fn thread(&self) -> IrqReturn;
}

/// the halves get the handler alone, and the caller sees that it is dropped, since 7.3
#[cfg(has_threaded_irq_bound)]
pub(crate) mod form {
    use super::*;

    /// Makes a handler of the `kernel` crate of a [`Handler`].
    pub(crate) struct Adapter<H>(H);

    impl<H: Handler> ThreadedHandler for Adapter<H> {
        fn handle(&self) -> ThreadedIrqReturn {
            self.0.hard()
        }

        fn handle_threaded(&self) -> IrqReturn {
            self.0.thread()
        }
    }

    /// A requested interrupt; dropping it frees it.
    pub(crate) type Registration<'a, H> = ThreadedRegistration<'a, Adapter<H>>;

    /// Requests an interrupt. Sleeps.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(crate) unsafe fn request<'a, H: Handler + 'a>(
        request: IrqRequest<'a>,
        flags: Flags,
        name: &'static CStr,
        handler: H,
    ) -> impl PinInit<Registration<'a, H>, Error> + 'a {
        // SAFETY: The caller drops the registration.
        unsafe { ThreadedRegistration::new(request, flags, name, Ok(Adapter(handler))) }
    }
}

/// the halves get the device, too, and devres drops it at the latest, since 6.18
#[cfg(has_threaded_irq_devres)]
pub(crate) mod form {
    use super::*;
    use core::{
        marker::PhantomData,
        ptr::NonNull, //
    };
    use kernel::device::{
        Bound,
        Device, //
    };

    /// A [`Handler`] without its lifetime, as these kernels take none that has one.
    ///
    /// # Invariants
    ///
    /// `handler` points to the type that the functions expect, which lives for longer than `self`
    /// is used.
    struct Adapter {
        handler: NonNull<()>,
        hard: unsafe fn(NonNull<()>) -> ThreadedIrqReturn,
        thread: unsafe fn(NonNull<()>) -> IrqReturn,
    }

    // SAFETY: It is a reference to a `Handler`, which is `Sync`.
    unsafe impl Send for Adapter {}

    // SAFETY: As for `Send`.
    unsafe impl Sync for Adapter {}

    /// # Safety
    ///
    /// `handler` must point to a valid `H`.
    unsafe fn hard<H: Handler>(handler: NonNull<()>) -> ThreadedIrqReturn {
        // SAFETY: By the safety requirements.
        unsafe { handler.cast::<H>().as_ref() }.hard()
    }

    /// # Safety
    ///
    /// `handler` must point to a valid `H`.
    unsafe fn thread<H: Handler>(handler: NonNull<()>) -> IrqReturn {
        // SAFETY: By the safety requirements.
        unsafe { handler.cast::<H>().as_ref() }.thread()
    }

    impl ThreadedHandler for Adapter {
        fn handle(&self, _: &Device<Bound>) -> ThreadedIrqReturn {
            // SAFETY: By the type invariants.
            unsafe { (self.hard)(self.handler) }
        }

        fn handle_threaded(&self, _: &Device<Bound>) -> IrqReturn {
            // SAFETY: By the type invariants.
            unsafe { (self.thread)(self.handler) }
        }
    }

    /// A requested interrupt; dropping it frees it.
    #[pin_data]
    pub(crate) struct Registration<'a, H: Handler> {
        // Dropped before `handler`: after it nothing uses the handler any more.
        #[pin]
        registration: ThreadedRegistration<Adapter>,
        handler: KBox<H>,
        _request: PhantomData<&'a ()>,
    }

    /// Requests an interrupt. Sleeps.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(crate) unsafe fn request<'a, H: Handler + 'a>(
        request: IrqRequest<'a>,
        flags: Flags,
        name: &'static CStr,
        handler: H,
    ) -> impl PinInit<Registration<'a, H>, Error> + 'a {
        let handler = KBox::new(handler, GFP_KERNEL);
        let adapter = match &handler {
            // INVARIANT: The handler lies in a box that is dropped after the registration, or with
            // an initializer that has not registered anything.
            Ok(handler) => Ok(Adapter {
                handler: NonNull::from(&**handler).cast(),
                hard: hard::<H>,
                thread: thread::<H>,
            }),
            Err(_) => Err(ENOMEM),
        };
        let registration = ThreadedRegistration::new(request, flags, name, adapter);
        try_pin_init!(Registration {
            registration <- registration,
            handler: handler?,
            _request: PhantomData,
        })
    }
}
