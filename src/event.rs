// SPDX-License-Identifier: GPL-2.0

//! What happened at a press, as a line of the kernel log.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    facts::{
        Facts,
        Layout, //
    },
    method::{
        Ended,
        Method,
        Reason, //
    },
    rust::{
        decimal::Decimal,
        errno::Errno, //
    }, //
};

/// What happened, shown as a line of the kernel log.
pub(crate) enum Event {
    Allocated {
        method: Method,
        facts: Facts,
        layout: Layout,
        ns: u64,
        why: Reason,
    },
    Freed {
        method: Method,
        facts: Facts,
        ended: Ended,
        ns: u64,
        why: Reason,
    },
    Failed {
        method: Method,
        size: usize,
        error: Error,
        /// For how many bytes there is room, where it was not tried for want of it.
        most: Option<usize>,
        why: Reason,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocated {
                method,
                facts,
                layout,
                ns,
                why,
            } => {
                f.write_fmt(fmt!("{}: allocated {}", method.name(), facts.for_log()))?;
                if let Some(dma_address) = facts.dma_address {
                    f.write_fmt(fmt!(", dma {dma_address},"))?;
                }
                let (ns, layout) = (Decimal(*ns), layout.for_log());
                f.write_fmt(fmt!(" in {ns} ns ({why}){layout}"))
            }
            Self::Freed {
                method,
                facts,
                ended: Ended::Freed,
                ns,
                why,
            } => f.write_fmt(fmt!(
                "{}: freed {} in {} ns ({why})",
                method.name(),
                facts.for_log(),
                Decimal(*ns)
            )),
            Self::Freed {
                method,
                facts,
                ended: Ended::Left,
                why,
                ..
            } => f.write_fmt(fmt!(
                "{}: left {} to the device, which frees it ({why})",
                method.name(),
                facts.for_log()
            )),
            Self::Failed {
                method,
                size,
                error,
                most,
                why,
            } => {
                f.write_fmt(fmt!(
                    "{}: allocation of {size} bytes failed: {} ({why})",
                    method.name(),
                    Errno(*error)
                ))?;
                most.map_or(Ok(()), |most| {
                    f.write_fmt(fmt!(", not tried: at most {most} bytes now"))
                })
            }
        }
    }
}
