// SPDX-License-Identifier: GPL-2.0

//! The hand-over between a thread and an interrupt handler.

use kernel::prelude::*;

#[kunit_tests(alloclab_handover)]
mod tests {
    use super::*;
    use crate::{
        kunit::sleeps,
        rust::{
            flag::Flag,
            handover, //
        }, //
    };
    use kernel::{
        sync::Arc,
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue, //
    };

    const POLL: Delta = Delta::from_millis(1);
    /// Much longer than any handler takes.
    const LONG: Delta = Delta::from_millis(20);

    #[test]
    fn nothing_is_taken_that_is_not_published() -> Result {
        let (mut publisher, taker) = handover::new::<u32, u32>()?;
        assert!(taker.take().is_none());
        assert!(publisher.withdraw().is_none());
        assert!(taker.take().is_none());
        Ok(())
    }

    #[test]
    fn order_is_taken_once_and_its_result_once() -> Result {
        let (mut publisher, taker) = handover::new()?;
        for order in 0..3 {
            publisher.publish(order);
            let (taken, job) = taker.take().ok_or(EINVAL)?;
            assert_eq!(taken, order);
            assert!(taker.take().is_none());

            job.complete(order * 10);
            assert!(taker.take().is_none());
            assert_eq!(publisher.withdraw(), Some(order * 10));
            assert!(publisher.withdraw().is_none());
            assert!(taker.take().is_none());
        }
        Ok(())
    }

    #[test]
    fn withdrawn_order_is_not_taken() -> Result {
        let (mut publisher, taker) = handover::new::<u32, u32>()?;
        publisher.publish(1);
        assert!(publisher.withdraw().is_none());
        assert!(taker.take().is_none());
        Ok(())
    }

    #[test]
    fn abandoned_order_is_withdrawn() -> Result {
        let (mut publisher, taker) = handover::new::<u32, u32>()?;
        publisher.publish(1);
        drop(taker.take());
        assert!(taker.take().is_none());
        assert!(publisher.withdraw().is_none());

        publisher.publish(2);
        assert!(taker.take().is_some_and(|(order, _)| order == 2));
        Ok(())
    }

    #[test]
    fn withdrawing_sleeps_while_the_order_is_carried_out() -> Result {
        let (mut publisher, taker) = handover::new::<u32, u32>()?;
        let begun = Arc::new(Flag::new(false), GFP_KERNEL)?;
        let begin = begun.clone();
        publisher.publish(1);
        workqueue::system_long().try_spawn(GFP_KERNEL, move || {
            let taken = taker.take();
            begin.set(true);
            if let Some((order, job)) = taken {
                fsleep(LONG);
                job.complete(order * 10);
            }
        })?;
        while !begun.get() {
            fsleep(POLL);
        }

        let before = sleeps();
        assert_eq!(publisher.withdraw(), Some(10));
        assert!(sleeps() > before);
        Ok(())
    }

    #[test]
    fn result_that_is_not_collected_is_dropped() -> Result {
        let result = Arc::new(7u32, GFP_KERNEL)?;
        let (mut publisher, taker) = handover::new()?;
        publisher.publish(1);
        let (_, job) = taker.take().ok_or(EINVAL)?;
        job.complete(result.clone());

        drop(publisher);
        drop(taker);
        // The only reference again.
        assert!(Arc::into_unique_or_drop(result).is_some());
        Ok(())
    }
}
