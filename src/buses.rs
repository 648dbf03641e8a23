// SPDX-License-Identifier: GPL-2.0

//! What the driver is on the buses that `alloclab.ko` serves: buttons on the platform bus, devices
//! without a button on others; what they are to be, their nodes say.

use kernel::{
    dma::DmaMask,
    of,
    prelude::*,
    time::Delta, //
};

use crate::{
    button::DEFAULT_DEBOUNCE,
    lab::{
        without_files,
        Alloclab,
        Asked,
        Kind,
        Lab, //
    },
    method::Context,
    node::{
        Node,
        BUTTONS,
        PROBES, //
    },
    params,
    preload::Preload,
    rust::{
        assembly::ClientDriver,
        bound::BoundDevice,
        platform::PlatformDriver, //
    },
    settings::Settings, //
};

/// The buttons.
impl PlatformDriver for Alloclab {
    const OF_ID_TABLE: of::IdTable<()> = BUTTONS;
    const DMA_MASK: DmaMask = DmaMask::new::<32>();
    const OWN_DEVICE: &'static str = "the button without a line";

    type Load = Preload;

    fn load() -> Result<Preload> {
        Preload::new()
    }

    fn without_files(e: Error) {
        without_files(e, "the button works without its files");
        if params::button() {
            pr_warn!("without debugfs, nothing can press a button that has no line\n");
        }
    }

    fn wants_own_device() -> bool {
        params::button()
    }

    fn probe<'bound>(
        dev: BoundDevice<'bound>,
    ) -> Result<impl PinInit<Lab<'bound>, Error> + 'bound> {
        let node = Node(dev);
        let kind = Kind {
            at_probe: node.at_probe()?,
            controller: None,
            dma: Ok(dev),
        };
        lab(dev, kind, node.debounce()?, node.context()?)
    }
}

/// Devices without a button, which have something allocated at probe.
impl ClientDriver for Alloclab {
    const OF_ID_TABLE: of::IdTable<()> = PROBES;

    fn probe<'bound>(
        dev: BoundDevice<'bound>,
    ) -> Result<impl PinInit<Lab<'bound>, Error> + 'bound> {
        let kind = Kind {
            at_probe: true,
            controller: dev.controller(),
            dma: Err("this one leaves it to another"),
        };
        lab(dev, kind, DEFAULT_DEBOUNCE, Context::Thread)
    }
}

/// Prepares the lab of `dev`, which is of this kind: what else its node says is read here. Sleeps.
fn lab<'bound>(
    dev: BoundDevice<'bound>,
    kind: Kind<'bound>,
    debounce: Delta,
    context: Context,
) -> Result<impl PinInit<Lab<'bound>, Error> + 'bound> {
    let node = Node(dev);
    let settings = Settings {
        context,
        ..node.settings()?
    };
    let label = node.label()?;
    let plan = kind.plan(dev, settings).map_err(|invalid| {
        node.refuse_settings(&settings, &invalid);
        invalid.errno()
    })?;

    let asked = Asked {
        kind,
        debounce,
        label,
        plan,
    };
    Lab::new(dev, asked)
}
