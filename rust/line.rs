// SPDX-License-Identifier: GPL-2.0

//! The interrupt line of a device: what its firmware node and the interrupt core say of it.
//!
//! C header: [`include/linux/irq.h`](srctree/include/linux/irq.h)

use kernel::{
    c_str,
    device::{
        Bound,
        Device, //
    },
    ffi::c_uint,
    fmt,
    irq::IrqRequest,
    platform,
    prelude::*, //
};

use super::{
    errno::Errno,
    property::Property, //
};

extern "C" {
    fn alloclab_irq_is_nested(irq: c_uint) -> bool;
}

/// An interrupt line; shown as `irq 18`, or as `irq 18 (nested)`.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(super) irq: u32,
    /// Whether the interrupt is nested in the thread of another one, its controller's.
    pub(super) nested: bool,
}

impl Line {
    /// Returns what is known of the line of a request. Any context.
    pub(super) fn of(request: &IrqRequest<'_>) -> Self {
        let irq = request.irq();
        // SAFETY: The function takes any number.
        let nested = unsafe { alloclab_irq_is_nested(irq) };
        Self { irq, nested }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nested = if self.nested { " (nested)" } else { "" };
        f.write_fmt(fmt!("irq {}{nested}", self.irq))
    }
}

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
