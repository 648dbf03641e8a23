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
pub(crate) trait Handler: Send + Sync + 'static {
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
    pub(crate) unsafe fn request<'a, H: Handler>(
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
    use core::marker::PhantomData;
    use kernel::device::{
        Bound,
        Device, //
    };

    /// Makes a handler of the `kernel` crate of a [`Handler`].
    pub(crate) struct Adapter<H>(H);

    impl<H: Handler> ThreadedHandler for Adapter<H> {
        fn handle(&self, _: &Device<Bound>) -> ThreadedIrqReturn {
            self.0.hard()
        }

        fn handle_threaded(&self, _: &Device<Bound>) -> IrqReturn {
            self.0.thread()
        }
    }

    /// A requested interrupt; dropping it frees it.
    #[pin_data]
    pub(crate) struct Registration<'a, H: Handler> {
        #[pin]
        registration: ThreadedRegistration<Adapter<H>>,
        _request: PhantomData<&'a ()>,
    }

    /// Requests an interrupt. Sleeps.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(crate) unsafe fn request<'a, H: Handler>(
        request: IrqRequest<'a>,
        flags: Flags,
        name: &'static CStr,
        handler: H,
    ) -> impl PinInit<Registration<'a, H>, Error> + 'a {
        let registration = ThreadedRegistration::new(request, flags, name, Ok(Adapter(handler)));
        try_pin_init!(Registration {
            registration <- registration,
            _request: PhantomData,
        })
    }
}
