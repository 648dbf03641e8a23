// SPDX-License-Identifier: GPL-2.0

//! What the driver needs and the `kernel` crate does not have yet.
//!
//! A staging area for code that belongs in the `kernel` crate, written as if to be sent there. It
//! is the only home of `unsafe` and of every difference between kernel versions, and it names
//! nothing of the driver: `src/` depends on it, never the other way round.

pub(crate) mod address;
pub(crate) mod assembly;
pub(crate) mod bound;
pub(crate) mod buffer;
mod compat;
pub(crate) mod context;
pub(crate) mod debugfs;
pub(crate) mod decimal;
pub(crate) mod device_file;
pub(crate) mod devm;
pub(crate) mod dma;
pub(crate) mod dma_pool;
pub(crate) mod errno;
pub(crate) mod fixed;
pub(crate) mod flag;
pub(crate) mod gfp;
pub(crate) mod handover;
pub(crate) mod helpers;
pub(crate) mod i2c;
pub(crate) mod interrupt;
pub(crate) mod limits;
pub(crate) mod line;
pub(crate) mod lockdown;
pub(crate) mod memory;
pub(crate) mod mempool;
pub(crate) mod module;
pub(crate) mod page;
pub(crate) mod platform;
pub(crate) mod property;
pub(crate) mod ratelimit;
pub(crate) mod raw;
pub(crate) mod room;
pub(crate) mod schedule;
pub(crate) mod share;
pub(crate) mod slab;
pub(crate) mod spi;
#[cfg(usb)]
pub(crate) mod usb;
