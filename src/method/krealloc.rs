// SPDX-License-Identifier: GPL-2.0

//! `krealloc`: 64 bytes, doubled up to the size within one press, the content kept at each step.
//!
//! The latency is that of all steps, with writing and verifying the content in between. Where a
//! step fails, the block is as it was, which is verified, and then freed: the press has failed.

use kernel::fmt;

use super::prelude::*;
use crate::rust::{
    memory::{
        Memory,
        Owner, //
    },
    raw::KmallocBlock, //
};

pub(crate) struct Krealloc;

impl Allocate for Krealloc {
    const NAME: &'static str = "krealloc";
    const RULES: Rules = Rules {
        default_size: 4096,
        takes: Takes {
            bases: Takes::SLAB.bases,
            // Without zeroing, which would have to hold for what is grown too.
            modifiers: &[
                Modifier::Nowarn,
                Modifier::Noretry,
                Modifier::RetryMayfail,
                Modifier::High,
                Modifier::Thisnode,
                Modifier::Account,
            ],
        },
        sleeps: Some("it writes and copies in many steps"),
        ..Rules::KMALLOC
    };
    type Allocation = Grown;

    fn alloc(request: &Request) -> Result<Self::Allocation> {
        Grown::new(request.size, request.gfp)
    }
}

/// The size that it starts with, in bytes.
const START_BYTES: usize = 64;

/// A block that was grown step by step.
pub(crate) struct Grown {
    block: KmallocBlock,
    steps: u32,
    moves: u32,
}

impl Grown {
    /// Grows a block to `size` bytes. A step that fails keeps the block that it had, unharmed.
    ///
    /// Returns `ENOMEM`, or `EIO` if the content was lost.
    fn new(size: usize, gfp: Gfp) -> Result<Self> {
        let mut grown = Self {
            block: KmallocBlock::new(START_BYTES.min(size), gfp)?,
            steps: 0,
            moves: 0,
        };
        fill(grown.block.bytes());

        while grown.block.memory().size() < size {
            let old = grown.block.memory().size();
            let moved = grown.block.grow(old.saturating_mul(2).min(size), gfp);

            let bytes = grown.block.bytes();
            if !bytes.get(..old).is_some_and(is_filled) {
                return Err(EIO);
            }
            grown.moves += u32::from(moved?);
            grown.steps += 1;
            fill(bytes);
        }
        Ok(grown)
    }
}

/// A byte that tells its place from its neighbours.
fn pattern(index: usize) -> u8 {
    (index ^ (index >> 8)) as u8 ^ 0x3c
}

fn fill(bytes: &mut [u8]) {
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = pattern(index);
    }
}

fn is_filled(bytes: &[u8]) -> bool {
    let mut indexed = bytes.iter().enumerate();
    indexed.all(|(index, byte)| *byte == pattern(index))
}

impl Owner for Grown {
    fn memory(&self) -> &Memory {
        self.block.memory()
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.block.bytes()
    }
}

impl Particulars for Grown {
    fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let (steps, moves) = (self.steps, self.moves);
        each(fmt!(
            "grew in {steps} steps and moved {moves} times, content kept"
        ));
    }

    fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
        each(fmt!("steps: {}", self.steps));
        each(fmt!("moves: {}", self.moves));
    }
}
