// SPDX-License-Identifier: GPL-2.0

//! The interrupt line of a device: what its firmware node and the interrupt core say of it.
//!
//! C header: [`include/linux/irq.h`](srctree/include/linux/irq.h)

use kernel::{
    bindings,
    c_str,
    device::{
        Bound,
        Device, //
    },
    ffi::c_uint,
    fmt,
    irq::{
        Flags,
        IrqRequest, //
    },
    platform,
    prelude::*,
    str::BStr, //
};

use super::{
    errno::Errno,
    helpers,
    property::Property, //
};

/// When a line interrupts, in the numbers of firmware and of the interrupt core: `IRQ_TYPE_NONE`,
/// an edge, a level, or several of these. Shown as `falling edge`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sense(c_uint);

impl Sense {
    const NONE: Self = Self(0);
    const RISING: Self = Self(1);
    const FALLING: Self = Self(2);

    /// Returns what the interrupt core has for a line; none for one that is not mapped, 0.
    fn of(irq: u32) -> Self {
        if irq == 0 {
            return Self::NONE;
        }
        // SAFETY: The function takes any number.
        Self(unsafe { helpers::alloclab_irq_trigger(irq) })
    }

    fn is_one_edge(self) -> bool {
        matches!(self, Self::RISING | Self::FALLING)
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "no trigger",
            1 => "rising edge",
            2 => "falling edge",
            3 => "both edges",
            4 => "high level",
            8 => "low level",
            _ => "several triggers",
        })
    }
}

/// An interrupt line; shown as `irq 18`, or as `irq 18 (nested)`.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    irq: u32,
    /// Whether the interrupt is nested in the thread of another one, its controller's.
    pub(super) nested: bool,
    asked: Sense,
    known: Sense,
}

impl Line {
    /// Returns the trigger to request: none, where the interrupt core knows one and programs that.
    pub(super) fn trigger(&self) -> Flags {
        match (self.known, self.asked) {
            (Sense::NONE, Sense::RISING) => Flags::TRIGGER_RISING,
            (Sense::NONE, _) => Flags::TRIGGER_FALLING,
            _ => Flags::TRIGGER_NONE,
        }
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
/// Its trigger is one edge. What is wrong with it is logged, unless it may still come: then the
/// kernel is told what it waits for.
pub(super) fn find(pdev: &platform::Device<Bound>) -> Result<Option<(IrqRequest<'_>, Line)>> {
    let dev: &Device<Bound> = pdev.as_ref();
    if dev.fwnode().is_none() {
        return Ok(None);
    }

    let mut mapped = 0;
    // CAST: `Device` is a transparent wrapper of `struct device`.
    let raw: *const bindings::device = core::ptr::from_ref::<Device<Bound>>(dev).cast();
    // SAFETY: The device is valid while `dev` is borrowed, and `mapped` is ours.
    let asked = Sense(unsafe { helpers::alloclab_trigger_of_node(raw, &mut mapped) });
    // Before the look-up, which maps the line: from then on the line has the node's trigger, for
    // every later user.
    check(dev, asked, mapped)?;

    let request = pdev.optional_irq_by_index(0).inspect_err(|e| {
        if *e == EPROBE_DEFER {
            // SAFETY: The device is valid while `dev` is borrowed.
            unsafe { helpers::alloclab_wait_for_controller(raw) };
        } else {
            // An error is of a property that cannot be read, which is logged, too.
            let _ = refuse(dev, Errno(*e));
        }
    })?;
    let irq = request.irq();
    check(dev, asked, irq)?;

    let line = Line {
        irq,
        // SAFETY: The function takes any number.
        nested: unsafe { helpers::alloclab_irq_is_nested(irq) },
        asked,
        known: Sense::of(irq),
    };
    Ok(Some((request, line)))
}

/// Refuses a trigger that is not one edge, and a node that contradicts what its line has already.
fn check(dev: &Device<Bound>, asked: Sense, irq: u32) -> Result {
    let known = Sense::of(irq);

    if asked != Sense::NONE && !asked.is_one_edge() {
        refuse_with(
            dev,
            fmt!("({asked}): allowed are a falling edge, 2, and a rising edge, 1"),
        )?;
    } else if known != Sense::NONE
        && (!known.is_one_edge() || asked != Sense::NONE && asked != known)
    {
        refuse_with(
            dev,
            fmt!(
                "(the node says {asked}, irq {irq} has {known} already): \
                 allowed is one edge, the same in both"
            ),
        )?;
    } else {
        return Ok(());
    }
    Err(EINVAL)
}

/// Logs that the device's interrupt is not valid, which `why` goes on with.
fn refuse_with(dev: &Device<Bound>, why: fmt::Arguments<'_>) -> Result {
    for name in [c_str!("interrupts-extended"), c_str!("interrupts")] {
        if let Some(value) = Property::read(dev, name)? {
            let name = BStr::from_bytes(name.to_bytes());
            dev_err!(dev, "{name}: {value} is not valid {why}\n");
            break;
        }
    }
    Ok(())
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
