// SPDX-License-Identifier: GPL-2.0

//! The same battery for every method of the table, with a real device.

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::{
    kunit::{
        free_bytes,
        TestDevice, //
    },
    method::{
        Buffer,
        Held,
        Method,
        Reason,
        Request,
        States, //
    },
    rust::gfp::Gfp, //
};

/// A device with the methods' states, dropped first.
struct Bench {
    states: States,
    device: TestDevice,
}

impl Bench {
    fn new() -> Result<Self> {
        let device = TestDevice::new(c"alloclab-test")?;
        let states = States::new(device.bound())?;
        Ok(Self { states, device })
    }

    fn alloc(&self, method: Method, size: usize, gfp: &str) -> Result<Buffer> {
        let gfp = Gfp::parse(gfp.as_bytes())?;
        let request = Request { size, gfp };
        let allowed = self.states.check(method, &request);
        allowed.map_err(|refusal| refusal.errno())?;
        self.states.alloc(method, self.device.bound(), &request)
    }

    /// The error of a request that is refused before it is tried.
    fn refusal(&self, method: Method, size: usize) -> Option<Error> {
        let gfp = Gfp::KERNEL;
        let refusal = self.states.check(method, &Request { size, gfp }).err();
        refusal.map(|refusal| refusal.errno())
    }
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

/// Writes a pattern over the whole buffer and reads it back.
fn write_and_read_back(buffer: &mut Buffer, size: usize) -> bool {
    let Some(bytes) = buffer.bytes() else {
        return false;
    };
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = pattern(index);
    }

    let Some(bytes) = buffer.bytes() else {
        return false;
    };
    let mut indexed = bytes.iter().enumerate();
    bytes.len() == size && indexed.all(|(index, byte)| *byte == pattern(index))
}

/// Whether memory is zero that had been dirtied by an allocation of the same size before.
fn zeroed_after_use(bench: &Bench, method: Method, size: usize, gfp: &str) -> Result<bool> {
    for _ in 0..8 {
        let mut buffer = bench.alloc(method, size, gfp)?;
        let bytes = buffer.bytes().ok_or(EINVAL)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        bytes.fill(0xa5);
        buffer.release(Reason::Unbind);
    }
    Ok(true)
}

#[kunit_tests(alloclab_method)]
mod tests {
    use super::*;

    #[test]
    fn every_method_writes_and_reads_back() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            let default = method.rules().default_size;
            for size in [1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, default] {
                for gfp in ["kernel", "kernel+zero", "kernel+account", "kernel+nowarn"] {
                    let mut buffer = bench.alloc(*method, size, gfp)?;
                    assert!(holds(*method, "size", buffer.facts().size == size));
                    let same = write_and_read_back(&mut buffer, size);
                    assert!(holds(*method, "read back", same));
                    buffer.release(Reason::Press(2));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_method_takes_its_largest_size() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            let limit = method.rules().limit;
            let size = if limit.fixed {
                limit.bytes()
            } else {
                free_bytes() / 8
            };
            assert!(holds(*method, "limit", limit.bytes() >= size));

            // The guest has just booted: it has blocks of the largest order.
            let mut buffer = bench.alloc(*method, size, "kernel")?;
            let same = write_and_read_back(&mut buffer, size);
            assert!(holds(*method, "read back", same));
        }
        Ok(())
    }

    #[test]
    fn every_method_refuses_none_and_too_much() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            let limit = method.rules().limit.bytes();
            for (size, errno) in [
                (0, Some(EINVAL)),
                (1, None),
                (limit, None),
                (limit + 1, Some(E2BIG)),
                (usize::MAX, Some(E2BIG)),
            ] {
                let refusal = bench.refusal(*method, size);
                assert!(holds(*method, "refusal", refusal == errno));
            }
        }
        Ok(())
    }

    #[test]
    fn zeroed_memory_is_zero() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            for size in [1, 64, PAGE_SIZE - 1, PAGE_SIZE, 3 * PAGE_SIZE + 1] {
                let zeroed = zeroed_after_use(&bench, *method, size, "kernel+zero")?;
                assert!(holds(*method, "+zero", zeroed));

                if method.rules().zeroes {
                    let zeroed = zeroed_after_use(&bench, *method, size, "kernel")?;
                    assert!(holds(*method, "zeroed by itself", zeroed));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn methods_do_not_overlap() -> Result {
        let bench = Bench::new()?;
        let mut buffers = KVec::new();
        for method in Method::ALL {
            for _ in 0..2 {
                buffers.push(bench.alloc(*method, PAGE_SIZE, "kernel")?, GFP_KERNEL)?;
            }
        }

        for (index, buffer) in buffers.iter_mut().enumerate() {
            buffer.bytes().ok_or(EINVAL)?.fill(index as u8);
        }
        for (index, buffer) in buffers.iter_mut().enumerate() {
            let mut bytes = buffer.bytes().ok_or(EINVAL)?.iter();
            assert!(bytes.all(|byte| *byte == index as u8));
        }
        Ok(())
    }

    #[test]
    fn flags_that_do_not_sleep() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            for gfp in ["atomic", "nowait+nowarn"] {
                let size = method.rules().default_size;
                let mut buffer = bench.alloc(*method, size, gfp)?;
                let same = write_and_read_back(&mut buffer, size);
                assert!(holds(*method, "read back", same));
            }
        }
        Ok(())
    }

    #[test]
    fn free_gives_the_memory_back() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            // More in total than there is: it can only succeed if every one is freed.
            let limit = method.rules().limit;
            let size = limit.bytes().min(1 << 20);
            let rounds = free_bytes() / size + 16;
            for _ in 0..rounds {
                bench
                    .alloc(*method, size, "kernel")?
                    .release(Reason::Press(2));
            }
        }
        Ok(())
    }

    #[test]
    fn coherent_memory_has_a_dma_address_within_the_mask() -> Result {
        let bench = Bench::new()?;
        for method in Method::ALL {
            let facts = bench.alloc(*method, PAGE_SIZE, "kernel")?.facts();
            match facts.dma_address {
                // KUnit's devices have a mask of 32 bits.
                Some(address) => assert!(holds(*method, "mask", address.fits(32))),
                None => assert!(holds(*method, "no DMA", *method != Method::Coherent)),
            }
        }
        Ok(())
    }
}
