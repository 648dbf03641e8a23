// SPDX-License-Identifier: GPL-2.0

//! The trait of a threaded interrupt's handler: what its two halves get.

use kernel::irq::{
    IrqReturn,
    ThreadedHandler,
    ThreadedIrqReturn, //
};

struct Probe;

const RETURNS: (ThreadedIrqReturn, IrqReturn) = (ThreadedIrqReturn::Handled, IrqReturn::Handled);

/// the halves get the handler, since 7.3
#[cfg(has_threaded_handler_alone)]
mod form {
    use super::*;

    impl ThreadedHandler for Probe {
        fn handle(&self) -> ThreadedIrqReturn {
            RETURNS.0
        }

        fn handle_threaded(&self) -> IrqReturn {
            RETURNS.1
        }
    }
}

/// the halves get the handler and the device, since 6.18
#[cfg(has_threaded_handler_with_device)]
mod form {
    use super::*;
    use kernel::device::{
        Bound,
        Device, //
    };

    impl ThreadedHandler for Probe {
        fn handle(&self, _: &Device<Bound>) -> ThreadedIrqReturn {
            RETURNS.0
        }

        fn handle_threaded(&self, _: &Device<Bound>) -> IrqReturn {
            RETURNS.1
        }
    }
}
