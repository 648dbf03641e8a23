// SPDX-License-Identifier: GPL-2.0

//! What is particular to one method.

use kernel::{
    c_str,
    fmt,
    page::PAGE_SIZE,
    prelude::*,
    str::CString, //
};

use crate::{
    kunit::TestDevice,
    method::{
        Allocation,
        AnyAllocation,
        Context,
        Devices,
        Ended,
        Method,
        Reason,
        Request,
        States, //
    },
    rust::{
        gfp::Gfp,
        memory::Owner,
        raw::KmallocBlock, //
    }, //
};

fn gfp(text: &str) -> Result<Gfp> {
    Gfp::parse(text.as_bytes())
}

fn request(size: usize) -> Request {
    Request {
        size,
        gfp: Gfp::KERNEL,
        context: Context::Thread,
    }
}

/// What the methods need for the test's device.
fn states(device: &TestDevice) -> Result<States<'_>> {
    let dev = device.bound();
    States::new(Devices {
        own: dev,
        dma: Some(dev),
    })
}

/// Allocates with a method for the test's device.
fn alloc<'a>(states: &States<'a>, method: Method, request: &Request) -> Result<AnyAllocation<'a>> {
    let mut place = None;
    states.alloc(method, request, &mut place)?;
    place.ok_or(EINVAL)
}

/// The remarks of an allocation, one a line.
fn remarks(held: &impl Allocation) -> Result<KVec<CString>> {
    let mut lines = KVec::new();
    let mut result = Ok(());
    held.remarks(&mut |remark: fmt::Arguments<'_>| {
        let line = CString::try_from_fmt(remark);
        result = line.and_then(|line| Ok(lines.push(line, GFP_KERNEL)?));
    });
    result.map(|()| lines)
}

fn is_pattern(bytes: &[u8]) -> bool {
    let mut indexed = bytes.iter().enumerate();
    indexed.all(|(index, byte)| *byte == index as u8)
}

#[kunit_tests(alloclab_particular)]
mod tests {
    use super::*;
    use crate::{
        kunit::free_bytes,
        rust::{
            fixed::FixedBuffer,
            limits::{
                KMALLOC_MAX_SIZE,
                MAX_PAGE_ORDER, //
            },
            mempool::{
                Element,
                Pool, //
            },
            raw::ContiguousPages,
            slab::{
                Cache,
                Object,
                ObjectType, //
            }, //
        }, //
    };

    #[test]
    fn krealloc_keeps_the_content() -> Result {
        let mut block = KmallocBlock::new(64, Gfp::KERNEL)?;
        for (index, byte) in block.bytes().iter_mut().enumerate() {
            *byte = index as u8;
        }

        for size in [65, 128, 5000, 100_000] {
            let _ = block.grow(size, Gfp::KERNEL)?;
            let bytes = block.bytes();
            assert_eq!(bytes.len(), size);
            assert!(is_pattern(&bytes[..64]));
        }
        Ok(())
    }

    #[test]
    fn failed_krealloc_keeps_the_block() -> Result {
        let mut block = KmallocBlock::new(200, Gfp::KERNEL)?;
        for (index, byte) in block.bytes().iter_mut().enumerate() {
            *byte = index as u8;
        }
        let address = block.memory().address();

        let grown = block.grow(usize::MAX / 4, gfp("kernel+nowarn")?);
        assert!(grown.is_err_and(|e| e == ENOMEM));
        assert!(block.memory().address() == address);
        assert_eq!(block.memory().size(), 200);
        assert!(is_pattern(block.bytes()));

        // It is still usable, and can still grow.
        let _ = block.grow(400, Gfp::KERNEL)?;
        assert!(is_pattern(&block.bytes()[..200]));
        Ok(())
    }

    #[test]
    fn krealloc_tells_its_steps() -> Result {
        let device = TestDevice::new(c_str!("alloclab-test"))?;
        let states = states(&device)?;
        let held = alloc(&states, Method::Krealloc, &request(1000))?;

        let lines = remarks(&held)?;
        assert_eq!(lines.len(), 1);
        // 64, 128, 256, 512, 1000.
        assert!(lines[0]
            .to_bytes()
            .starts_with(b"grew in 4 steps and moved "));
        Ok(())
    }

    #[test]
    fn kvmalloc_tells_what_it_got() -> Result {
        let device = TestDevice::new(c_str!("alloclab-test"))?;
        let states = states(&device)?;

        for (size, line) in [
            (100, c_str!("got kmalloc memory")),
            // More than kmalloc has.
            (KMALLOC_MAX_SIZE.bytes() + 1, c_str!("got vmalloc memory")),
        ] {
            let held = alloc(&states, Method::Kvmalloc, &request(size))?;
            let lines = remarks(&held)?;
            assert_eq!(lines.len(), 1);
            assert!(lines[0].to_bytes() == line.to_bytes());
        }
        Ok(())
    }

    #[test]
    fn mempool_survives_a_failing_allocator() -> Result {
        let nowait = gfp("nowait+nowarn")?;
        const RESERVE: u16 = 4;
        let pool = Pool::new(1024, RESERVE)?;
        assert_eq!(pool.reserve(), u32::from(RESERVE));
        let mut elements = KVec::with_capacity(1 << 16, GFP_KERNEL)?;
        let mut hogs = KVVec::with_capacity(1 << 20, GFP_KERNEL)?;

        // The page allocator is used up, as far as those may who do not wait.
        for order in (0..=ContiguousPages::order_of(MAX_PAGE_ORDER.bytes())).rev() {
            while let Ok(pages) = ContiguousPages::new(PAGE_SIZE << order, nowait) {
                hogs.push(pages, GFP_NOWAIT)?;
            }
        }

        // What is left are free objects of slabs that are there, and then the reserve.
        while let Ok(element) = Element::new(&pool, 100, nowait) {
            // Reclaim in the background may give back more than fits.
            if elements.push(element, GFP_NOWAIT).is_err() {
                break;
            }
        }
        let (left, taken) = (pool.reserve(), elements.len());
        drop(elements);
        let given_back = pool.reserve();
        drop(hogs);

        assert_eq!(left, 0);
        assert!(taken >= usize::from(RESERVE));
        assert_eq!(given_back, u32::from(RESERVE));
        Ok(())
    }

    #[test]
    fn list_is_in_order() -> Result {
        let device = TestDevice::new(c_str!("alloclab-test"))?;
        let states = states(&device)?;
        let size = Method::List.rules().default_size;
        let names = ["kmalloc with KERNEL", "kmalloc with ATOMIC", "vmalloc"];

        // Three records, and twice as many.
        for records in [3, 6] {
            let request = request(size / 3 * records);
            let held = alloc(&states, Method::List, &request)?;
            let lines = remarks(&held)?;
            assert_eq!(lines.len(), records);

            for (index, line) in lines.iter().enumerate() {
                let (number, weight) = (index + 1, records - 1 - index);
                let name = names[weight % 3];
                let begin = CString::try_from_fmt(fmt!(
                    "record {number} of {records}: {name}, weight {weight}, at "
                ))?;
                assert!(line.to_bytes().starts_with(begin.to_bytes()));
            }
        }
        Ok(())
    }

    #[test]
    fn longest_list_is_freed_without_recursion() -> Result {
        let device = TestDevice::new(c_str!("alloclab-test"))?;
        let states = states(&device)?;
        let size = Method::List.rules().limit.bytes();
        let held = alloc(&states, Method::List, &request(size))?;
        assert_eq!(held.facts().size, size);
        drop(held);
        Ok(())
    }

    #[test]
    fn devres_frees_what_is_left_to_it() -> Result {
        const BLOCKS: usize = 64;
        const BLOCK_BYTES: usize = 1 << 20;

        let before = free_bytes();
        let device = TestDevice::new(c_str!("alloclab-test"))?;
        let states = states(&device)?;
        for _ in 0..BLOCKS {
            let mut held = alloc(&states, Method::Devm, &request(BLOCK_BYTES))?;
            assert!(held.end(Reason::Unbind) == Ended::Left);
        }
        let left = before.saturating_sub(free_bytes());
        drop(states);
        drop(device);
        let after = before.saturating_sub(free_bytes());

        // All of it was still there, and now none of it is.
        assert!(left >= BLOCKS * BLOCK_BYTES);
        assert!(after < BLOCKS * BLOCK_BYTES / 4);
        Ok(())
    }

    #[test]
    fn press_frees_device_managed_memory_early() -> Result {
        const BLOCK_BYTES: usize = 1 << 20;

        let device = TestDevice::new(c_str!("alloclab-test"))?;
        let states = states(&device)?;
        let before = free_bytes();
        for _ in 0..64 {
            let mut held = alloc(&states, Method::Devm, &request(BLOCK_BYTES))?;
            assert!(held.end(Reason::Press(2)) == Ended::Freed);
        }
        assert!(before.saturating_sub(free_bytes()) < 16 * BLOCK_BYTES);
        Ok(())
    }

    #[test]
    fn slab_objects_are_constructed_and_aligned() -> Result {
        struct Numbered;
        impl ObjectType for Numbered {
            const BYTES: usize = 200;
            const ALIGN: usize = 128;

            fn construct(object: &mut [u8]) {
                assert!(object.iter().all(|byte| *byte == 0));
                for (place, byte) in object.iter_mut().enumerate() {
                    *byte = place as u8;
                }
            }
        }

        let cache = Cache::<Numbered>::new(CString::try_from_fmt(fmt!("alloclab-test"))?)?;
        assert!(cache.name().to_bytes() == b"alloclab-test");

        let mut objects = KVec::new();
        for _ in 0..100 {
            objects.push(
                Object::new(&cache, Numbered::BYTES, Gfp::KERNEL)?,
                GFP_KERNEL,
            )?;
        }
        for object in objects.iter_mut() {
            assert!(object.memory().address().alignment() >= Numbered::ALIGN);
            let bytes = object.bytes();
            assert_eq!(bytes.len(), Numbered::BYTES);
            assert!((0..).zip(bytes.iter()).all(|(place, byte)| *byte == place));
        }
        Ok(())
    }

    #[test]
    fn static_buffer_has_one_holder() -> Result {
        static BUFFER: FixedBuffer<2048> = FixedBuffer::new();

        let first = BUFFER.take(100)?;
        assert!(BUFFER.take(1).is_err_and(|e| e == EBUSY));
        drop(first);
        let _again = BUFFER.take(2048)?;
        Ok(())
    }
}
