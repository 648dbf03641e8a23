// SPDX-License-Identifier: GPL-2.0

//! What is allocated when the module is loaded, and freed when it is unloaded.

use kernel::prelude::*;

use crate::{
    method::{
        Context,
        Method,
        Request, //
    },
    params,
    rust::{
        address::Address,
        errno::Errno,
        gfp::Gfp,
        memory::{
            Memory,
            Owner, //
        },
        raw::{
            KmallocBlock,
            VmallocArea, //
        }, //
    },
    settings::Invalid, //
};

/// What the module's parameters ask for; dropping it frees it.
pub(crate) struct Preload {
    _kmalloc: Option<Loaded<KmallocBlock>>,
    _vmalloc: Option<Loaded<VmallocArea>>,
}

impl Preload {
    /// Allocates what the parameters ask for. Sleeps.
    ///
    /// What cannot be had is logged. Returns `E2BIG` for more than the allocator takes, `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            _kmalloc: Loaded::new(
                "preload_kmalloc",
                Method::RawKmalloc,
                params::preload_kmalloc(),
                KmallocBlock::new,
            )?,
            _vmalloc: Loaded::new(
                "preload_vmalloc",
                Method::RawVmalloc,
                params::preload_vmalloc(),
                VmallocArea::new,
            )?,
        })
    }
}

/// One preloaded allocation, which says when it ends.
struct Loaded<M: Owner> {
    owner: M,
    name: &'static str,
}

impl<M: Owner> Loaded<M> {
    /// Allocates `size` bytes as the parameter `name` asks for; 0 is none.
    fn new(
        name: &'static str,
        method: Method,
        size: usize,
        alloc: fn(usize, Gfp) -> Result<M>,
    ) -> Result<Option<Self>> {
        let gfp = Gfp::KERNEL;
        let request = Request {
            size,
            gfp,
            context: Context::Thread,
        };
        if size == 0 {
            return Ok(None);
        }

        if let Some(objection) = method.rules().objection(&request) {
            let invalid = Invalid::Refused(method, objection);
            pr_err!("{name}: {size} is not valid: {invalid}\n");
            return Err(invalid.errno());
        }
        let _room = method.rules().room(size).map_err(|most| {
            let errno = Errno(ENOMEM);
            pr_err!(
                "{name}: allocation of {size} bytes failed: {errno}, not tried: at most {most} \
                 bytes now\n"
            );
            ENOMEM
        })?;
        let owner = alloc(size, gfp).inspect_err(|e| {
            pr_err!("{name}: allocation of {size} bytes failed: {}\n", Errno(*e));
        })?;

        let loaded = Self { owner, name };
        loaded.log("allocated");
        Ok(Some(loaded))
    }

    fn log(&self, what: &str) {
        let name = self.name;
        let memory: &Memory = self.owner.memory();
        let (size, address): (usize, Address) = (memory.size(), memory.address());
        pr_info!("{name}: {what} {size} bytes at {}\n", address.hashed());
    }
}

impl<M: Owner> Drop for Loaded<M> {
    fn drop(&mut self) {
        self.log("frees");
    }
}
