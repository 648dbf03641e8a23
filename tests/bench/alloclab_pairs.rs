// SPDX-License-Identifier: GPL-2.0

//! Counts the instructions of a pair of allocate and free, by each method: in Rust, by the owners
//! that the driver uses, and in C, one after the other. Only `make bench` loads it.
//!
//! A platform device of its own has it measure; the log gets a line for each method and size.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the driver's own checks find what is dead; here not every part is used"
)]

use kernel::{
    alloc::Flags,
    c_str,
    dma::DmaMask,
    fmt,
    of,
    prelude::*,
    str::{
        CStr,
        CString, //
    }, //
};

include!("../../src/modules.rs");

#[path = "../../rust/bench.rs"]
#[allow(unsafe_code, reason = "it is where C is called")]
mod bench;

use bench::{
    count,
    Pairs, //
};
use rust::{
    assembly::Driver,
    bound::{
        Attached,
        BoundDevice,
        PerDevice, //
    },
    buffer::{
        KBuffer,
        KVBuffer,
        VBuffer, //
    },
    debugfs::File,
    device_file::{
        Access,
        Backed, //
    },
    devm::DevmBlock,
    dma::CoherentBuffer,
    dma_pool::{
        Blocks,
        DmaBlock,
        DmaPool, //
    },
    gfp::{
        Gfp,
        Modifier, //
    },
    interrupt::Wake,
    limits::KMALLOC_MAX_SIZE,
    line::Line,
    mempool,
    page::HighPage,
    platform::{
        of_device_table,
        PlatformDriver, //
    },
    raw,
    share::{
        Lent,
        Shared, //
    },
    slab, //
};

of_device_table!(OF_TABLE, MODULE_OF_TABLE, [c_str!("alloclab,pairs")]);

/// The objects of the cache, as C's.
struct Object;

impl slab::ObjectType for Object {
    const BYTES: usize = 256;
    const ALIGN: usize = 64;

    fn construct(object: &mut [u8]) {
        object.fill(0xc5);
    }
}

/// The blocks of the pool, as C's.
const BLOCKS: Blocks = Blocks {
    bytes: 256,
    align: 64,
    boundary: 4096,
};

/// How many pairs are counted on each side.
const PAIRS: usize = 101;

const SIZES: [usize; 4] = [64, 4 << 10, 64 << 10, 1 << 20];

/// The driver: nothing is left of what was measured.
struct Measured;

impl PerDevice for Measured {
    type Data<'bound> = ();
}

impl Backed for Measured {
    fn with_memory(_: &Attached<'_, Self>, _: Access, _: &mut dyn FnMut(Lent<'_>)) {}

    fn refused(_: &Attached<'_, Self>, _: Access, _: fmt::Arguments<'_>) {}
}

impl Driver for Measured {
    const NAME: &'static CStr = c_str!("alloclab_pairs");
    const FILES: &'static [File<Self>] = &[];

    fn ready(_: &(), _dev: BoundDevice<'_>, _line: Option<Line>) {}

    fn hard(_: &(), _dev: BoundDevice<'_>) -> Wake {
        Wake::Nothing
    }

    fn thread(_: &(), _dev: BoundDevice<'_>, _is_closing: impl Fn() -> bool) {}

    fn unbind(_: &(), _dev: BoundDevice<'_>) {}
}

impl PlatformDriver for Measured {
    const OF_ID_TABLE: of::IdTable<()> = &OF_TABLE;
    const DMA_MASK: DmaMask = DmaMask::new::<32>();
    const OWN_DEVICE: &'static str = "the device that pairs are for";

    type Load = ();

    fn load() -> Result {
        Ok(())
    }

    fn without_files(_: Error) {}

    fn wants_own_device() -> bool {
        true
    }

    fn probe<'bound>(dev: BoundDevice<'bound>) -> Result<impl PinInit<(), Error> + 'bound> {
        measure(dev)?;
        Ok(Ok(()))
    }
}

/// Counts a pair: what `alloc` returns is dropped. Not inlined, as C's pairs are functions.
#[inline(never)]
fn pair<T>(alloc: impl FnOnce() -> Result<T>) -> Option<u32> {
    let start = count();
    drop(alloc().ok()?);
    Some(count().wrapping_sub(start))
}

/// Compares the two sides, now this one first and now that one, and logs the least of each: what
/// a pair costs beyond that is the allocator's state, which may favour one side.
fn compare(name: &str, size: usize, rust: impl Fn() -> Option<u32>, c: impl Fn() -> u32) -> Result {
    let mut least = [u32::MAX; 2];
    let rust = || rust().unwrap_or(0);
    for round in 0..=PAIRS {
        let both = if round % 2 == 0 {
            [rust(), c()]
        } else {
            let first = c();
            [rust(), first]
        };
        if both.contains(&0) {
            // The method does not take this size.
            return Ok(());
        }
        for (least, one) in least.iter_mut().zip(both) {
            *least = one.min(*least);
        }
    }
    let [rust, c] = least;
    pr_info!("pair {name} {size}: rust {rust} c {c}\n");
    Ok(())
}

/// What the pairs ask for; constants, as in C's.
const FLAGS: Flags = GFP_KERNEL;
const GFP: Gfp = Gfp::KERNEL;

fn measure(dev: BoundDevice<'_>) -> Result {
    let c = Pairs::new(dev)?;
    let cache = &slab::Cache::<Object>::new(CString::try_from_fmt(fmt!("alloclab-pairs-rust"))?)?;
    let pool = &mempool::Pool::new(1024, 4)?;
    let blocks = &DmaPool::new(c_str!("alloclab-pairs-rust"), dev, BLOCKS)?;
    let zeroed = || FLAGS | __GFP_ZERO;
    let zero = || GFP.with(Modifier::Zero);

    compare("nothing", 0, || pair(|| Ok(())), || c.nothing(0))?;
    for size in SIZES {
        let rust = || pair(move || KBuffer::new(size, FLAGS));
        compare("kmalloc", size, rust, || c.kmalloc(size))?;
        let rust = || pair(move || KBuffer::new(size, zeroed()));
        compare("kzalloc", size, rust, || c.kzalloc(size))?;
        let rust = || pair(move || VBuffer::new(size, FLAGS).map(Shared::new));
        compare("vmalloc", size, rust, || c.vmalloc(size))?;
        let rust = || pair(move || CoherentBuffer::new(dev, size, GFP).map(Shared::new));
        compare("coherent", size, rust, || c.coherent(size))?;
        let rust = || pair(move || KVBuffer::new(size, FLAGS).map(Shared::new));
        compare("kvmalloc", size, rust, || c.kvmalloc(size))?;
        let rust = || pair(move || VBuffer::new(size, zeroed()).map(Shared::new));
        compare("vzalloc", size, rust, || c.vzalloc(size))?;
        let rust = || pair(move || raw::KmallocBlock::new(size, GFP));
        compare("raw_kmalloc", size, rust, || c.kmalloc(size))?;
        let rust = || pair(move || raw::VmallocArea::new(size, GFP).map(Shared::new));
        compare("raw_vmalloc", size, rust, || c.vmalloc(size))?;
        let rust = || pair(move || DevmBlock::new(dev, size, zero()));
        compare("devm", size, rust, || c.devm(size))?;
        let rust = || pair(move || raw::ContiguousPages::new(size, GFP).map(Shared::new));
        compare("pages", size, rust, || c.pages(size))?;
        if size <= kernel::page::PAGE_SIZE {
            let rust = || pair(move || HighPage::new(size, GFP).map(Shared::new));
            compare("page", size, rust, || c.page(size))?;
        }
        if size <= BLOCKS.bytes {
            let rust = || pair(move || slab::Object::new(cache, size, GFP));
            compare("slab", size, rust, || c.slab(size))?;
            let rust = || pair(move || mempool::Element::new(pool, size, GFP));
            compare("mempool", size, rust, || c.mempool(size))?;
            let rust = || pair(move || DmaBlock::new(blocks, size, GFP));
            compare("dmapool", size, rust, || c.dmapool(size))?;
        }
    }
    Ok(())
}

/// The module, as the macro below needs it named.
type PairsModule = rust::platform::Module<Measured>;

module! {
    type: PairsModule,
    name: "alloclab_pairs",
    authors: ["The alloclab authors"],
    description: "Counts the instructions of allocate and free",
    license: "GPL",
}
