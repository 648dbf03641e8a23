// SPDX-License-Identifier: GPL-2.0

//! What an allocation really is, as the kernel log and the `live` file show it.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::method::Facts;

impl Facts {
    /// Shows size and place for the kernel log: the virtual address is hashed.
    pub(crate) fn for_log(&self) -> impl fmt::Display + '_ {
        ForLog(self)
    }

    /// Shows `key: value` lines for a file that root reads, in the reader's context.
    pub(crate) fn for_root(&self) -> impl fmt::Display + '_ {
        ForRoot(self)
    }
}

struct ForLog<'a>(&'a Facts);

impl fmt::Display for ForLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { address, size, .. } = self.0;
        f.write_fmt(fmt!("{size} bytes at {}", address.hashed()))
    }
}

struct ForRoot<'a>(&'a Facts);

impl fmt::Display for ForRoot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts {
            address,
            size,
            dma_address,
        } = self.0;

        f.write_fmt(fmt!("size: {size}\naddress: {}\n", address.restricted()))?;
        if let Some(dma_address) = dma_address {
            f.write_fmt(fmt!("dma: {dma_address}\n"))?;
        }
        Ok(())
    }
}
