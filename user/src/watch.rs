// SPDX-License-Identifier: GPL-2.0

//! `alloclab watch`: what is known of a button, four times a second. Here is what is known and what
//! a key does to it; screen.rs draws it.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::Backend,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::Rect,
};

use crate::{
    failure::{Exit, Failure, Result},
    lab::{self, Button, Root},
    press::Ended,
    screen::{self, Style},
    status,
    text::{Fields, Run, Settings, Stats},
};

const POLL: Duration = Duration::from_millis(250);
/// What the key P presses.
const MANY: u64 = 100;
/// Longer than any settings.
const INPUT_CHARS: usize = 120;

/// Latencies by powers of two: place `n` counts those below 2^(n+1) ns and not below 2^n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(pub [u64; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Histogram {
    pub fn add(&mut self, ns: u64) {
        let place = ns.max(1).ilog2() as usize;
        if let Some(count) = self.0.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }
}

/// What is held, or was when it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub live: Option<Fields>,
    pub runs: Vec<Run>,
}

/// What one poll has found.
#[derive(Clone, Debug)]
pub enum Poll {
    Found {
        settings: Settings,
        stats: Stats,
        /// Read after a new press alone.
        held: Option<Held>,
    },
    /// There is no such button, and why.
    Away(String),
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Nothing,
    Quit,
    Press(u64),
    Set(String),
}

/// What is known of the button.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub name: String,
    pub methods: Vec<String>,
    pub settings: Settings,
    pub stats: Stats,
    pub held: Held,
    /// Of the allocations that were seen.
    pub histogram: Histogram,
    /// Presses whose allocation was not seen, as others came before the next poll.
    pub skipped: u64,
    /// Why there is no button now.
    pub away: Option<String>,
    /// What came of the last key.
    pub message: String,
    /// What is being typed.
    pub input: Option<String>,
    /// The presses at the last poll that found the button.
    presses: Option<u64>,
}

impl Model {
    pub fn new(name: &str, methods: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            methods,
            ..Self::default()
        }
    }

    /// Whether these counts tell of a press that was not seen.
    pub fn wants_held(&self, stats: &Stats) -> bool {
        self.presses != Some(stats.counter("presses"))
    }

    /// Takes what a poll has found; returns whether the screen is another one.
    pub fn take(&mut self, poll: Poll) -> bool {
        match poll {
            Poll::Away(why) => {
                let is_new = self.away.as_ref() != Some(&why);
                self.away = Some(why);
                is_new
            }
            Poll::Found {
                settings,
                stats,
                held,
            } => {
                let is_new = self.away.is_some()
                    || settings != self.settings
                    || stats != self.stats
                    || held.is_some();
                if let Some(held) = held {
                    self.take_held(held, stats.counter("presses"));
                }
                self.away = None;
                self.settings = settings;
                self.stats = stats;
                is_new
            }
        }
    }

    fn take_held(&mut self, held: Held, presses: u64) {
        match self.presses {
            // It was bound anew: its counts begin anew.
            Some(before) if presses < before => {
                self.skipped = 0;
                self.histogram = Histogram::default();
            }
            Some(before) => {
                let new = presses.saturating_sub(before);
                self.skipped = self.skipped.saturating_add(new.saturating_sub(1));
            }
            None => (),
        }
        self.presses = Some(presses);
        let press = |held: &Held| held.live.as_ref().and_then(|live| live.number("press"));
        if let Some(live) = &held.live {
            let ns = live.number("alloc_ns").unwrap_or(0);
            if press(&self.held) != press(&held) {
                self.histogram.add(ns);
            }
        }
        self.held = held;
    }

    /// What a key does.
    pub fn key(&mut self, code: KeyCode, control: bool) -> Action {
        if control && code == KeyCode::Char('c') {
            return Action::Quit;
        }
        if let Some(input) = &mut self.input {
            match code {
                KeyCode::Esc => self.input = None,
                KeyCode::Enter => {
                    let text = std::mem::take(input);
                    self.input = None;
                    if !text.trim().is_empty() {
                        return Action::Set(text);
                    }
                }
                KeyCode::Backspace => {
                    input.pop();
                }
                KeyCode::Char(char) if !control && input.chars().count() < INPUT_CHARS => {
                    input.push(char);
                }
                _ => (),
            }
            return Action::Nothing;
        }
        match code {
            KeyCode::Char('q') | KeyCode::Esc => Action::Quit,
            KeyCode::Char('p' | ' ') => Action::Press(1),
            KeyCode::Char('P') => Action::Press(MANY),
            KeyCode::Char('m') => Action::Set(format!("method={}", self.other_method(1))),
            KeyCode::Char('M') => {
                let last = self.methods.len();
                Action::Set(format!("method={}", self.other_method(last)))
            }
            KeyCode::Char('+') => self.size(|size| size.saturating_mul(2)),
            KeyCode::Char('-') => self.size(|size| (size / 2).max(1)),
            KeyCode::Char('d') => Action::Set("size=default".to_owned()),
            KeyCode::Char('c') => Action::Set(match self.settings.context.as_str() {
                "thread" => "context=hard".to_owned(),
                _ => "context=thread".to_owned(),
            }),
            KeyCode::Char('e') => {
                self.input = Some(String::new());
                Action::Nothing
            }
            _ => Action::Nothing,
        }
    }

    /// The method so many places further on, among all of them and `cycle`.
    fn other_method(&self, places: usize) -> &str {
        let all = || std::iter::once("cycle").chain(self.methods.iter().map(String::as_str));
        let here = all()
            .position(|name| name == self.settings.method)
            .unwrap_or(0);
        let count = self.methods.len() + 1;
        all().nth((here + places) % count).unwrap_or("cycle")
    }

    /// Sets the size to what comes of the one that is set, or else of what is held.
    fn size(&self, change: fn(u64) -> u64) -> Action {
        let set = self.settings.size.parse().ok();
        let held = || self.held.live.as_ref()?.number("size");
        let size = set.or_else(held).unwrap_or(4096);
        Action::Set(format!("size={}", change(size)))
    }
}

/// Looks at the button. No file stays open.
fn poll(root: &Root, model: &Model) -> Poll {
    let look = || -> Result<Poll> {
        let button = Button::named(root, &model.name);
        // Only where it is gone it is asked why.
        let stats = button
            .stats()
            .or_else(|_| lab::button(root, Some(&model.name))?.stats())?;
        let held = if model.wants_held(&stats) {
            Some(Held {
                live: button.live()?,
                runs: button.pages()?,
            })
        } else {
            None
        };
        Ok(Poll::Found {
            settings: button.settings()?,
            stats,
            held,
        })
    };
    look().unwrap_or_else(|failure| Poll::Away(failure.text))
}

/// Does what a key asks for; returns whether the program is to go on.
fn act(root: &Root, model: &mut Model, action: Action) -> bool {
    let with = |work: &dyn Fn(&Button) -> Result<String>| {
        lab::button(root, Some(&model.name))
            .and_then(|button| work(&button))
            .unwrap_or_else(|failure| failure.text)
    };
    model.message = match action {
        Action::Nothing => return true,
        Action::Quit => return false,
        Action::Press(count) => with(&|button| {
            button
                .press(count)
                .map_err(|error| Failure::of(format_args!("{}/press", button.name), &error))?;
            Ok(match count {
                1 => "pressed".to_owned(),
                _ => format!("pressed {count} times"),
            })
        }),
        Action::Set(words) => with(&|button| {
            let remarks = button.set(&words)?;
            Ok(remarks
                .into_iter()
                .next()
                .unwrap_or_else(|| format!("set {words}")))
        }),
    };
    true
}

/// Carries out the command.
pub fn run(root: &Root, name: Option<&str>, seconds: Option<u32>, out: &mut dyn Write) -> Result {
    let button = lab::button(root, name)?;
    let mut model = Model::new(&button.name, button.methods()?);
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    let ended = Ended::watch()?;
    let is_over = || ended.is_set() || end.is_some_and(|end| Instant::now() >= end);
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        let result = on_terminal(root, &mut model, &is_over);
        ratatui::restore();
        result?;
    } else {
        line_by_line(root, &mut model, out, &is_over)?;
    }
    if ended.is_set() {
        return Err(Failure::new(Exit::Interrupted, "a signal ended it"));
    }
    Ok(())
}

fn terminal_failed(error: io::Error) -> Failure {
    Failure::failed(format!("terminal: {error}"))
}

/// How large the terminal is. One that does not say so, as a serial port may not, is taken for the
/// usual one.
fn size() -> Rect {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Rect::new(0, 0, size.ws_col, size.ws_row),
        _ => Rect::new(0, 0, 80, 24),
    }
}

fn on_terminal(root: &Root, model: &mut Model, is_over: &dyn Fn() -> bool) -> Result {
    let viewport = Viewport::Fixed(size());
    let mut terminal =
        ratatui::try_init_with_options(TerminalOptions { viewport }).map_err(terminal_failed)?;
    let style = Style::of_environment();
    terminal.clear().map_err(terminal_failed)?;
    model.take(poll(root, model));
    draw(&mut terminal, model, style)?;
    let mut next = Instant::now() + POLL;
    while !is_over() {
        let left = next.saturating_duration_since(Instant::now());
        let mut changed = false;
        if event::poll(left)
            .or_else(not_interrupted)
            .map_err(terminal_failed)?
        {
            match event::read().map_err(terminal_failed)? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    let action = model.key(key.code, control);
                    changed = true;
                    if action != Action::Nothing {
                        if !act(root, model, action) {
                            return Ok(());
                        }
                        // What came of it is shown at once.
                        next = Instant::now();
                    }
                }
                Event::Resize(..) => changed = true,
                _ => (),
            }
        }
        if Instant::now() >= next {
            changed |= model.take(poll(root, model));
            next = Instant::now() + POLL;
        }
        if changed {
            draw(&mut terminal, model, style)?;
        }
    }
    Ok(())
}

/// A signal that ends the waiting is looked at by who waits.
fn not_interrupted(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::Interrupted {
        Ok(false)
    } else {
        Err(error)
    }
}

fn draw(terminal: &mut Terminal<impl Backend>, model: &Model, style: Style) -> Result {
    let size = size();
    if terminal.get_frame().area() != size {
        terminal.resize(size).map_err(terminal_failed)?;
    }
    let drawn = terminal.draw(|frame| screen::draw(frame, model, style));
    drawn.map(|_| ()).map_err(terminal_failed)
}

/// Without a terminal: a line for each press that was seen, and for what else has changed.
fn line_by_line(
    root: &Root,
    model: &mut Model,
    out: &mut dyn Write,
    is_over: &dyn Fn() -> bool,
) -> Result {
    let mut last = String::new();
    while !is_over() {
        model.take(poll(root, model));
        let line = line(model);
        if line != last {
            writeln!(out, "{line}")?;
            out.flush()?;
            last = line;
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn line(model: &Model) -> String {
    let name = &model.name;
    if let Some(why) = &model.away {
        return format!("{name}: away: {why}");
    }
    let held = model
        .held
        .live
        .as_ref()
        .map_or("nothing".to_owned(), status::held);
    let skipped = model.skipped;
    let counters = status::counters(&model.stats);
    format!(
        "{name}: {counters}, skipped {skipped}; {}; held: {held}",
        model.settings
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        lab::fake::Fake,
        text::{parse_live, parse_settings, parse_stats, samples},
    };

    fn found(presses: u64, live: &str) -> Poll {
        let stats = samples::STATS.replace("presses: 5", &format!("presses: {presses}"));
        Poll::Found {
            settings: parse_settings(samples::SETTINGS).unwrap(),
            stats: parse_stats(&stats).unwrap(),
            held: Some(Held {
                live: parse_live(live).unwrap(),
                runs: vec![],
            }),
        }
    }

    fn model() -> Model {
        Model::new("button", ["kmalloc", "vmalloc"].map(str::to_owned).to_vec())
    }

    #[test]
    fn presses_between_two_polls_are_skipped() {
        let mut model = model();
        assert!(model.take(found(5, samples::LIVE)));
        assert_eq!(model.skipped, 0);
        model.take(found(6, "none\n"));
        assert_eq!(model.skipped, 0);
        model.take(found(10, "none\n"));
        assert_eq!(model.skipped, 3);
        // Bound anew.
        model.take(found(1, "none\n"));
        assert_eq!(model.skipped, 0);
    }

    #[test]
    fn an_allocation_is_counted_once() {
        let mut model = model();
        for presses in [5, 5, 6] {
            model.take(found(presses, samples::LIVE));
        }
        assert_eq!(model.histogram.0.iter().sum::<u64>(), 1);
        assert_eq!(model.histogram.0[18], 1);
    }

    #[test]
    fn pages_are_read_after_a_new_press_alone() {
        let fake = Fake::new(&["button"]);
        let mut model = model();
        model.take(poll(&fake.root, &model));
        assert_eq!(model.held.runs.len(), 2);
        // Were it read, this would be an error.
        fake.write("button", "pages", "nonsense");
        assert!(!model.take(poll(&fake.root, &model)));
        assert_eq!(model.away, None);
        fake.write("button", "stats", "presses: 6\n");
        model.take(poll(&fake.root, &model));
        assert!(model.away.is_some_and(|why| why.contains("nonsense")));
    }

    #[test]
    fn a_button_that_goes_away_and_comes_back() {
        let fake = Fake::new(&["button"]);
        let mut model = model();
        model.take(poll(&fake.root, &model));
        fake.remove("/sys/kernel/debug/alloclab");
        fake.remove("/sys/module/alloclab");
        assert!(model.take(poll(&fake.root, &model)));
        assert!(
            line(&model).contains("away: the module is not loaded"),
            "{}",
            line(&model)
        );
        assert!(!model.take(poll(&fake.root, &model)));
        let again = Fake::new(&["button"]);
        assert!(model.take(poll(&again.root, &model)));
        assert_eq!(model.away, None);
    }

    #[test]
    fn keys() {
        let mut model = model();
        model.take(found(5, samples::LIVE));
        let mut key = |char| model.key(KeyCode::Char(char), false);
        let set = |text: &str| Action::Set(text.to_owned());
        assert_eq!(key('q'), Action::Quit);
        assert_eq!(key('p'), Action::Press(1));
        assert_eq!(key('P'), Action::Press(100));
        assert_eq!(key('m'), set("method=kmalloc"));
        assert_eq!(key('M'), set("method=vmalloc"));
        assert_eq!(key('+'), set("size=24576"));
        assert_eq!(key('-'), set("size=6144"));
        assert_eq!(key('c'), set("context=hard"));
        assert_eq!(key('x'), Action::Nothing);
        assert_eq!(model.key(KeyCode::Char('c'), true), Action::Quit);
    }

    #[test]
    fn what_is_typed_is_set() {
        let mut model = model();
        for char in "egpf".chars() {
            model.key(KeyCode::Char(char), false);
        }
        model.key(KeyCode::Backspace, false);
        for char in "f=q".chars() {
            model.key(KeyCode::Char(char), false);
        }
        assert_eq!(
            model.key(KeyCode::Enter, false),
            Action::Set("gpf=q".to_owned())
        );
        assert_eq!(model.input, None);
        model.key(KeyCode::Char('e'), false);
        assert_eq!(model.key(KeyCode::Enter, false), Action::Nothing);
        model.key(KeyCode::Char('e'), false);
        model.key(KeyCode::Char('q'), false);
        assert_eq!(model.key(KeyCode::Esc, false), Action::Nothing);
        assert_eq!(model.input, None);
    }

    #[test]
    fn what_came_of_a_key_is_said() {
        let fake = Fake::new(&["button"]);
        let mut model = model();
        assert!(act(&fake.root, &mut model, Action::Press(1)));
        assert_eq!(model.message, "pressed");
        assert!(!act(&fake.root, &mut model, Action::Quit));
        fake.remove("/sys/kernel/debug/alloclab/button");
        assert!(act(&fake.root, &mut model, Action::Press(1)));
        assert!(
            model.message.contains("no button is bound"),
            "{}",
            model.message
        );
    }

    proptest! {
        #[test]
        fn no_keys_panic(keys in prop::collection::vec(prop_oneof![
            any::<char>().prop_map(KeyCode::Char),
            Just(KeyCode::Enter), Just(KeyCode::Esc), Just(KeyCode::Backspace), Just(KeyCode::Up),
        ], 0..200)) {
            let mut model = model();
            for code in keys {
                let _ = model.key(code, false);
            }
        }

        #[test]
        fn no_counts_panic(presses: Vec<u64>, ns: u64) {
            let mut model = model();
            for presses in presses {
                model.take(found(presses, &format!("alloc_ns: {ns}\n")));
            }
        }
    }
}
