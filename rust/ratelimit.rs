// SPDX-License-Identifier: GPL-2.0

//! A limit on log lines that always says how many it dropped.
//!
//! The kernel's `struct ratelimit_state` tells at the next line that passes, which may be never;
//! here a timer tells when the burst is over.
//!
//! C header of the original: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use kernel::{
    device::Device,
    impl_has_hr_timer,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeMode, //
        },
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use super::decimal::Decimal;

/// How many lines were dropped, and the timer that tells it.
#[pin_data]
struct Dropped {
    #[pin]
    timer: HrTimer<Self>,
    lines: Atomic<u64>,
    dev: ARef<Device>,
}

impl Dropped {
    /// Logs the number of dropped lines, if any, and starts again from 0. Any context.
    fn tell(&self) {
        let lines = self.lines.xchg(0, Relaxed);
        if lines > 0 {
            dev_warn!(
                self.dev,
                "burst of events: {} lines dropped\n",
                Decimal(lines)
            );
        }
    }

    /// Counts a line if others were dropped before: the timer has not told of them, and the
    /// interval is not over. Any context.
    fn drop_one_more(&self) -> bool {
        let lines = self.lines.load(Relaxed);
        lines > 0 && self.lines.cmpxchg(lines, lines + 1, Relaxed).is_ok()
    }
}

impl HrTimerCallback for Dropped {
    type Pointer<'a> = Arc<Self>;

    fn run(this: ArcBorrow<'_, Self>, _: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        this.tell();
        HrTimerRestart::NoRestart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Dropped {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

/// Lets so many lines pass in an interval, and counts the others.
pub(crate) struct LineLimit {
    lines: u32,
    interval: Delta,
    start: Instant<Monotonic>,
    passed: u32,
    timer: Option<ArcHrTimerHandle<Dropped>>,
    dropped: Arc<Dropped>,
}

impl LineLimit {
    /// Makes a limit of `lines` lines in `interval`, for the log of `dev`.
    ///
    /// Sleeps. Returns `ENOMEM`.
    pub(crate) fn new(dev: &Device, lines: u32, interval: Delta) -> Result<Self> {
        let dropped = Arc::pin_init(
            pin_init!(Dropped {
                timer <- HrTimer::new(),
                lines: Atomic::new(0),
                dev: dev.into(),
            }),
            GFP_KERNEL,
        )?;

        Ok(Self {
            lines,
            interval,
            start: Instant::now(),
            passed: 0,
            timer: None,
            dropped,
        })
    }

    /// Returns whether a line may be logged now; one that may not is counted.
    ///
    /// Sleeps at most for as long as the timer's function runs.
    pub(crate) fn pass(&mut self) -> bool {
        if self.dropped.drop_one_more() {
            return false;
        }
        let age = self.start.elapsed();

        if age >= self.interval {
            self.timer = None;
            self.dropped.tell();
            self.start = Instant::now();
            self.passed = 0;
        }

        if self.passed < self.lines {
            self.passed += 1;
            return true;
        }

        // From 0, no timer is going to tell of this line: none was started, or it has just told.
        if self.dropped.lines.fetch_add(1, Relaxed) == 0 {
            // First, as dropping the old handle cancels the timer.
            self.timer = None;
            self.timer = Some(self.dropped.clone().start(self.interval - age));
        }
        false
    }
}

impl Drop for LineLimit {
    fn drop(&mut self) {
        self.timer = None;
        self.dropped.tell();
    }
}
