// SPDX-License-Identifier: GPL-2.0

//! Names of errors, also on kernels without `CONFIG_SYMBOLIC_ERRNAME`, whatever their version.
//!
//! `Error`'s own `Debug` shows a name only where the kernel was configured to know names.
//!
//! C header: [`include/linux/errname.h`](srctree/include/linux/errname.h)

use kernel::{
    fmt,
    prelude::*, //
};

/// Shows an error by its name, as in `ENOMEM`, or by its number if it is none that we expect.
pub(crate) struct Errno(pub(crate) Error);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            (E2BIG, "E2BIG"),
            (EAGAIN, "EAGAIN"),
            (EBUSY, "EBUSY"),
            (EEXIST, "EEXIST"),
            (EFAULT, "EFAULT"),
            (EINTR, "EINTR"),
            (EINVAL, "EINVAL"),
            (EIO, "EIO"),
            (ENODEV, "ENODEV"),
            (ENOENT, "ENOENT"),
            (ENOMEM, "ENOMEM"),
            (ENOSPC, "ENOSPC"),
            (ENXIO, "ENXIO"),
            (EPERM, "EPERM"),
            (EPROBE_DEFER, "EPROBE_DEFER"),
        ];

        match known.iter().find(|(error, _)| *error == self.0) {
            Some((_, name)) => f.write_str(name),
            None => f.write_fmt(fmt!("error {}", self.0.to_errno())),
        }
    }
}
