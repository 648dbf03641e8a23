// SPDX-License-Identifier: GPL-2.0

//! Counters, and a histogram of latencies.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    method::Method,
    rust::decimal::Decimal, //
};

/// Each power of two is divided into 2^3 = 8 buckets, so that a value is known to an eighth.
const SUB_BITS: u32 = 3;

/// Latencies of 2^36 ns (69 s) and more share the last bucket.
const MAX_BITS: u32 = 36;

/// The number of buckets: one a value below 2^3, then eight a power of two.
const BUCKETS: usize = ((MAX_BITS - SUB_BITS + 1) << SUB_BITS) as usize;

/// A histogram of latencies in nanoseconds, which tells percentiles to an eighth of their value.
pub(crate) struct Histogram {
    buckets: KVec<u32>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// Makes an empty histogram. Sleeps. Returns `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            buckets: KVec::from_elem(0, BUCKETS, GFP_KERNEL)?,
            count: 0,
            max: 0,
        })
    }

    /// Counts one latency of `ns`.
    pub(crate) fn add(&mut self, ns: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ns)) {
            *bucket = bucket.saturating_add(1);
        }
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// Returns the smallest latency that at least `percent` percent of all do not exceed.
    ///
    /// It is rounded up to the end of its bucket, or to the maximum if that is less; 0 if empty.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        // Compared without dividing: 32-bit kernels have no division of u64.
        let enough = self.count.saturating_mul(percent).max(1);
        let mut seen = 0u64;

        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += u64::from(*bucket);
            if seen.saturating_mul(100) >= enough && index + 1 < BUCKETS {
                return last_of(index).min(self.max);
            }
        }
        // In the last bucket, which has no end.
        self.max
    }
}

impl fmt::Display for Histogram {
    /// Shows `p50,p99,max`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [self.percentile(50), self.percentile(99), self.max].map(Decimal);
        f.write_fmt(fmt!("{p50},{p99},{max}"))
    }
}

/// Returns the bucket that counts `ns`.
fn bucket_of(ns: u64) -> usize {
    let ns = ns.min((1 << MAX_BITS) - 1);
    let exponent = ns.checked_ilog2().unwrap_or(0);

    // How far to shift so that the leading one and `SUB_BITS` bits below it are left.
    let shift = exponent.saturating_sub(SUB_BITS);
    let row = u64::from(shift) << SUB_BITS;
    (row + (ns >> shift)) as usize
}

/// Returns the largest latency that the bucket `index` counts.
fn last_of(index: usize) -> u64 {
    let index = index as u64;
    let row = index >> SUB_BITS;

    // Below 2^4 each bucket is one value; above, `shift` undoes what `bucket_of` did.
    let shift = row.saturating_sub(1);
    let first = (index - (shift << SUB_BITS)) << shift;
    first + ((1 << shift) - 1)
}

/// The counters of one method.
pub(crate) struct MethodStats {
    pub(crate) allocs: u64,
    pub(crate) frees: u64,
    pub(crate) failures: u64,
    pub(crate) alloc_ns: Histogram,
    pub(crate) free_ns: Histogram,
}

impl MethodStats {
    fn new() -> Result<Self> {
        Ok(Self {
            allocs: 0,
            frees: 0,
            failures: 0,
            alloc_ns: Histogram::new()?,
            free_ns: Histogram::new()?,
        })
    }
}

impl fmt::Display for MethodStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            allocs,
            frees,
            failures,
            alloc_ns,
            free_ns,
        } = self;
        let [allocs, frees, failures] = [*allocs, *frees, *failures].map(Decimal);
        f.write_fmt(fmt!("allocs={allocs} frees={frees} failures={failures} "))?;
        f.write_fmt(fmt!("alloc_ns={alloc_ns} free_ns={free_ns}"))
    }
}

/// The counters of all methods of one device.
pub(crate) struct Stats(KVec<MethodStats>);

impl Stats {
    /// Makes counters that are all 0. Sleeps. Returns `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        let mut methods = KVec::with_capacity(Method::ALL.len(), GFP_KERNEL)?;
        for _ in Method::ALL {
            methods.push(MethodStats::new()?, GFP_KERNEL)?;
        }
        Ok(Self(methods))
    }

    /// Changes the counters of `method`.
    pub(crate) fn update(&mut self, method: Method, change: impl FnOnce(&mut MethodStats)) {
        // There is an entry for each method, by construction.
        if let Some(stats) = self.0.get_mut(method.index()) {
            change(stats);
        }
    }

    /// Returns the counters of each method, in the order of the table.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Method, &MethodStats)> {
        Method::ALL.iter().copied().zip(self.0.iter())
    }

    /// Returns the sum of one counter over all methods.
    pub(crate) fn total(&self, counter: impl Fn(&MethodStats) -> u64) -> u64 {
        self.0.iter().map(counter).sum()
    }
}
