// SPDX-License-Identifier: GPL-2.0

//! `devm_kzalloc`: zeroed memory of the device, which frees it when it is unbound; a press frees it
//! early.

use super::{
    prelude::*,
    AllocateFrom,
    Ended,
    Reason, //
};
use crate::rust::{
    bound::BoundDevice,
    devm::DevmBlock,
    limits::{
        Limit, //
        KMALLOC_MAX_SIZE,
    }, //
};

pub(crate) struct Devm;

impl AllocateFrom for Devm {
    const NAME: &'static str = "devm";
    const RULES: Rules = Rules {
        limit: DEVM_MAX,
        zeroes: Zeroes::Always,
        takes: Takes {
            bases: Takes::SLAB.bases,
            // Without nofail: the header of devres may make it more than two pages.
            modifiers: &[
                Modifier::Zero,
                Modifier::Nowarn,
                Modifier::Noretry,
                Modifier::RetryMayfail,
                Modifier::High,
                Modifier::Thisnode,
                Modifier::Account,
            ],
        },
        ..Rules::KMALLOC
    };
    type State<'bound> = BoundDevice<'bound>;
    type Allocation<'bound> = DevmBlock<'bound>;

    fn setup(devices: Devices<'_>) -> Result<BoundDevice<'_>> {
        Ok(devices.own)
    }

    fn alloc<'bound>(
        dev: &Self::State<'bound>,
        request: &Request,
    ) -> Result<Self::Allocation<'bound>> {
        DevmBlock::new(*dev, request.size, request.gfp.with(Modifier::Zero))
    }
}

/// What `kmalloc` takes less the header that devres puts before it.
const DEVM_MAX: Limit = Limit::constant("KMALLOC_MAX_SIZE less a header", || {
    KMALLOC_MAX_SIZE.bytes().saturating_sub(128)
});

impl Particulars for DevmBlock<'_> {
    /// On unbind, the block is the device's to free.
    fn end(&mut self, why: Reason) -> Ended {
        match why {
            Reason::Probe | Reason::Press(_) => Ended::Freed,
            Reason::Unbind => {
                self.leave();
                Ended::Left
            }
        }
    }
}
