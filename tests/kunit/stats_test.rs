// SPDX-License-Identifier: GPL-2.0

//! Counters and the latency histogram.

use kernel::prelude::*;

#[kunit_tests(alloclab_stats)]
mod tests {
    use super::*;
    use crate::{
        method::Method,
        stats::{
            Histogram,
            Stats, //
        }, //
    };
    use kernel::{
        c_str,
        str::CString, //
    };

    #[test]
    fn empty_histogram() -> Result {
        let histogram = Histogram::new()?;
        for percent in [0, 1, 50, 99, 100] {
            assert_eq!(histogram.percentile(percent), 0);
        }
        Ok(())
    }

    #[test]
    fn small_values_are_exact() -> Result {
        let mut histogram = Histogram::new()?;
        for ns in 1..=10 {
            histogram.add(ns);
        }
        for (percent, ns) in [(0, 1), (10, 1), (11, 2), (50, 5), (99, 10), (100, 10)] {
            assert_eq!(histogram.percentile(percent), ns);
        }
        Ok(())
    }

    #[test]
    fn single_value_is_exact() -> Result {
        // Each side of the powers of two, where buckets change their width.
        for bits in 0..64 {
            for ns in [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                let mut histogram = Histogram::new()?;
                histogram.add(ns);
                assert_eq!(histogram.percentile(50), ns);
                assert_eq!(histogram.percentile(99), ns);
            }
        }
        Ok(())
    }

    #[test]
    fn values_are_known_to_an_eighth() -> Result {
        let mut ns = 1u64;
        while ns < 60_000_000_000 {
            let mut histogram = Histogram::new()?;
            histogram.add(ns);
            histogram.add(u64::MAX);

            let shown = histogram.percentile(50);
            assert!(shown >= ns);
            assert!(shown - ns <= ns >> 3);
            ns += (ns >> 2) + 1;
        }
        Ok(())
    }

    #[test]
    fn percentiles_of_many() -> Result {
        let mut histogram = Histogram::new()?;
        for _ in 0..989 {
            histogram.add(1000);
        }
        for _ in 0..11 {
            histogram.add(1_000_000);
        }

        assert!((1000..=1125).contains(&histogram.percentile(50)));
        assert!((1000..=1125).contains(&histogram.percentile(98)));
        assert_eq!(histogram.percentile(99), 1_000_000);
        assert_eq!(histogram.percentile(100), 1_000_000);
        Ok(())
    }

    #[test]
    fn huge_values_share_the_last_bucket() -> Result {
        let mut histogram = Histogram::new()?;
        histogram.add(1 << 40);
        histogram.add(u64::MAX);
        // Of what lies in the last bucket, only the maximum is known.
        assert_eq!(histogram.percentile(50), u64::MAX);
        assert_eq!(histogram.percentile(100), u64::MAX);
        Ok(())
    }

    #[test]
    fn counters_are_a_method_s_own() -> Result {
        let mut stats = Stats::new()?;
        for (count, method) in Method::ALL.iter().enumerate() {
            for _ in 0..count {
                stats.update(*method, |stats| stats.allocs += 1);
            }
        }

        for (count, (method, counters)) in stats.each().enumerate() {
            assert!(method == Method::ALL[count]);
            assert_eq!(counters.allocs, count as u64);
            assert_eq!(counters.frees, 0);
        }
        let sum: usize = (0..Method::ALL.len()).sum();
        assert_eq!(stats.total(|stats| stats.allocs), sum as u64);
        assert_eq!(stats.total(|stats| stats.failures), 0);
        Ok(())
    }

    #[test]
    fn line_of_a_method() -> Result {
        let mut stats = Stats::new()?;
        let method = Method::ALL[0];
        stats.update(method, |stats| {
            stats.allocs = 3;
            stats.frees = 2;
            stats.failures = 1;
            stats.alloc_ns.add(7);
            stats.free_ns.add(5);
            stats.free_ns.add(6);
        });

        for (each, counters) in stats.each() {
            let line = CString::try_from_fmt(fmt!("{counters}"))?;
            let expected = if each == method {
                c_str!("allocs=3 frees=2 failures=1 alloc_ns=7,7,7 free_ns=5,6,6")
            } else {
                c_str!("allocs=0 frees=0 failures=0 alloc_ns=0,0,0 free_ns=0,0,0")
            };
            assert!(line.to_bytes() == expected.to_bytes());
        }
        Ok(())
    }
}
