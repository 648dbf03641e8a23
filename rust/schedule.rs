// SPDX-License-Identifier: GPL-2.0

//! Giving way in long loops.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use super::helpers;

/// Lets another task run if one is due, on kernels that do not preempt the kernel. May sleep.
pub(crate) fn cond_resched() {
    // SAFETY: The function takes nothing; where the caller must not sleep, it says so.
    unsafe { helpers::alloclab_cond_resched() };
}
