// SPDX-License-Identifier: GPL-2.0

//! The C function `__vmalloc` itself: `/proc/vmallocinfo` names this module as its caller.

use super::prelude::*;
use crate::rust::{
    raw,
    share::Shared, //
};

pub(crate) struct RawVmalloc;

impl Allocate for RawVmalloc {
    const NAME: &'static str = "raw_vmalloc";
    const RULES: Rules = Rules {
        takes: Takes::VMALLOC,
        ..Rules::VMALLOC
    };
    type Allocation = Shared<raw::VmallocArea>;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        raw::VmallocArea::new(request.size, request.gfp).map(Shared::new)
    }
}

impl Particulars for raw::VmallocArea {}
