// SPDX-License-Identifier: GPL-2.0

//! The registration of a threaded interrupt, and who must see that it is dropped.

use kernel::{
    irq::{
        Flags,
        IrqRequest,
        ThreadedHandler,
        ThreadedRegistration, //
    },
    prelude::*,
    str::CStr, //
};

/// What the forms get: as the driver has it.
struct Parts<'a, H: ThreadedHandler + 'static>(IrqRequest<'a>, Flags, &'static CStr, Result<H>);

/// `ThreadedRegistration<'a, T>`, whose caller sees that it is dropped, since 7.3
#[cfg(has_threaded_registration_bound)]
mod form {
    use super::*;

    fn probe<'a, H: ThreadedHandler + 'static>(
        parts: Parts<'a, H>,
    ) -> impl PinInit<ThreadedRegistration<'a, H>, Error> + 'a {
        // SAFETY: It is compiled and never run.
        unsafe { ThreadedRegistration::new(parts.0, parts.1, parts.2, parts.3) }
    }
}

/// `ThreadedRegistration<T>`, which devres drops at the latest, since 6.18
#[cfg(has_threaded_registration_devres)]
mod form {
    use super::*;

    fn probe<'a, H: ThreadedHandler + 'static>(
        parts: Parts<'a, H>,
    ) -> impl PinInit<ThreadedRegistration<H>, Error> + 'a {
        ThreadedRegistration::new(parts.0, parts.1, parts.2, parts.3)
    }
}
