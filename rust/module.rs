// SPDX-License-Identifier: GPL-2.0

//! The module itself: the owner of its files, and whether its load has succeeded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use kernel::{
    bindings,
    str::CStr,
    types::Opaque,
    ModuleMetadata, //
};

use crate::LocalModule;

use super::flag::Flag;

/// The name of the module, as it stands before what it logs.
pub(crate) const NAME: &CStr = <LocalModule as ModuleMetadata>::NAME;

#[allow(improper_ctypes, reason = "C's zero-sized structs are only pointed to")]
extern "C" {
    static __this_module: Opaque<bindings::module>;
}

/// The owner of what the kernel calls in this module: it stays while a file is open.
// CAST: `Opaque` is a transparent wrapper, and lets C change what it wraps.
pub(super) const OWNER: *mut bindings::module = (&raw const __this_module)
    .cast::<bindings::module>()
    .cast_mut();

/// Whether the module's init can fail no more.
static LOADED: Flag = Flag::new(false);

/// Lets files be opened, from now on.
///
/// To be called as the last thing of the module's init: a module whose init fails is freed, whoever
/// holds one of its files.
pub(super) fn loaded() {
    LOADED.set(true);
}

/// Returns whether files may be opened. Any context.
pub(super) fn is_loaded() -> bool {
    LOADED.get()
}
