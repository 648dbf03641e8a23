// SPDX-License-Identifier: GPL-2.0

//! `usb_alloc_coherent`: memory that a USB device's controller reaches; the USB core decides where
//! it is from.

#![warn(dead_code, unused_imports, reason = "no other module has it")]

use kernel::fmt;

use super::{
    prelude::*,
    AllocateFrom, //
};
use crate::rust::{
    dma::ShownDmaAddress,
    limits::MAX_PAGE_ORDER,
    usb::{
        Interface,
        Source,
        UsbBuffer, //
    }, //
};

pub(crate) struct UsbCoherent;

impl AllocateFrom for UsbCoherent {
    const NAME: &'static str = "usb_coherent";
    const RULES: Rules = Rules {
        default_size: 1024,
        limit: MAX_PAGE_ORDER,
        ..Rules::KMALLOC
    };
    type State<'bound> = Interface<'bound>;
    type Allocation<'bound> = UsbBuffer<'bound>;

    fn setup(devices: Devices<'_>) -> Result<Interface<'_>> {
        Interface::of(devices.own)
    }

    fn alloc<'bound>(
        interface: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        UsbBuffer::new(*interface, request.size, request.gfp)
    }
}

impl Particulars for UsbBuffer<'_> {
    fn dma_address(&self) -> Option<ShownDmaAddress> {
        self.dma_address()
    }

    fn zeroes(&self) -> Option<Zeroes> {
        match self.from() {
            Source::Coherent => Some(Zeroes::Always),
            Source::Controller => Some(Zeroes::Never),
            Source::Pool | Source::Kmalloc => None,
        }
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let from = match self.from() {
            Source::Pool => "pool",
            Source::Coherent => "coherent",
            Source::Controller => "controller",
            Source::Kmalloc => "kmalloc",
        };
        each(fmt!("from: {from}"));
    }
}
