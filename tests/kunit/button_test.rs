// SPDX-License-Identifier: GPL-2.0

//! The debounce, and the counting between the two halves.

use kernel::prelude::*;

#[kunit_tests(alloclab_button)]
mod tests {
    use core::cell::Cell;

    use crate::{
        button::{
            Button,
            Debounce,
            Stretch, //
        },
        rust::{
            context::Place,
            interrupt::Wake, //
        }, //
    };
    use kernel::{
        prelude::*,
        str::CString,
        time::{
            delay::fsleep,
            Delta,
            Instant,
            Monotonic, //
        }, //
    };

    const WINDOW_NS: i64 = 5_000_000;
    const STRETCH_NS: i64 = 10_000_000;
    /// What a tenth of the longest work is taken from, in nanoseconds.
    const LONGEST_NS: i64 = u32::MAX as i64;

    fn debounce() -> Debounce {
        Debounce::new(Delta::from_micros(WINDOW_NS / 1000))
    }

    #[test]
    fn first_edge_is_a_press() {
        for now in [i64::MIN + 1, -1, 0, 1, i64::MAX] {
            assert!(debounce().edge(now));
        }
    }

    #[test]
    fn window() {
        for (gap, press) in [
            (0, false),
            (1, false),
            (WINDOW_NS - 1, false),
            (WINDOW_NS, true),
            (WINDOW_NS + 1, true),
            (1000 * WINDOW_NS, true),
        ] {
            let debounce = debounce();
            assert!(debounce.edge(100));
            assert_eq!(debounce.edge(100 + gap), press);
        }
    }

    #[test]
    fn bounces_extend_the_window() {
        let debounce = debounce();
        assert!(debounce.edge(0));
        assert!(!debounce.edge(WINDOW_NS - 1));
        // More than the window after the press, less than it after the bounce.
        assert!(!debounce.edge(WINDOW_NS + 1));
        assert!(debounce.edge(2 * WINDOW_NS + 1));
    }

    #[test]
    fn counter_wraps() {
        for (gap, press) in [(WINDOW_NS - 1, false), (WINDOW_NS, true)] {
            let debounce = debounce();
            let last = i64::MAX - 10;
            assert!(debounce.edge(last));
            assert_eq!(debounce.edge(last.wrapping_add(gap)), press);
        }
    }

    #[test]
    fn window_of_zero_takes_every_edge() {
        let debounce = Debounce::new(Delta::from_micros(0));
        for _ in 0..3 {
            assert!(debounce.edge(7));
        }
    }

    #[test]
    fn every_press_is_carried_out_once() {
        let button = Button::new(Delta::from_micros(0));
        for _ in 0..100 {
            assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
        }

        let mut presses = 0;
        button.thread(|| presses += 1, |_| ());
        assert_eq!(presses, 100);
        assert_eq!(button.edges().total(), 100);
        assert_eq!(button.bounces(), 0);

        button.thread(|| presses += 1, |_| ());
        assert_eq!(presses, 100);
    }

    #[test]
    fn edges_are_counted_where_they_come() -> Result {
        let button = Button::new(Delta::from_secs(3600));
        // Bounces are edges, too.
        for (place, edges) in [(Place::Hardirq, 3), (Place::Softirq, 2), (Place::Thread, 1)] {
            for _ in 0..edges {
                let _ = button.hard(place, || false);
            }
        }

        let edges = button.edges();
        assert_eq!((edges.hardirq, edges.softirq, edges.thread), (3, 2, 1));
        assert_eq!(edges.total(), 6);
        let shown = CString::try_from_fmt(fmt!("{edges}"))?;
        assert_eq!(shown.to_bytes(), b"hardirq=3 softirq=2 thread=1");
        assert_eq!(button.bounces(), 5);
        assert!(Place::here() == Place::Thread);
        Ok(())
    }

    #[test]
    fn presses_during_the_thread_half_are_carried_out() {
        let button = Button::new(Delta::from_micros(0));
        assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);

        let mut presses = 0;
        button.thread(
            || {
                presses += 1;
                if presses < 10 {
                    let _ = button.hard(Place::Hardirq, || false);
                }
            },
            |_| (),
        );
        assert_eq!(presses, 10);
    }

    #[test]
    fn bounces_are_counted_and_do_nothing() {
        // An hour: the edges of this test are all within it.
        let button = Button::new(Delta::from_secs(3600));
        assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
        assert!(button.hard(Place::Hardirq, || false) == Wake::Nothing);
        assert!(button.hard(Place::Hardirq, || false) == Wake::Nothing);

        let mut presses = 0;
        button.thread(|| presses += 1, |_| ());
        assert_eq!(presses, 1);
        assert_eq!(button.edges().total(), 3);
        assert_eq!(button.bounces(), 2);
    }

    #[test]
    fn press_is_carried_out_at_once_if_none_waits() {
        let button = Button::new(Delta::from_micros(0));
        let mut at_once = 0;
        let mut presses = 0;

        // Carried out at once: nothing waits for the thread.
        for _ in 0..3 {
            let wake = button.hard(Place::Hardirq, || {
                at_once += 1;
                true
            });
            assert!(wake == Wake::Thread);
        }
        button.thread(|| presses += 1, |_| ());
        assert_eq!((at_once, presses), (3, 0));

        // Declined: it waits, and so do those after it, which are not even offered.
        assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
        let _ = button.hard(Place::Hardirq, || {
            at_once += 1;
            true
        });
        button.thread(|| presses += 1, |_| ());
        assert_eq!((at_once, presses), (3, 2));
    }

    #[test]
    fn press_in_progress_is_still_waiting() {
        let button = Button::new(Delta::from_micros(0));
        assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);

        let mut presses = 0;
        let mut overtaken = false;
        button.thread(
            || {
                presses += 1;
                if presses == 1 {
                    // An edge while the first press is carried out: it is not offered.
                    let _ = button.hard(Place::Hardirq, || {
                        overtaken = true;
                        true
                    });
                }
            },
            |_| (),
        );
        assert_eq!(presses, 2);
        assert!(!overtaken);
    }
    #[test]
    fn stretch_ends_in_time() {
        for start in [
            0,
            -STRETCH_NS,
            i64::MIN,
            i64::MAX,
            i64::MAX - STRETCH_NS / 2,
        ] {
            let mut stretch = Stretch::new();
            for (gap, over) in [
                (0, false),
                (1, false),
                (STRETCH_NS - 1, false),
                (STRETCH_NS, true),
                (STRETCH_NS + 1, true),
                (100 * STRETCH_NS, true),
                (LONGEST_NS, true),
                (LONGEST_NS + 1, true),
                (100 * LONGEST_NS, true),
            ] {
                let pause = stretch.pause(start.wrapping_add(gap));
                assert_eq!(pause.is_some(), over);
                // A tenth of the work, in whole microseconds.
                let tenth = i64::from(gap.min(LONGEST_NS) as u32 / 10_000 * 1000);
                let length = if over { tenth } else { 0 };
                assert_eq!(pause.map_or(0, Delta::as_nanos), length);
            }

            let again = start.wrapping_add(STRETCH_NS + 7);
            stretch.restart(again);
            assert!(stretch.pause(again.wrapping_add(STRETCH_NS - 1)).is_none());
            assert!(stretch.pause(again.wrapping_add(STRETCH_NS)).is_some());
        }
    }

    #[test]
    fn quick_presses_do_not_pause() {
        let button = Button::new(Delta::from_micros(0));
        let mut pauses = 0;

        // However long a single press takes: nothing waits for it.
        assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
        button.thread(|| fsleep(Delta::from_millis(30)), |_| pauses += 1);
        assert_eq!(pauses, 0);

        // And a few that take no time, unless the host lets the CPU wait just then.
        let without = (0..10).any(|_| {
            pauses = 0;
            for _ in 0..3 {
                assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
            }
            button.thread(|| (), |_| pauses += 1);
            pauses == 0
        });
        assert!(without);
    }

    #[test]
    fn pause_grows_with_the_work() {
        let button = Button::new(Delta::from_micros(0));
        for _ in 0..3 {
            assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
        }

        let mut pauses = 0;
        let mut fit = true;
        // How long the press before took: the clock of the sleep is another one.
        let took = Cell::new(0);
        button.thread(
            || {
                let start = Instant::<Monotonic>::now();
                fsleep(Delta::from_millis(100));
                took.set(start.elapsed().as_nanos());
            },
            |length| {
                pauses += 1;
                // A tenth, in whole microseconds, of that and of what little came around it.
                fit &= 10 * (length.as_nanos() + 1000) > took.get();
            },
        );
        // The first press begins the stretch, and after the last there is nothing to pause for.
        assert_eq!(pauses, 1);
        assert!(fit);
    }

    #[test]
    fn storm_pauses_and_loses_nothing() {
        let button = Button::new(Delta::from_micros(0));
        for _ in 0..10 {
            assert!(button.hard(Place::Hardirq, || false) == Wake::Thread);
        }

        let presses = Cell::new(0);
        let mut pauses = 0;
        let mut last = 0;
        button.thread(
            || {
                presses.set(presses.get() + 1);
                fsleep(Delta::from_millis(6));
            },
            |_| {
                // Never twice without a press between.
                assert!(presses.get() > last);
                last = presses.get();
                pauses += 1;
                if pauses <= 2 {
                    // An edge during a pause: its press waits behind the others.
                    let wake = button.hard(Place::Hardirq, || true);
                    assert!(wake == Wake::Thread);
                }
            },
        );

        assert_eq!(presses.get(), 12);
        // The first press begins the stretch; after it, each two are more than one.
        assert!(pauses >= 5);
        // No press was left when the last one ended: there was nothing to pause for.
        assert!(last < 12);
    }
}
