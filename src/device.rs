// SPDX-License-Identifier: GPL-2.0

//! The device file: what is held, read, written and mapped by user space.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    lab::{
        Alloclab,
        Bench, //
    },
    method::Method,
    rust::{
        bound::Attached,
        device_file::{
            Access,
            Backed, //
        },
        share::Lent, //
    }, //
};

impl Backed for Alloclab {
    fn with_memory(device: &Attached<'_, Self>, access: Access, work: &mut dyn FnMut(Lent<'_>)) {
        device.data.with_bench(device.dev, |bench| {
            let Bench { toggle, lines, .. } = bench;
            match toggle.lend() {
                Some((_, Ok(lent))) => work(lent),
                Some((method, Err(why))) => {
                    // What is touched is not refused: it is of what was held before.
                    if access != Access::Fault && lines.pass() {
                        let (access, name) = (access.name(), method.name());
                        dev_err!(
                            device.dev,
                            "{access}: not what {name} allocates, as {why}: {ALLOWED}\n"
                        );
                    }
                }
                None => (),
            }
        });
    }

    fn refused(device: &Attached<'_, Self>, access: Access, why: fmt::Arguments<'_>) {
        if device.data.bench.lock().lines.pass() {
            dev_err!(device.dev, "{}: {why}\n", access.name());
        }
    }
}

/// Shows the methods whose memory user space may have.
struct AllowedMethods;

const ALLOWED: AllowedMethods = AllowedMethods;

impl fmt::Display for AllowedMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("allowed are")?;
        Method::ALL
            .iter()
            .filter(|method| method.rules().own_pages)
            .try_for_each(|method| f.write_fmt(fmt!(" {}", method.name())))
    }
}
