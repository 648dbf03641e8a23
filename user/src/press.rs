// SPDX-License-Identifier: GPL-2.0

//! `alloclab set` and `alloclab press`.

use std::{
    io::{ErrorKind, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{
    failure::{Exit, Failure, Result},
    lab::{self, Button, Root},
};

/// Splits the words of `set` into the button's name, if it is there, and what is to be written.
fn split(words: &[String]) -> Result<(Option<&str>, String)> {
    let (name, settings) = match words {
        [first, rest @ ..] if !first.contains('=') => (Some(first.as_str()), rest),
        all => (None, all),
    };
    let allowed = "allowed are method=NAME, size=BYTES, gfp=FLAGS, context=thread|hard";
    if settings.is_empty() {
        return Err(Failure::usage(format!("nothing to set: {allowed}")));
    }
    for word in settings {
        // The kernel would take the parts for words of their own.
        let is_one_word = !word.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_one_word || !word.contains('=') {
            return Err(Failure::usage(format!("{word:?} is no setting: {allowed}")));
        }
    }
    Ok((name, settings.join(" ")))
}

/// Carries out `alloclab set`.
pub fn set(root: &Root, words: &[String], out: &mut dyn Write) -> Result {
    let (name, settings) = split(words)?;
    let button = lab::button(root, name)?;
    for remark in button.set(&settings)? {
        writeln!(out, "{remark}")?;
    }
    writeln!(out, "{}", button.settings()?)?;
    Ok(())
}

/// Whether a signal has asked the program to end.
#[derive(Clone, Default)]
pub struct Ended(Arc<AtomicBool>);

impl Ended {
    /// From here on signals do not end the program, but are noted. A second one ends it.
    pub fn watch() -> Result<Self> {
        let ended = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let flag = &ended.0;
            signal_hook::flag::register_conditional_shutdown(
                signal,
                Exit::Interrupted as i32,
                Arc::clone(flag),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(flag)))
            .map_err(|error| Failure::failed(format!("signals: {error}")))?;
        }
        Ok(ended)
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A write is to take about so long: then the bar moves, and a signal has its answer soon.
const STEP: Duration = Duration::from_millis(100);
/// The kernel takes so many in one write.
const MOST_AT_ONCE: u64 = 1_000_000;
/// A run that takes no longer has no bar.
const NO_BAR: Duration = Duration::from_millis(500);

/// How many presses the next write is to have, after one of `last` that took so long.
fn next_step(last: u64, took: Duration) -> u64 {
    if took > STEP * 2 {
        (last / 2).max(1)
    } else if took < STEP {
        last.saturating_mul(2).min(MOST_AT_ONCE)
    } else {
        last
    }
}

/// The bar, as wide as the terminal allows.
fn bar(done: u64, count: u64, elapsed: Duration, columns: usize) -> String {
    let milliseconds = elapsed.as_millis().max(1);
    let rate = u128::from(done) * 1000 / milliseconds;
    let text = format!(" {done} of {count} presses, {rate} a second");
    let width = columns.saturating_sub(text.len() + 3).min(40);
    let filled = (done as u128 * width as u128 / u128::from(count.max(1))) as usize;
    let filled = filled.min(width);
    format!(
        "[{}{}]{text}",
        "#".repeat(filled),
        ".".repeat(width - filled)
    )
}

fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(80, |size| {
        if size.ws_col == 0 {
            80
        } else {
            size.ws_col.into()
        }
    })
}

/// Shows how far a run is, on a terminal.
struct Progress {
    start: Instant,
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            shown: false,
        }
    }

    fn show(&mut self, done: u64, count: u64) {
        let mut stderr = std::io::stderr();
        if self.start.elapsed() > NO_BAR && stderr.is_terminal() {
            self.shown = true;
            let _ = write!(
                stderr,
                "\r\x1b[K{}",
                bar(done, count, self.start.elapsed(), columns())
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Presses so often; returns how many presses were carried out, and what ended it early.
fn press_all(button: &Button, count: u64, ended: &Ended) -> (u64, Result) {
    let mut progress = Progress::new();
    let (mut done, mut step) = (0_u64, 1_u64);
    while done < count {
        if ended.is_set() {
            return (done, Err(interrupted()));
        }
        let now = step.min(count - done);
        // What a write has done that a signal ended, only the count of presses tells.
        let presses = || button.stats().map(|stats| stats.counter("presses"));
        let before = match presses() {
            Ok(before) => before,
            Err(failure) => return (done, Err(failure)),
        };
        let start = Instant::now();
        if let Err(error) = button.press(now) {
            let after = presses().unwrap_or(before);
            let carried_out = done + after.saturating_sub(before).min(now);
            let failure = if error.kind() == ErrorKind::Interrupted {
                interrupted()
            } else {
                Failure::of(format!("{}/press", button.name), &error)
            };
            return (carried_out, Err(failure));
        }
        done += now;
        step = next_step(now, start.elapsed());
        progress.show(done, count);
    }
    (done, Ok(()))
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "a signal ended it")
}

/// Carries out `alloclab press`.
pub fn press(root: &Root, name: Option<&str>, count: u64, out: &mut dyn Write) -> Result {
    let button = lab::button(root, name)?;
    let ended = Ended::watch()?;
    let (done, result) = press_all(&button, count, &ended);
    match result {
        Ok(()) => {
            let held = button.live()?;
            let held = held.map_or("nothing".to_owned(), |live| crate::status::held(&live));
            writeln!(out, "{done} presses carried out; held: {held}")?;
            Ok(())
        }
        Err(failure) => Err(Failure::new(
            failure.exit,
            format!(
                "{}; {done} of {count} presses were carried out",
                failure.text
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lab::fake::Fake;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_name_may_be_left_out() {
        let all = words(&["button", "size=4K", "method=page"]);
        assert_eq!(
            split(&all),
            Ok((Some("button"), "size=4K method=page".to_owned()))
        );
        assert_eq!(
            split(&words(&["size=4K"])),
            Ok((None, "size=4K".to_owned()))
        );
        for bad in [&["button"][..], &["size=1 2"], &["size=1", "button"], &[]] {
            assert_eq!(split(&words(bad)).unwrap_err().exit, Exit::Usage, "{bad:?}");
        }
    }

    #[test]
    fn set_writes_once_and_shows_what_is_set() {
        let fake = Fake::new(&["button"]);
        // What is not shorter replaces all of a file.
        let all = [
            "method=vmalloc",
            "size=123456789",
            "gfp=kernel+zero",
            "context=thread",
        ];
        let mut out = Vec::new();
        set(&fake.root, &words(&all), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("{}\n", all.join(" "))
        );
    }

    #[test]
    fn a_press() {
        let fake = Fake::new(&["button"]);
        let button = lab::button(&fake.root, None).unwrap();
        assert_eq!(press_all(&button, 5, &Ended::default()), (5, Ok(())));
    }

    #[test]
    fn a_signal_and_a_button_that_goes_away() {
        let fake = Fake::new(&["button"]);
        let button = lab::button(&fake.root, None).unwrap();
        let ended = Ended::default();
        ended.0.store(true, Ordering::Relaxed);
        let (done, result) = press_all(&button, 5, &ended);
        assert_eq!((done, result.unwrap_err().exit), (0, Exit::Interrupted));
        fake.remove("/sys/kernel/debug/alloclab/button");
        let (done, result) = press_all(&button, 5, &Ended::default());
        assert_eq!((done, result.unwrap_err().exit), (0, Exit::Gone));
    }

    #[test]
    fn steps() {
        assert_eq!(next_step(1, Duration::ZERO), 2);
        assert_eq!(next_step(MOST_AT_ONCE, Duration::ZERO), MOST_AT_ONCE);
        assert_eq!(next_step(8, STEP), 8);
        assert_eq!(next_step(8, STEP * 3), 4);
        assert_eq!(next_step(1, STEP * 3), 1);
    }

    #[test]
    fn bars() {
        let second = Duration::from_secs(1);
        assert_eq!(
            bar(5, 10, second, 45),
            "[#######.......] 5 of 10 presses, 5 a second"
        );
        assert_eq!(bar(5, 10, second, 0), "[] 5 of 10 presses, 5 a second");
    }

    proptest! {
        #[test]
        fn no_words_panic(all in prop::collection::vec("\\PC*", 0..5)) {
            let _ = split(&all);
        }

        #[test]
        fn no_bar_panics(done: u64, count: u64, ms: u32, columns in 0_usize..300) {
            let text = bar(done, count, Duration::from_millis(ms.into()), columns);
            prop_assert!(text.starts_with('['));
        }
    }
}
