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
        current,
        sync::{
            aref::ARef,
            Arc, //
        },
        task::Task,
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue, //
    };

    const POLL: Delta = Delta::from_millis(1);
    /// How often a thread is asked whether it has slept: 20 s at least.
    const POLLS: u32 = 20_000;

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
        let publishing: ARef<Task> = ARef::from(&**current!());
        let (begun, withdrawing) = (
            Arc::new(Flag::new(false), GFP_KERNEL)?,
            Arc::new(Flag::new(false), GFP_KERNEL)?,
        );
        let (begin, withdraws) = (begun.clone(), withdrawing.clone());
        publisher.publish(1);
        workqueue::system_long().try_spawn(GFP_KERNEL, move || {
            let taken = taker.take();
            begin.set(true);
            while !withdraws.get() {
                fsleep(POLL);
            }
            // The order is carried out until the other thread has slept, or does not.
            let before = sleeps(&publishing);
            for _ in 0..POLLS {
                if sleeps(&publishing) > before {
                    break;
                }
                fsleep(POLL);
            }
            if let Some((order, job)) = taken {
                job.complete(order * 10);
            }
        })?;
        while !begun.get() {
            fsleep(POLL);
        }

        let before = sleeps(current!());
        withdrawing.set(true);
        assert_eq!(publisher.withdraw(), Some(10));
        assert!(sleeps(current!()) > before);
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
