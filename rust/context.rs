// SPDX-License-Identifier: GPL-2.0

//! The context in which code runs.
//!
//! C headers: [`include/linux/preempt.h`](srctree/include/linux/preempt.h),
//! [`include/linux/lockdep.h`](srctree/include/linux/lockdep.h)

use super::helpers;

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
        match unsafe { helpers::alloclab_place() } {
            2 => Self::Hardirq,
            1 => Self::Softirq,
            _ => Self::Thread,
        }
    }
}

/// Returns whether this is a `PREEMPT_RT` kernel, on which a spinlock may sleep. Any context.
pub(crate) fn is_preempt_rt() -> bool {
    // SAFETY: The function returns a constant.
    unsafe { helpers::alloclab_is_preempt_rt() }
}

/// Does `work`, which takes spinlocks, in an interrupt that is never threaded. Any context.
///
/// lockdep reports such a lock as if the kernel were a `PREEMPT_RT` one. Only what is not done at
/// all there may be done here.
pub(crate) fn with_spinlocks<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: What is begun here ends below, in the same context.
    unsafe { helpers::alloclab_allow_spinlocks() };
    let result = work();
    // SAFETY: It was begun above.
    unsafe { helpers::alloclab_allow_spinlocks_end() };
    result
}
