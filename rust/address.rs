// SPDX-License-Identifier: GPL-2.0

//! Kernel addresses that can be shown without giving them away.
//!
//! C header: [`include/linux/sprintf.h`](srctree/include/linux/sprintf.h)

use core::ffi::CStr;

use kernel::{
    bindings,
    ffi::c_void,
    fmt, //
};

use super::lockdown;

/// Room for 16 digits, or for `(____ptrval____)`, and the terminating zero.
const TEXT_BYTES: usize = 24;

/// A virtual address of the kernel, for showing only: it cannot be turned back into a pointer.
///
/// It has no `Display` of its own, so that each place says how much it may show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(usize);

impl Address {
    /// Takes the address of what `pointer` points to.
    pub(crate) fn of<T: ?Sized>(pointer: *const T) -> Self {
        Self(pointer.cast::<c_void>() as usize)
    }

    /// Returns the address, or 0 where the kernel is locked down to confidentiality.
    ///
    /// It is to be asked for once by what shows it or what follows from it. Any context.
    pub(crate) fn disclosed(self) -> Self {
        if lockdown::is_confidential() {
            Self(0)
        } else {
            self
        }
    }

    /// Returns the largest power of two that divides the address; 0 for 0.
    pub(crate) fn alignment(self) -> usize {
        1usize.checked_shl(self.0.trailing_zeros()).unwrap_or(0)
    }

    /// Shows the address as `%p` does: hashed, the same for the same address until the next boot.
    ///
    /// Fit for the kernel log. Any context.
    pub(crate) fn hashed(self) -> impl fmt::Display {
        Shown {
            address: self,
            format: c"%p",
        }
    }

    /// Shows the address as `%pK` does: by `kernel.kptr_restrict` and the reader's capabilities.
    ///
    /// Fit for files that only root reads, in the context of the reading process. It shows what
    /// `/proc/vmallocinfo` shows to the same process.
    pub(crate) fn restricted(self) -> impl fmt::Display {
        Shown {
            address: self,
            format: c"%pK",
        }
    }
}

struct Shown {
    address: Address,
    /// `%p` or `%pK`.
    format: &'static CStr,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; TEXT_BYTES];

        let address = self.address.0 as *const c_void;
        // SAFETY:
        // - `text` is valid for writes of `TEXT_BYTES` bytes.
        // - `scnprintf` terminates what it writes, within that size.
        // - `%p` and `%pK` print the pointer's value and do not dereference it.
        unsafe {
            bindings::scnprintf(
                text.as_mut_ptr().cast(),
                TEXT_BYTES,
                self.format.to_bytes_with_nul().as_ptr(),
                address,
            )
        };

        let text = CStr::from_bytes_until_nul(&text).map_err(|_| fmt::Error)?;
        f.write_str(text.to_str().map_err(|_| fmt::Error)?)
    }
}
