// SPDX-License-Identifier: GPL-2.0

//! The C function `__vmalloc` itself: `/proc/vmallocinfo` names this module as its caller.

use kernel::prelude::*;

use super::{
    Allocate,
    Plain,
    Request,
    Rules,
    Takes,
    Zeroes, //
};
use crate::rust::{
    bound::BoundDevice,
    gfp::{
        Base,
        Modifier, //
    },
    limits::TOTAL_RAM,
    raw, //
};

pub(crate) struct RawVmalloc;

impl Allocate for RawVmalloc {
    const NAME: &'static str = "raw_vmalloc";
    const RULES: Rules = Rules {
        default_size: 4096,
        limit: TOTAL_RAM,
        zeroes: Zeroes::Asked,
        contiguous: false,
        takes: Takes {
            bases: Base::VMALLOC,
            modifiers: Modifier::VMALLOC,
        },
        sleeps: Some("the vmalloc family may sleep"),
    };
    type State = ();
    type Buffer = raw::RawVmalloc;

    fn setup(_dev: &BoundDevice) -> Result<Self::State> {
        Ok(())
    }

    fn alloc(_state: &Self::State, _dev: &BoundDevice, request: &Request) -> Result<Self::Buffer> {
        raw::RawVmalloc::new(request.size, request.gfp)
    }
}

impl Plain for raw::RawVmalloc {}
