// SPDX-License-Identifier: GPL-2.0

//! The context in which code runs.
//!
//! C header: [`include/linux/preempt.h`](srctree/include/linux/preempt.h)

extern "C" {
    fn alloclab_in_hardirq() -> bool;
    fn alloclab_in_serving_softirq() -> bool;
}

/// Where code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In an interrupt itself.
    Hardirq,
    /// In a soft interrupt: a tasklet, for example.
    Softirq,
    /// In a thread.
    Thread,
}

impl Place {
    /// Returns where the caller runs. Any context.
    pub(crate) fn here() -> Self {
        // SAFETY: The function takes nothing and may be called anywhere.
        if unsafe { alloclab_in_hardirq() } {
            return Self::Hardirq;
        }
        // SAFETY: As above.
        if unsafe { alloclab_in_serving_softirq() } {
            return Self::Softirq;
        }
        Self::Thread
    }
}
