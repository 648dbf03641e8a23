// SPDX-License-Identifier: GPL-2.0

//! A linked list of records, each in a box of another allocator: `kmalloc` with `GFP_KERNEL`,
//! `kmalloc` with `GFP_ATOMIC`, `vmalloc`.

use core::mem::{
    size_of,
    ManuallyDrop, //
};

use kernel::{
    alloc::Flags,
    fmt, //
};

use super::{
    prelude::*,
    Allocation, //
    Facts,
};
use crate::rust::{
    address::Address,
    limits::Limit,
    memory::Run,
    share::Lent, //
};

/// The most records of a list.
const MAX_RECORDS: usize = 1024;

/// How many records the kernel log shows.
const SHOWN_RECORDS: usize = 16;

const RECORDS: Limit = Limit::constant("1024 records", || MAX_RECORDS * size_of::<Record>());

pub(crate) struct List;

impl Allocate for List {
    const NAME: &'static str = "list";
    const RULES: Rules = Rules {
        default_size: 3 * size_of::<Record>(),
        limit: RECORDS,
        zeroes: Zeroes::Never,
        contiguous: false,
        own_pages: false,
        dma: false,
        takes: Takes {
            bases: &[Base::Kernel],
            modifiers: &[Modifier::Nowarn, Modifier::Account],
        },
        sleeps: Some("some of its records are of vmalloc, which may sleep"),
    };
    type Allocation = Records;

    fn alloc(request: &Request) -> Result<Records> {
        Records::new(request)
    }
}

/// One record, and the rest of the list.
pub(crate) struct Record {
    name: &'static str,
    weight: usize,
    // Not dropped with the record: the list takes it off first, and frees without recursion.
    next: ManuallyDrop<Option<Link>>,
}

/// A record in a box of one of the allocators.
enum Link {
    Kernel(KBox<Record>),
    Atomic(KBox<Record>),
    Vmalloc(VBox<Record>),
}

impl Link {
    /// Boxes the record that is number `weight` from the end, and puts it before `head`.
    ///
    /// The box comes first: if it cannot be had, `head` stays where it is freed iteratively.
    /// `flags` are those of the two kinds of records.
    fn push(head: &mut Option<Link>, weight: usize, flags: [Flags; 2]) -> Result {
        let [kernel, atomic] = flags;
        let mut record = |name| {
            let next = ManuallyDrop::new(head.take());
            Record { name, weight, next }
        };

        let link = match weight % 3 {
            0 => Self::Kernel(KBox::new_uninit(kernel)?.write(record("kmalloc with KERNEL"))),
            1 => Self::Atomic(KBox::new_uninit(atomic)?.write(record("kmalloc with ATOMIC"))),
            _ => Self::Vmalloc(VBox::new_uninit(kernel)?.write(record("vmalloc"))),
        };
        *head = Some(link);
        Ok(())
    }

    fn record(&self) -> &Record {
        match self {
            Self::Kernel(record) | Self::Atomic(record) => record,
            Self::Vmalloc(record) => record,
        }
    }

    /// Takes off the rest of the list.
    fn take_next(&mut self) -> Option<Link> {
        match self {
            Self::Kernel(record) | Self::Atomic(record) => record.next.take(),
            Self::Vmalloc(record) => record.next.take(),
        }
    }
}

/// The list; dropping it frees the records one by one, without recursion.
pub(crate) struct Records {
    head: Option<Link>,
    size: usize,
    records: usize,
}

impl Records {
    fn new(request: &Request) -> Result<Self> {
        let mut list = Self {
            head: None,
            size: request.size,
            records: 0,
        };

        let atomic = request.gfp.with_base(Base::Atomic);
        let flags = [request.gfp.flags()?, atomic.flags()?];

        // Built from the end: what is there is freed if a record cannot be had.
        for weight in 0..request.size.div_ceil(size_of::<Record>()) {
            Link::push(&mut list.head, weight, flags)?;
            list.records += 1;
        }
        Ok(list)
    }

    fn iter(&self) -> impl Iterator<Item = &Record> {
        let head = self.head.as_ref().map(Link::record);
        core::iter::successors(head, |record| record.next.as_ref().map(Link::record))
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let mut next = self.head.take();
        while let Some(mut link) = next {
            next = link.take_next();
        }
    }
}

impl Allocation for Records {
    fn facts(&self) -> Facts {
        let head = self
            .head
            .as_ref()
            .map_or(core::ptr::null(), |link| link.record());
        Facts {
            address: Address::of(head),
            size: self.size,
            usable: self.records * size_of::<Record>(),
            dma_address: None,
        }
    }

    // Its records lie anywhere.
    fn runs(&self, _each: &mut dyn FnMut(Run)) {}

    fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let records = self.records;
        for (index, record) in self.iter().take(SHOWN_RECORDS).enumerate() {
            let Record { name, weight, .. } = record;
            let number = index + 1;
            let address = Address::of(record);
            each(fmt!(
                "record {number} of {records}: {name}, weight {weight}, at {}",
                address.hashed()
            ));
        }
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("records: {}", self.records));
    }

    // The driver has written to all of it.
    fn rest_is_zero(&self) -> bool {
        true
    }

    fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        Err("its records lie anywhere")
    }

    fn with_bytes(&mut self, _work: &mut dyn FnMut(&mut [u8])) -> bool {
        false
    }
}
