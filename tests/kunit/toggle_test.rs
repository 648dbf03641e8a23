// SPDX-License-Identifier: GPL-2.0

//! The state machine, with a fake allocation and no device.

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    method::{
        Allocation,
        Context,
        Facts,
        Method,
        Reason,
        Request, //
    },
    report::{
        layout,
        Event, //
    },
    rust::{
        address::Address,
        memory::Run, //
    },
    settings::{
        Plan,
        Selection,
        Settings, //
    },
    toggle::{
        Outcome,
        Toggle, //
    }, //
};

/// Five pages in three runs.
const FAKE_RUNS: [Run; 3] = [
    Run {
        first: 0,
        pfn: 100,
        pages: 1,
    },
    Run {
        first: 1,
        pfn: 200,
        pages: 3,
    },
    Run {
        first: 4,
        pfn: 90,
        pages: 1,
    },
];

/// How often somebody looked at a fake.
static LOOKS: Atomic<i32> = Atomic::new(0);

/// An allocation that only counts itself.
struct Fake {
    size: usize,
    alive: Arc<Atomic<i32>>,
}

impl Fake {
    fn put(request: &Request, alive: &Arc<Atomic<i32>>, place: &mut Option<Self>) -> Result {
        alive.fetch_add(1, Relaxed);
        *place = Some(Self {
            size: request.size,
            alive: alive.clone(),
        });
        Ok(())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.alive.fetch_add(-1, Relaxed);
    }
}

impl Allocation for Fake {
    fn facts(&self) -> Facts {
        LOOKS.fetch_add(1, Relaxed);
        Facts {
            address: Address::of(core::ptr::null::<u8>()),
            size: self.size,
            usable: self.size,
            dma_address: None,
        }
    }

    fn runs(&self, each: &mut dyn FnMut(Run)) {
        LOOKS.fetch_add(1, Relaxed);
        for run in FAKE_RUNS {
            each(run);
        }
    }

    fn rest_is_zero(&self) -> bool {
        true
    }

    fn with_bytes(&mut self, _work: &mut dyn FnMut(&mut [u8])) -> bool {
        false
    }
}

fn plan(settings: Settings) -> Result<Plan> {
    Plan::new(settings, |_, _| Ok(()), |_| ()).map_err(|invalid| invalid.errno())
}

/// A toggle in `cycle`, and the number of fakes that are alive.
fn toggle() -> Result<(Toggle<Fake>, Arc<Atomic<i32>>)> {
    let toggle = Toggle::new(plan(Settings::DEFAULT)?)?;
    Ok((toggle, Arc::new(Atomic::new(0), GFP_KERNEL)?))
}

/// A press that is shown.
fn press(toggle: &mut Toggle<Fake>, alive: &Arc<Atomic<i32>>) -> Result<Event> {
    let event = toggle.press(true, |_, request, place| Fake::put(request, alive, place));
    event.ok_or(EINVAL)
}

/// The method of an event of the kind that is expected, or none.
fn allocated(event: &Event) -> Option<Method> {
    match event {
        Event::Allocated { method, .. } => Some(*method),
        _ => None,
    }
}

fn freed(event: &Event) -> Option<Method> {
    match event {
        Event::Freed { method, .. } => Some(*method),
        _ => None,
    }
}

/// Whether the event is shown with `text` at its end.
fn ends_with(event: &Event, text: &str) -> bool {
    CString::try_from_fmt(fmt!("{event}"))
        .is_ok_and(|shown| shown.to_bytes().ends_with(text.as_bytes()))
}

#[kunit_tests(alloclab_toggle)]
mod tests {
    use super::*;

    #[test]
    fn presses_alternate_through_the_cycle() -> Result {
        let (mut toggle, alive) = toggle()?;

        for round in 0..3 {
            for (index, method) in Method::ALL.iter().enumerate() {
                assert!(toggle.next() == *method);
                let event = press(&mut toggle, &alive)?;
                assert!(allocated(&event) == Some(*method));
                assert_eq!(alive.load(Relaxed), 1);
                assert!(toggle.held().is_some_and(|held| held.method == *method));

                let event = press(&mut toggle, &alive)?;
                assert!(freed(&event) == Some(*method));
                assert_eq!(alive.load(Relaxed), 0);
                assert!(toggle.held().is_none());

                let done = 2 * (round * Method::ALL.len() + index + 1);
                assert_eq!(toggle.presses(), done as u64);
            }
        }
        for (_, stats) in toggle.stats().each() {
            assert_eq!((stats.allocs, stats.frees, stats.failures), (3, 3, 0));
        }
        Ok(())
    }

    #[test]
    fn failure_leaves_it_empty_and_usable() -> Result {
        let (mut toggle, alive) = toggle()?;
        let first = Method::ALL[0];
        let size = first.rules().default_size;

        for press in 1..=2 {
            let event = toggle.press(true, |_, _, _| Err(ENOMEM)).ok_or(EINVAL)?;
            assert!(matches!(event, Event::Failed { method, .. } if method == first));
            let line = CString::try_from_fmt(fmt!("{event}"))?;
            let expected = CString::try_from_fmt(fmt!(
                "{}: allocation of {size} bytes failed: ENOMEM (press {press})",
                first.name()
            ))?;
            assert!(line.to_bytes() == expected.to_bytes());
            assert!(toggle.held().is_none());
            // The cycle has not moved on.
            assert!(toggle.next() == first);
        }

        let event = press(&mut toggle, &alive)?;
        assert!(allocated(&event) == Some(first));
        assert_eq!(toggle.stats().total(|stats| stats.failures), 2);
        assert_eq!(toggle.stats().total(|stats| stats.allocs), 1);
        assert_eq!(toggle.presses(), 3);
        Ok(())
    }

    #[test]
    fn probe_allocates_and_the_first_press_frees() -> Result {
        let (mut toggle, alive) = toggle()?;
        let (method, request) = toggle.plan().choose(toggle.next());

        let outcome = Outcome::of(method, request, |_| Err(ENOMEM));
        let event = toggle.probe(outcome).ok_or(EINVAL)?;
        assert!(ends_with(&event, " failed: ENOMEM (probe)"));
        assert!(toggle.held().is_none());
        assert_eq!(toggle.stats().total(|stats| stats.failures), 1);

        let outcome = Outcome::of(method, request, |place| Fake::put(&request, &alive, place));
        let event = toggle.probe(outcome).ok_or(EINVAL)?;
        assert!(ends_with(&event, " ns (probe), 5 pages in 3 runs"));
        assert!(allocated(&event) == Some(Method::ALL[0]));
        assert!(toggle.held().is_some_and(|held| held.press == 0));
        assert_eq!((toggle.presses(), alive.load(Relaxed)), (0, 1));

        let event = press(&mut toggle, &alive)?;
        assert!(freed(&event) == Some(Method::ALL[0]));
        assert!(ends_with(&event, " ns (press 1)"));
        assert_eq!((toggle.presses(), alive.load(Relaxed)), (1, 0));
        Ok(())
    }

    #[test]
    fn change_applies_to_the_next_allocation() -> Result {
        let (mut toggle, alive) = toggle()?;
        let (first, last) = (Method::ALL[0], Method::ALL[Method::ALL.len() - 1]);
        let fake = |_, request: &Request, place: &mut _| Fake::put(request, &alive, place);

        let event = toggle.press(true, fake).ok_or(EINVAL)?;
        assert!(allocated(&event) == Some(first));

        toggle.change(plan(Settings {
            selection: Selection::Only(last),
            ..Settings::DEFAULT
        })?);
        assert!(toggle.held().is_some_and(|held| held.method == first));

        let event = toggle.press(true, fake).ok_or(EINVAL)?;
        assert!(freed(&event) == Some(first));
        for _ in 0..2 {
            let event = toggle.press(true, fake).ok_or(EINVAL)?;
            assert!(allocated(&event) == Some(last));
            let event = toggle.press(true, fake).ok_or(EINVAL)?;
            assert!(freed(&event) == Some(last));
        }

        // The cycle moved on with the free of what it had allocated, and by nothing else.
        toggle.change(plan(Settings::DEFAULT)?);
        assert!(toggle.next() == first.after());
        Ok(())
    }

    #[test]
    fn unbind_frees_what_is_held() -> Result {
        let (mut toggle, alive) = toggle()?;
        assert!(toggle.free(Reason::Unbind, true).is_none());

        let _ = press(&mut toggle, &alive)?;
        let event = toggle.free(Reason::Unbind, true);
        assert!(event.is_some_and(|event| ends_with(&event, " ns (unbind)")));
        assert_eq!(alive.load(Relaxed), 0);
        assert_eq!(toggle.stats().total(|stats| stats.frees), 1);
        assert_eq!(toggle.presses(), 1);
        assert!(toggle.free(Reason::Unbind, true).is_none());
        Ok(())
    }

    #[test]
    fn drop_frees_what_is_held() -> Result {
        let (mut toggle, alive) = toggle()?;
        let _ = press(&mut toggle, &alive)?;
        assert_eq!(alive.load(Relaxed), 1);
        drop(toggle);
        assert_eq!(alive.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn lines_name_the_press() -> Result {
        let (mut toggle, alive) = toggle()?;
        let lines = [
            "(press 1), 5 pages in 3 runs",
            "(press 2)",
            "(press 3), 5 pages in 3 runs",
        ];
        for line in lines {
            let event = press(&mut toggle, &alive)?;
            assert!(ends_with(&event, line));
        }
        Ok(())
    }

    #[test]
    fn nothing_is_found_out_that_is_not_shown() -> Result {
        let (mut toggle, alive) = toggle()?;
        let fake = |_, request: &Request, place: &mut _| Fake::put(request, &alive, place);

        let before = LOOKS.load(Relaxed);
        for _ in 0..2 {
            assert!(toggle.press(false, fake).is_none());
        }
        assert_eq!(LOOKS.load(Relaxed), before);
        assert_eq!(toggle.stats().total(|stats| stats.frees), 1);

        // Facts and runs of an allocation, facts of what is freed.
        for _ in 0..2 {
            assert!(toggle.press(true, fake).is_some());
        }
        assert_eq!(LOOKS.load(Relaxed), before + 3);
        Ok(())
    }

    #[test]
    fn layout_is_found() -> Result {
        let (mut toggle, alive) = toggle()?;
        let _ = press(&mut toggle, &alive)?;
        let layout = layout(toggle.held().ok_or(EINVAL)?.allocation);
        assert_eq!((layout.pages, layout.runs, layout.longest), (5, 3, 3));
        Ok(())
    }

    #[test]
    fn outcome_from_elsewhere_is_adopted() -> Result {
        let (mut toggle, alive) = toggle()?;
        let (method, request) = toggle.plan().choose(toggle.next());

        let event = toggle.adopt(Outcome::of(method, request, |_| Err(ENOMEM)), true);
        assert!(matches!(event, Some(Event::Failed { .. })));
        assert!(toggle.held().is_none());

        let got = Outcome::of(method, request, |place| Fake::put(&request, &alive, place));
        let event = toggle.adopt(got, true).ok_or(EINVAL)?;
        assert!(allocated(&event) == Some(method));
        assert_eq!(toggle.presses(), 2);
        assert_eq!(toggle.stats().total(|stats| stats.allocs), 1);
        assert_eq!(toggle.stats().total(|stats| stats.failures), 1);

        let event = press(&mut toggle, &alive)?;
        assert!(freed(&event) == Some(method));
        assert_eq!(alive.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn context_is_where_it_was_allocated() -> Result {
        let (mut toggle, alive) = toggle()?;
        toggle.change(plan(Settings {
            context: Context::Hard,
            ..Settings::DEFAULT
        })?);
        let fake = |_, request: &Request, place: &mut _| Fake::put(request, &alive, place);

        // By a thread, whatever the settings say.
        let _ = toggle.press(false, fake);
        assert!(toggle.held().ok_or(EINVAL)?.request.context == Context::Thread);
        let _ = toggle.press(false, fake);

        // By the hard half.
        let (method, request) = toggle.plan().choose(toggle.next());
        let got = Outcome::of(method, request, |place| Fake::put(&request, &alive, place));
        let _ = toggle.adopt(got, false);
        assert!(toggle.held().ok_or(EINVAL)?.request.context == Context::Hard);
        Ok(())
    }
}
