// SPDX-License-Identifier: GPL-2.0

//! A file of `kernel::debugfs`, to be held open while its module is removed.
//!
//! Only `make upstream` loads it: on the kernel with the patches of this folder, where the file
//! keeps the module, and on the one without, where closing the file uses what is gone.

use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    prelude::*, //
};

/// The directory, which names its module where 0002 is applied.
#[cfg(dir_names_module)]
type Top = Dir<LocalModule>;
#[cfg(not(dir_names_module))]
type Top = Dir;

/// Fields are dropped in order: the file before its directory.
struct Owner {
    _file: Pin<KBox<File<u32>>>,
    _top: Top,
}

impl kernel::Module for Owner {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let top = Top::new(c"alloclab_owner");
        let file = KBox::pin_init(top.read_only_file(c"file", 1), GFP_KERNEL)?;
        Ok(Self {
            _file: file,
            _top: top,
        })
    }
}

module! {
    type: Owner,
    name: "alloclab_owner",
    authors: ["The alloclab authors"],
    description: "Has a debugfs file held open while it is removed",
    license: "GPL",
}
