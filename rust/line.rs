// SPDX-License-Identifier: GPL-2.0

//! The interrupt line of a device, as its firmware node names it.

use kernel::{
    c_str,
    device::{
        Bound,
        Device, //
    },
    irq::IrqRequest,
    platform,
    prelude::*, //
};

use super::{
    errno::Errno,
    property::Property, //
};

/// Finds the interrupt of a device that has a node; one that has none has no interrupt either.
///
/// What is wrong with it is logged, unless it may still come.
pub(super) fn find(pdev: &platform::Device<Bound>) -> Result<Option<IrqRequest<'_>>> {
    let dev: &Device<Bound> = pdev.as_ref();
    if dev.fwnode().is_none() {
        return Ok(None);
    }

    let request = pdev.optional_irq_by_index(0).inspect_err(|e| {
        if *e != EPROBE_DEFER {
            // An error is of a property that cannot be read, which is logged, too.
            let _ = refuse(dev, Errno(*e));
        }
    });
    request.map(Some)
}

/// Logs what is wrong with the device's interrupt, which the look-up refused with `e`.
fn refuse(dev: &Device<Bound>, e: Errno) -> Result {
    if let Some(value) = Property::read(dev, c_str!("interrupts-extended"))? {
        dev_err!(
            dev,
            "interrupts-extended: {value} is not valid ({e}): allowed is one interrupt\n"
        );
    } else if let Some(value) = Property::read(dev, c_str!("interrupts"))? {
        let allowed = "allowed is one interrupt of";
        match Property::read(dev, c_str!("interrupt-parent"))? {
            Some(parent) => dev_err!(
                dev,
                "interrupts: {value} is not valid ({e}): {allowed} interrupt-parent, {parent}\n"
            ),
            None => dev_err!(
                dev,
                "interrupts: {value} is not valid ({e}): {allowed} the parent\n"
            ),
        }
    } else {
        dev_err!(
            dev,
            "interrupts: missing ({e}): allowed is one, here or in interrupts-extended\n"
        );
    }
    Ok(())
}
