// SPDX-License-Identifier: GPL-2.0

//! What `alloclab watch` draws. It shows the same without colours, and without more than ASCII.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style as Look},
    symbols::border,
    text::{Line, Span, Text},
    widgets::{Block, Paragraph, Row, Table, Wrap},
};

use crate::{
    status::duration,
    text::{Fields, Run},
    watch::{Histogram, Model},
};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub colours: bool,
    pub unicode: bool,
}

impl Style {
    /// As NO_COLOR, TERM and the locale say.
    pub fn of_environment() -> Self {
        Self::from(|name| std::env::var(name).unwrap_or_default())
    }

    fn from(variable: impl Fn(&str) -> String) -> Self {
        let term = variable("TERM");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .map(&variable)
            .find(|locale| !locale.is_empty())
            .unwrap_or_default()
            .to_lowercase();
        Self {
            colours: variable("NO_COLOR").is_empty() && term != "dumb" && term != "vt100",
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    fn coloured(self, colour: Color) -> Look {
        if self.colours {
            Look::new().fg(colour)
        } else {
            Look::new()
        }
    }

    fn block(self, title: &str) -> Block<'static> {
        let set = if self.unicode { border::PLAIN } else { ASCII };
        Block::bordered()
            .border_set(set)
            .title(format!(" {title} "))
    }
}

const ASCII: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

const COLOURS: [Color; 6] = [
    Color::Green,
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::Blue,
    Color::Red,
];
/// A letter a run of pages, again and again.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

const KEYS: &str = "p press  P 100 presses  m M method  + - d size  c context  e other  q quit";
/// A long message has so many lines at most.
const LAST_LINES: usize = 3;
const METHODS_WIDTH: u16 = 47;

/// Draws the screen.
pub fn draw(frame: &mut Frame, model: &Model, style: Style) {
    let last = last_line(model, style);
    let width = usize::from(frame.area().width).max(1);
    // It is cut between words, which may take a line more.
    let lines = if last.width() > width {
        last.width() / width + 2
    } else {
        1
    };
    let height = lines.min(LAST_LINES) as u16;
    let [top, counts, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(height),
    ])
    .areas(frame.area());
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(METHODS_WIDTH)]).areas(middle);
    let [held, latencies] =
        Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(left);

    let name = Span::styled(&model.name, Look::new().add_modifier(Modifier::BOLD));
    let settings = Span::raw(format!(": {}", model.settings));
    frame.render_widget(Line::from(vec![name, settings]), top);
    frame.render_widget(Line::raw(counters(model)), counts);
    draw_held(frame, held, model, style);
    draw_latencies(frame, latencies, &model.histogram, style);
    draw_methods(frame, right, model, style);
    let last = Paragraph::new(last).wrap(Wrap { trim: false });
    frame.render_widget(last, bottom);
}

fn counters(model: &Model) -> String {
    let stats = &model.stats;
    let counter = |name| stats.counter(name);
    format!(
        "presses {} ({} not seen)  edges {}  bounces {}  deferred {}  failures {}",
        counter("presses"),
        model.skipped,
        counter("edges"),
        counter("bounces"),
        counter("deferred"),
        counter("failures")
    )
}

/// What is being typed, why there is no button, what came of the last key, or the keys.
fn last_line(model: &Model, style: Style) -> Line<'_> {
    if let Some(input) = &model.input {
        Line::raw(format!("method= size= gfp= context=: {input}_"))
    } else if let Some(why) = &model.away {
        Line::styled(format!("away: {why}"), style.coloured(Color::Red))
    } else if model.message.is_empty() {
        Line::raw(KEYS)
    } else {
        Line::styled(
            format!("{}  (q quit)", model.message),
            style.coloured(Color::Yellow),
        )
    }
}

fn facts(live: &Fields) -> Vec<Line<'static>> {
    let get = |key| live.get(key).unwrap_or("?");
    let mut lines = vec![format!("{} {} bytes", get("method"), get("size"))];
    if live.number("slack").is_some_and(|slack| slack > 0) {
        lines = vec![format!("{}, {} usable", lines.concat(), get("usable"))];
    }
    lines.push(format!("at {}", get("address")));
    if let Some(dma) = live.get("dma") {
        lines.push(format!("dma {dma}"));
    }
    if live.get("pages").is_some() {
        let [pages, runs, longest] = ["pages", "runs", "longest_run"].map(get);
        lines.push(format!("{pages} pages in {runs} runs, longest {longest}"));
    }
    let ns = live.number("alloc_ns").unwrap_or(0);
    lines.push(format!("in {}, zeroed: {}", duration(ns), get("zeroed")));
    lines.into_iter().map(Line::raw).collect()
}

fn draw_held(frame: &mut Frame, area: Rect, model: &Model, style: Style) {
    let block = style.block("held");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let Some(live) = &model.held.live else {
        frame.render_widget(Line::raw("nothing"), inside);
        return;
    };
    let facts = facts(live);
    let height = facts.len().try_into().unwrap_or(u16::MAX);
    let [above, below] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(inside);
    frame.render_widget(Paragraph::new(facts), above);
    frame.render_widget(Paragraph::new(pages(&model.held.runs, below, style)), below);
}

/// The pages, a letter each, as many lines as there is room; where there are more pages than room,
/// each letter stands for as many.
fn pages(runs: &[Run], area: Rect, style: Style) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let height = usize::from(area.height);
    let total = runs
        .iter()
        .fold(0_u64, |sum, run| sum.saturating_add(run.pages));
    // The last line says what a letter stands for.
    let places = width * height.saturating_sub(1);
    if total == 0 || places == 0 {
        return Vec::new();
    }
    let each = total.div_ceil(places as u64);
    let mut lines = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    let (mut run, mut end) = (0, runs.first().map_or(0, |run| run.pages));
    let mut page = 0_u64;
    while page < total {
        // The run that this page is of.
        while page >= end {
            run += 1;
            let pages = runs.get(run).map_or(u64::MAX, |run| run.pages);
            end = end.saturating_add(pages);
        }
        let letter = LETTERS
            .chars()
            .cycle()
            .nth(run % LETTERS.len())
            .unwrap_or('a');
        let colour = COLOURS
            .get(run % COLOURS.len())
            .copied()
            .unwrap_or(Color::Reset);
        spans.push(Span::styled(letter.to_string(), style.coloured(colour)));
        if spans.len() == width {
            lines.push(Line::from(std::mem::take(&mut spans)));
        }
        page = page.saturating_add(each);
    }
    if !spans.is_empty() {
        lines.push(Line::from(spans));
    }
    lines.truncate(height.saturating_sub(1));
    lines.push(Line::raw(match each {
        1 => "a letter a page, another a run".to_owned(),
        _ => format!("a letter {each} pages, another a run"),
    }));
    lines
}

fn draw_latencies(frame: &mut Frame, area: Rect, histogram: &Histogram, style: Style) {
    let block = style.block("allocations seen");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let lines = bars(histogram, inside.width.into(), inside.height.into(), style);
    frame.render_widget(Paragraph::new(lines), inside);
}

/// A line for each power of two from the fastest to the slowest, with a bar; if there is no room
/// for all, those where most are.
fn bars(histogram: &Histogram, width: usize, height: usize, style: Style) -> Vec<Line<'static>> {
    let counts = &histogram.0;
    let first = counts.iter().position(|&count| count > 0);
    let last = counts.iter().rposition(|&count| count > 0);
    let (Some(first), Some(last)) = (first, last) else {
        return vec![Line::raw("none yet")];
    };
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let fullest = counts
        .iter()
        .position(|&count| count == most)
        .unwrap_or(first);
    let above = fullest.saturating_sub(height / 2);
    let start = if last - first < height {
        first
    } else {
        above.max(first)
    };
    counts
        .iter()
        .enumerate()
        .take(last + 1)
        .skip(start)
        .take(height)
        .map(|(place, &count)| {
            let label = format!("{:>8} {count:>5} ", duration(1 << place));
            let room = width.saturating_sub(label.len()) as u128;
            let length = (u128::from(count) * room).div_ceil(u128::from(most)) as usize;
            let bar = "#".repeat(length);
            Line::from(vec![
                Span::raw(label),
                Span::styled(bar, style.coloured(Color::Green)),
            ])
        })
        .collect()
}

fn draw_methods(frame: &mut Frame, area: Rect, model: &Model, style: Style) {
    let next = model.stats.counters.get("next").unwrap_or("?").to_owned();
    let title = format!("latencies; next: {next}");
    let block = style.block(&title);
    let inside = block.inner(area);
    let used: Vec<_> = model
        .stats
        .methods
        .iter()
        .filter(|method| (method.allocs, method.failures) != (0, 0))
        .collect();
    if used.is_empty() {
        frame.render_widget(block, area);
        let text = Paragraph::new("no method has allocated yet").wrap(Wrap::default());
        frame.render_widget(text, inside);
        return;
    }
    let room = usize::from(inside.height).saturating_sub(1);
    let shown = if used.len() > room {
        room.saturating_sub(1)
    } else {
        used.len()
    };
    let held = model.held.live.as_ref().and_then(|live| live.get("method"));
    let mut rows: Vec<_> = used
        .iter()
        .take(shown)
        .map(|method| {
            let (alloc, free) = (method.alloc_ns, method.free_ns);
            let ns = [alloc.median, alloc.max, free.median].map(duration);
            let cells = std::iter::once(method.allocs.to_string()).chain(ns);
            let cells = cells.map(|cell| Text::from(cell).right_aligned());
            let row = Row::new([Text::from(method.name.clone())].into_iter().chain(cells));
            if held == Some(method.name.as_str()) {
                row.style(Look::new().add_modifier(Modifier::BOLD))
            } else {
                row
            }
        })
        .collect();
    if shown < used.len() {
        rows.push(Row::new([format!("{} more", used.len() - shown)]));
    }
    let widths = [11, 7, 9, 9, 9].map(Constraint::Length);
    let names = ["allocs", "median", "max", "free"];
    let cells = names.map(|name| Text::from(name).right_aligned());
    let header = Row::new([Text::from("method")].into_iter().chain(cells))
        .style(style.coloured(Color::Cyan));
    let table = Table::new(rows, widths)
        .header(header)
        .column_spacing(0)
        .block(block);
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

    use super::*;
    use crate::{
        text::{parse_live, parse_pages, parse_settings, parse_stats, samples},
        watch::{Held, Poll},
    };

    const PLAIN: Style = Style {
        colours: false,
        unicode: false,
    };
    const ALL: Style = Style {
        colours: true,
        unicode: true,
    };

    fn model() -> Model {
        let mut model = Model::new("button", vec!["kmalloc".to_owned()]);
        model.take(Poll::Found {
            settings: parse_settings(samples::SETTINGS).unwrap(),
            stats: parse_stats(samples::STATS).unwrap(),
            held: Some(Held {
                live: parse_live(samples::LIVE).unwrap(),
                runs: parse_pages(samples::PAGES).unwrap(),
            }),
        });
        model
    }

    fn buffer(model: &Model, style: Style, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, style)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let symbols: Vec<_> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        symbols
            .chunks(width)
            .map(|line| line.concat().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn the_usual_terminal() {
        let lines = lines(&buffer(&model(), PLAIN, 80, 24));
        let expected = "\
button: method=cycle size=default gfp=kernel context=thread
presses 5 (0 not seen)  edges 3  bounces 1  deferred 0  failures 0
+ held -------------------------++ latencies; next: coherent ------------------+
|vmalloc 12288 bytes            ||method      allocs   median      max     free|
|at 0000000045096487            ||kmalloc          1    97 ns    99 ns    12 ns|
|3 pages in 2 runs, longest 2   ||kzalloc          1   110 ns   110 ns    20 ns|
|in 297.4 us, zeroed: kernel    ||vmalloc          1 297.4 us 297.4 us     0 ns|
|abb                            ||                                             |
|a letter a page, another a run ||                                             |";
        for (line, expected) in lines.iter().zip(expected.lines()) {
            assert_eq!(line, expected);
        }
        let text = lines.join("\n");
        assert!(text.contains("|262.1 us     1 ################|"), "{text}");
        assert_eq!(lines[23], KEYS);
        assert_eq!(lines.len(), 24);
    }

    #[test]
    fn without_colours_there_are_none() {
        let plain = buffer(&model(), PLAIN, 80, 24);
        assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset));
        assert!(plain.content.iter().all(|cell| cell.symbol().is_ascii()));
        let all = buffer(&model(), ALL, 80, 24);
        assert!(all.content.iter().any(|cell| cell.fg != Color::Reset));
        // The text says the same.
        let words = |buffer: &Buffer| {
            let text = lines(buffer)
                .join("\n")
                .replace(|c: char| !c.is_alphanumeric(), " ");
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&plain), words(&all));
    }

    #[test]
    fn the_environment() {
        let style = |variables: &[(&str, &str)]| {
            Style::from(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map_or(String::new(), |(_, value)| (*value).to_owned())
            })
        };
        assert!(style(&[("TERM", "xterm")]).colours);
        assert!(!style(&[("TERM", "xterm"), ("NO_COLOR", "1")]).colours);
        assert!(style(&[("TERM", "xterm"), ("NO_COLOR", "")]).colours);
        assert!(!style(&[("TERM", "dumb")]).colours);
        assert!(style(&[("LANG", "C.UTF-8")]).unicode);
        assert!(!style(&[("LANG", "C.UTF-8"), ("LC_ALL", "C")]).unicode);
        assert!(!style(&[]).unicode);
    }

    #[test]
    fn the_last_line() {
        let last = |model: &Model| lines(&buffer(model, PLAIN, 80, 24))[23].clone();
        let mut model = model();
        model.message = "pressed".to_owned();
        assert_eq!(last(&model), "pressed  (q quit)");
        model.take(Poll::Away("the module is not loaded".to_owned()));
        assert_eq!(last(&model), "away: the module is not loaded");
        model.away = None;
        model.message = format!("no{}", ", and no".repeat(20));
        let lines = lines(&buffer(&model, PLAIN, 80, 24));
        assert!(
            lines[21].starts_with("no, and") && lines[22].contains("no,"),
            "{lines:?}"
        );
        model.input = Some("size=4K".to_owned());
        assert_eq!(last(&model), "method= size= gfp= context=: size=4K_");
    }

    #[test]
    fn many_pages_share_letters() {
        let run = |first, pfn, pages| Run { first, pfn, pages };
        let runs = [run(0, 5, 1000), run(1000, 9000, 1000)];
        let area = Rect::new(0, 0, 10, 3);
        let text: Vec<_> = pages(&runs, area, PLAIN)
            .iter()
            .map(Line::to_string)
            .collect();
        assert_eq!(
            text,
            [
                "aaaaaaaaaa",
                "bbbbbbbbbb",
                "a letter 100 pages, another a run"
            ]
        );
    }

    #[test]
    fn more_methods_than_room() {
        let mut model = model();
        let method = model.stats.methods[0].clone();
        model.stats.methods = vec![method; 30];
        let text = lines(&buffer(&model, PLAIN, 80, 24)).join("\n");
        assert!(text.contains("13 more"), "{text}");
        model.stats.methods.truncate(17);
        let text = lines(&buffer(&model, PLAIN, 80, 24)).join("\n");
        assert!(!text.contains("more"), "{text}");
    }

    #[test]
    fn a_button_that_has_done_nothing() {
        let text = lines(&buffer(&Model::new("button", vec![]), PLAIN, 80, 24)).join("\n");
        assert!(text.contains("|nothing"), "{text}");
        assert!(text.contains("no method has allocated yet"), "{text}");
        assert!(text.contains("none yet"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_size_panics(width in 1_u16..200, height in 1_u16..80) {
            let _ = buffer(&model(), ALL, width, height);
        }

        #[test]
        fn no_runs_panic(
            runs in prop::collection::vec((any::<u64>(), any::<u64>()), 0..50),
            width in 0_u16..60, height in 0_u16..20,
        ) {
            let runs: Vec<_> = runs.into_iter()
                .map(|(pfn, pages)| Run { first: 0, pfn, pages }).collect();
            let _ = pages(&runs, Rect::new(0, 0, width, height), ALL);
        }

        #[test]
        fn no_histogram_panics(
            ns: Vec<u64>, width in 0_usize..60, height in 0_usize..20,
        ) {
            let mut histogram = Histogram::default();
            ns.into_iter().for_each(|ns| histogram.add(ns));
            let _ = bars(&histogram, width, height, ALL);
        }

        #[test]
        fn no_live_panics(text in "([a-z_]{1,8}: \\PC{0,20}\n){0,12}") {
            let mut model = model();
            model.held.live = parse_live(&text).unwrap();
            let _ = buffer(&model, ALL, 80, 24);
        }
    }
}
