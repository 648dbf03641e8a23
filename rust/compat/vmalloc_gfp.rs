// SPDX-License-Identifier: GPL-2.0

//! The flags that `vmalloc` takes.
//!
//! The kernel's version decides: the flags are the same on every kernel and mean the same type.
//! Since 7.1 nothing is to be decided: the lists can be plain ones in gfp.rs.

use crate::rust::gfp::{
    Base,
    Modifier, //
};

impl Base {
    /// The bases that `vmalloc` takes: up to 6.18, only those that let it sleep.
    pub(crate) const VMALLOC: &'static [Self] = &[
        Self::Kernel,
        #[cfg(kernel_7_0)]
        Self::Atomic,
        #[cfg(kernel_7_0)]
        Self::Nowait,
        Self::Noio,
        Self::Nofs,
        Self::User,
    ];

    /// Those of [`Base::VMALLOC`] that the `kernel` crate has.
    pub(crate) const CRATE_VMALLOC: &'static [Self] = &[
        Self::Kernel,
        #[cfg(kernel_7_0)]
        Self::Atomic,
        #[cfg(kernel_7_0)]
        Self::Nowait,
    ];
}

impl Modifier {
    /// The modifiers that `vmalloc` takes: up to 7.0, none on retrying, as it honours them by half
    /// or warns of them.
    pub(crate) const VMALLOC: &'static [Self] = &[
        Self::Zero,
        Self::Nowarn,
        #[cfg(kernel_7_1)]
        Self::Noretry,
        #[cfg(kernel_7_1)]
        Self::RetryMayfail,
        Self::Nofail,
        Self::High,
        Self::Account,
    ];
}
