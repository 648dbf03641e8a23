// SPDX-License-Identifier: GPL-2.0

//! Whether the kernel is locked down.
//!
//! C header: [`include/linux/security.h`](srctree/include/linux/security.h)

use super::helpers;

/// Returns whether the kernel is locked down to confidentiality: then not even root may learn
/// where anything lies in memory.
///
/// Where it is, the kernel logs that the current task was refused, at a limited rate: ask once,
/// and only before something is shown. False on a kernel that has no lockdown. Any context.
pub(crate) fn is_confidential() -> bool {
    // SAFETY: The function takes nothing, and may be called anywhere.
    unsafe { helpers::alloclab_locked_down_to_confidentiality() != 0 }
}
