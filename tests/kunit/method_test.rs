// SPDX-License-Identifier: GPL-2.0

//! The same battery for every method of the table, with a real device.

use kernel::{
    c_str,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    kunit::{
        free_bytes,
        TestDevice, //
    },
    method::{
        Allocation,
        AnyAllocation,
        Context,
        Devices,
        Method,
        Reason,
        Request,
        States,
        Zeroes, //
    },
    rust::{
        gfp::{
            Gfp,
            Modifier, //
        },
        limits::KMALLOC_MAX_SIZE, //
    },
    settings::Invalid, //
};

fn device() -> Result<TestDevice> {
    TestDevice::new(c_str!("alloclab-test"))
}

/// The methods' states for a device.
struct Fixture<'a> {
    states: States<'a>,
}

impl<'a> Fixture<'a> {
    fn new(device: &'a TestDevice) -> Result<Self> {
        let dev = device.bound();
        let states = States::new(Devices {
            own: dev,
            dma: Some(dev),
        })?;
        Ok(Self { states })
    }

    fn alloc(&self, method: Method, size: usize, gfp: Gfp) -> Result<AnyAllocation<'a>> {
        let context = Context::Thread;
        let request = Request { size, gfp, context };
        let allowed = method.check(&request);
        allowed.map_err(|objection| Invalid::Refused(method, objection).errno())?;
        let mut place = None;
        self.states.alloc(method, &request, &mut place)?;
        place.ok_or(EINVAL)
    }

    /// The error of a request that is refused before it is tried.
    fn refusal(&self, method: Method, size: usize, gfp: Gfp) -> Option<Error> {
        let context = Context::Thread;
        let request = Request { size, gfp, context };
        let objection = method.check(&request).err()?;
        Some(Invalid::Refused(method, objection).errno())
    }
}

/// The sizes to test a method with: around a page as far as it takes them, and its default.
fn sizes(method: Method) -> impl Iterator<Item = usize> {
    let limit = method.rules().limit.bytes();
    let default = method.rules().default_size;
    [1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, default]
        .into_iter()
        .filter(move |size| *size <= limit)
}

/// Says which method a failed check is about.
fn holds(method: Method, what: &str, condition: bool) -> bool {
    if !condition {
        pr_err!("{}: not so: {what}\n", method.name());
    }
    condition
}

/// A byte that differs from its neighbours and from the same place in the next page.
fn pattern(index: usize) -> u8 {
    (index ^ (index >> 8) ^ (index >> 16)) as u8 ^ 0xa5
}

/// The places of a buffer that are written and read back: all of a small one, of a large one
/// some in every page, and always the first and the last.
fn places(size: usize) -> impl Iterator<Item = usize> {
    const ALL_UP_TO: usize = 1 << 20;
    const STRIDE: usize = 1021;

    let stride = if size > ALL_UP_TO { STRIDE } else { 1 };
    let last = core::iter::once(size - 1);
    Iterator::chain((0..size).step_by(stride), last)
}

/// Writes a pattern to the buffer and reads it back. A list is not made of bytes.
fn write_and_read_back(method: Method, buffer: &mut AnyAllocation<'_>, size: usize) -> bool {
    let is_bytes = buffer.with_bytes(&mut |bytes| {
        for place in places(size) {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = pattern(place);
            }
        }
    });

    let mut same = false;
    let _ = buffer.with_bytes(&mut |bytes| {
        same = bytes.len() == size
            && places(size).all(|place| bytes.get(place) == Some(&pattern(place)));
    });
    same || !is_bytes && method == Method::List
}

/// Whether an allocation with these flags can be written and read back.
fn works(bench: &Fixture<'_>, method: Method, size: usize, gfp: Gfp) -> Result<bool> {
    let mut buffer = bench.alloc(method, size, gfp)?;
    Ok(write_and_read_back(method, &mut buffer, size))
}

/// Whether memory is zero that had been dirtied by an allocation of the same size before.
fn zeroed_after_use(bench: &Fixture<'_>, method: Method, size: usize, gfp: Gfp) -> Result<bool> {
    for _ in 0..8 {
        let mut buffer = bench.alloc(method, size, gfp)?;
        let mut zero = true;
        let _ = buffer.with_bytes(&mut |bytes| {
            zero = bytes.iter().all(|byte| *byte == 0);
            bytes.fill(0xa5);
        });
        if !zero {
            return Ok(false);
        }
        let _ = buffer.end(Reason::Press(2));
        drop(buffer);
    }
    Ok(true)
}

#[kunit_tests(alloclab_method)]
mod tests {
    use super::*;

    #[test]
    fn every_method_writes_and_reads_back() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            for size in sizes(*method) {
                let mut buffer = bench.alloc(*method, size, Gfp::KERNEL)?;
                let facts = buffer.facts();
                assert!(holds(*method, "size", facts.size == size));
                assert!(holds(*method, "usable", facts.usable >= size));
                let same = write_and_read_back(*method, &mut buffer, size);
                assert!(holds(*method, "read back", same));
                let _ = buffer.end(Reason::Press(2));
                drop(buffer);
            }
        }
        Ok(())
    }

    #[test]
    fn every_method_takes_its_flags() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            let takes = &method.rules().takes;
            let size = method.rules().default_size;
            for base in takes.bases {
                let base = Gfp::KERNEL.with_base(*base);
                assert!(holds(*method, "base", works(&bench, *method, size, base)?));

                for modifier in takes.modifiers {
                    // What makes no sense together is for another test.
                    let gfp = base.with(*modifier);
                    if bench.refusal(*method, size, gfp).is_none() {
                        assert!(holds(
                            *method,
                            "modifier",
                            works(&bench, *method, size, gfp)?
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_method_takes_its_largest_size() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            let limit = &method.rules().limit;
            let size = if limit.fixed {
                limit.bytes()
            } else {
                free_bytes() / 8
            };
            assert!(holds(*method, "limit", limit.bytes() >= size));

            // The guest has just booted: it has blocks of the largest order.
            let mut buffer = bench.alloc(*method, size, Gfp::KERNEL)?;
            let same = write_and_read_back(*method, &mut buffer, size);
            assert!(holds(*method, "read back", same));
        }
        Ok(())
    }

    #[test]
    fn every_method_refuses_none_and_too_much() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            let limit = method.rules().limit.bytes();
            for (size, errno) in [
                (0, Some(EINVAL)),
                (1, None),
                (limit, None),
                (limit + 1, Some(E2BIG)),
                (usize::MAX, Some(E2BIG)),
            ] {
                let refusal = bench.refusal(*method, size, Gfp::KERNEL);
                assert!(holds(*method, "refusal", refusal == errno));
            }
        }
        Ok(())
    }

    #[test]
    fn zeroed_memory_is_zero() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            let rules = method.rules();
            for size in sizes(*method) {
                if rules.takes.modifiers.contains(&Modifier::Zero) {
                    let gfp = Gfp::KERNEL.with(Modifier::Zero);
                    let zeroed = zeroed_after_use(&bench, *method, size, gfp)?;
                    assert!(holds(*method, "+zero", zeroed));
                }
                if rules.zeroes == Zeroes::Always {
                    let zeroed = zeroed_after_use(&bench, *method, size, Gfp::KERNEL)?;
                    assert!(holds(*method, "zeroed by itself", zeroed));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn user_space_may_have_pages_that_hold_nothing_else() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            let mut lent = [false; 2];
            let limit = method.rules().limit.bytes();
            // Kvmalloc gets the second one of vmalloc.
            for (lent, size) in lent
                .iter_mut()
                .zip([1, limit.min(KMALLOC_MAX_SIZE.bytes() + 1)])
            {
                let mut buffer = bench.alloc(*method, size, Gfp::KERNEL)?;
                *lent = buffer.lend().is_ok_and(|lent| lent.mappings() == 0);
            }
            let expected = match method {
                Method::Kvmalloc => [false, true],
                _ => [method.rules().own_pages; 2],
            };
            assert!(holds(*method, "lent", lent == expected));
        }
        Ok(())
    }

    #[test]
    fn methods_do_not_overlap() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        let mut buffers = KVec::new();
        for method in Method::ALL {
            for _ in 0..2 {
                match bench.alloc(*method, method.rules().default_size, Gfp::KERNEL) {
                    Ok(buffer) => buffers.push(buffer, GFP_KERNEL)?,
                    // There is one static buffer.
                    Err(e) => assert!(holds(*method, "EBUSY", e == EBUSY)),
                }
            }
        }
        assert_eq!(buffers.len(), 2 * Method::ALL.len() - 1);

        for (index, buffer) in buffers.iter_mut().enumerate() {
            let _ = buffer.with_bytes(&mut |bytes| bytes.fill(index as u8));
        }
        for (index, buffer) in buffers.iter_mut().enumerate() {
            let _ = buffer.with_bytes(&mut |bytes| {
                assert!(bytes.iter().all(|byte| *byte == index as u8));
            });
        }
        Ok(())
    }

    #[test]
    fn free_gives_the_memory_back() -> Result {
        /// So many bytes are allocated and freed; at most so many may be on their way back.
        const BYTES: usize = if cfg!(CONFIG_KASAN) {
            8 << 20
        } else {
            16 << 20
        };
        const ON_THE_WAY: usize = 6 << 20;
        /// KASAN keeps freed objects: mempool's until something else may wait for memory, and as
        /// many of list's small nodes as there are bytes here. There kmemleak finds what is lost.
        const KEPT_BY_KASAN: [Method; 2] = [Method::Mempool, Method::List];

        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            if cfg!(CONFIG_KASAN) && KEPT_BY_KASAN.contains(method) {
                continue;
            }
            let limit = method.rules().limit.bytes();
            let size = limit.min(1 << 20);
            let usable = bench.alloc(*method, size, Gfp::KERNEL)?.facts().usable;

            let before = free_bytes();
            for _ in 0..BYTES / usable {
                let mut buffer = bench.alloc(*method, size, Gfp::KERNEL)?;
                let _ = buffer.end(Reason::Press(2));
                drop(buffer);
            }
            let kept = before.saturating_sub(free_bytes());
            assert!(holds(*method, "given back", kept < ON_THE_WAY));
        }
        Ok(())
    }

    #[test]
    fn runs_cover_the_pages() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            for size in sizes(*method) {
                let buffer = bench.alloc(*method, size, Gfp::KERNEL)?;
                let (mut pages, mut runs) = (0, 0);
                let mut in_order = true;
                buffer.runs(&mut |run| {
                    in_order &= run.first == pages && run.pages > 0;
                    pages += run.pages;
                    runs += 1;
                });

                assert!(holds(*method, "order of runs", in_order));
                if *method != Method::List {
                    assert!(holds(*method, "pages", pages >= size.div_ceil(PAGE_SIZE)));
                    assert!(holds(*method, "runs", runs >= 1));
                }
                if method.rules().contiguous {
                    assert!(holds(*method, "contiguous", runs == 1));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn dma_memory_has_an_address_within_the_mask() -> Result {
        let device = device()?;
        let bench = Fixture::new(&device)?;
        for method in Method::ALL {
            let size = method.rules().default_size;
            let facts = bench.alloc(*method, size, Gfp::KERNEL)?.facts();
            let has_one = [Method::Coherent, Method::Dmapool].contains(method);
            match facts.dma_address {
                // KUnit's devices have a mask of 32 bits.
                Some(address) => assert!(holds(*method, "mask", address.fits(32))),
                None => assert!(holds(*method, "no DMA", !has_one)),
            }
        }
        Ok(())
    }
}
