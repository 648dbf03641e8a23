// SPDX-License-Identifier: GPL-2.0

//! The same laboratory at a USB device: memory is allocated at probe, and for its controller where
//! it is for DMA.
//!
//! A module of its own, as `alloclab.ko` is to load where USB is a module that is not loaded. No
//! node is read: what a device is to be, the module's parameters say. `alloclab.rs` tells what the
//! modules below are.

#![deny(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "alloclab.ko serves other buses, and its checks find what is dead there; what is \
              here alone warns by itself"
)]

use kernel::{
    prelude::*,
    str::BStr, //
};

include!("modules.rs");

mod control;
mod device;
mod lab;

#[path = "../rust/usb/params.rs"]
#[allow(unsafe_code, reason = "it is where C is called")]
mod params;

use button::DEFAULT_DEBOUNCE;
use lab::{
    without_files,
    Alloclab,
    Asked,
    Kind,
    Lab, //
};
use rust::{
    bound::BoundDevice,
    usb::{
        self,
        Interface,
        UsbDriver, //
    }, //
};
use settings::{
    parse_gfp,
    Invalid,
    Selection,
    Settings,
    Size, //
};

impl UsbDriver for Alloclab {
    fn load() -> Result {
        parameters().map(|_| ())
    }

    fn without_files(e: Error) {
        without_files(e, "devices have no files, and nothing presses them");
    }

    fn probe<'bound>(
        interface: Interface<'bound>,
    ) -> Result<impl PinInit<Lab<'bound>, Error> + 'bound> {
        let controller = interface.controller();
        let kind = Kind {
            at_probe: true,
            controller: Some(controller.name()),
            dma: if interface.does_dma() {
                Ok(controller)
            } else {
                Err("this one's controller does none, or has memory of its own for it")
            },
        };
        let dev = interface.device();
        let settings = parameters()?;
        let plan = kind.plan(dev, settings).map_err(|invalid| {
            refuse(dev, &settings, &invalid);
            invalid.errno()
        })?;

        let asked = Asked {
            kind,
            debounce: DEFAULT_DEBOUNCE,
            label: None,
            plan,
        };
        Lab::new(dev, asked)
    }
}

/// Parses the module's parameters. What is wrong with one is logged. Returns `EINVAL`, `E2BIG`.
fn parameters() -> Result<Settings> {
    Ok(Settings {
        selection: parameter("method", params::method(), Selection::parse)?,
        size: parameter("size", params::size(), Size::parse)?,
        gfp: parameter("gfp", params::gfp(), parse_gfp)?,
        ..Settings::DEFAULT
    })
}

fn parameter<T>(name: &str, text: &[u8], parse: impl Fn(&[u8]) -> Result<T, Invalid>) -> Result<T> {
    parse(text).map_err(|invalid| {
        let value = BStr::from_bytes(text);
        pr_err!("{name}: \"{value}\" is not valid: {invalid}\n");
        invalid.errno()
    })
}

/// Logs that no method takes the settings, each valid by itself, for this device.
fn refuse(dev: BoundDevice<'_>, settings: &Settings, invalid: &Invalid) {
    dev_err!(dev, "parameters: \"{settings}\" is not valid: {invalid}\n");
}

/// The module, as the macro below needs it named.
type AlloclabUsbModule = usb::UsbModule<Alloclab>;

kernel::prelude::module! {
    type: AlloclabUsbModule,
    name: "alloclab_usb",
    authors: ["The alloclab authors"],
    description: "USB device as a laboratory for the kernel's memory allocators",
    license: "GPL",
}
