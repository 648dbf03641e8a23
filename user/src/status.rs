// SPDX-License-Identifier: GPL-2.0

//! `alloclab status`: every button.

use std::{fmt::Write as _, io::Write};

use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    lab::{self, Button, Root},
    text::{Fields, MethodStats, Settings, Stats},
};

/// What `--json` shows of a button.
#[derive(Debug, Serialize)]
struct State {
    name: String,
    settings: Settings,
    held: Option<Fields>,
    stats: Stats,
}

#[derive(Debug, Serialize)]
struct Buttons {
    buttons: Vec<State>,
}

impl State {
    fn of(button: &Button) -> Result<Self> {
        Ok(Self {
            name: button.name.clone(),
            settings: button.settings()?,
            held: button.live()?,
            stats: button.stats()?,
        })
    }
}

/// So many nanoseconds, as a person says it.
pub fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{}.{} us", ns / 1_000, ns / 100 % 10),
        1_000_000..1_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10),
        _ => format!("{}.{} s", ns / 1_000_000_000, ns / 100_000_000 % 10),
    }
}

/// What is held, in one line.
pub fn held(live: &Fields) -> String {
    let get = |key| live.get(key).unwrap_or("?");
    let mut text = format!(
        "{}, {} bytes at {}",
        get("method"),
        get("size"),
        get("address")
    );
    if live.number("slack").is_some_and(|slack| slack > 0) {
        let _ = write!(text, " ({} usable)", get("usable"));
    }
    if let Some(dma) = live.get("dma") {
        let _ = write!(text, ", dma {dma}");
    }
    if live.get("pages").is_some() {
        let _ = write!(text, ", {} pages in {} runs", get("pages"), get("runs"));
    }
    let _ = write!(text, ", zeroed: {}", get("zeroed"));
    if live.number("mapped").is_some_and(|mapped| mapped > 0) {
        let _ = write!(text, ", mapped {} times", get("mapped"));
    }
    if let Some(ns) = live.number("age_ns") {
        let _ = write!(text, ", for {}", duration(ns));
    }
    text
}

/// The counters of a button, in one line.
pub fn counters(stats: &Stats) -> String {
    [
        "presses", "edges", "bounces", "deferred", "allocs", "frees", "failures",
    ]
    .map(|name| format!("{name} {}", stats.counter(name)))
    .join(", ")
}

const HEADER: [&str; 10] = [
    "method", "allocs", "frees", "failures", "alloc", "p99", "max", "free", "p99", "max",
];

fn row(method: &MethodStats) -> [String; 10] {
    let (alloc, free) = (method.alloc_ns, method.free_ns);
    [
        method.name.clone(),
        method.allocs.to_string(),
        method.frees.to_string(),
        method.failures.to_string(),
        alloc.median.to_string(),
        alloc.p99.to_string(),
        alloc.max.to_string(),
        free.median.to_string(),
        free.p99.to_string(),
        free.max.to_string(),
    ]
}

/// Rows below a header, each column as wide as it must be; the first flush left.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(header.get(column).map_or(0, |cell| cell.chars().count()))
        })
        .collect();
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let mut text = String::new();
    for row in [&header].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn show(state: &State) -> String {
    let State {
        name,
        settings,
        held: live,
        stats,
    } = state;
    let label = stats.counters.get("label").unwrap_or(name);
    let mut text = name.clone();
    if label != name {
        let _ = write!(text, " ({label})");
    }
    let next = stats.counters.get("next").unwrap_or("?");
    let held = live.as_ref().map_or("nothing".to_owned(), held);
    let _ = write!(
        text,
        "\nsettings: {settings}\nheld: {held}\nnext: {next}\ncounts: {}\n",
        counters(stats)
    );
    let rows: Vec<_> = stats
        .methods
        .iter()
        .filter(|method| (method.allocs, method.frees, method.failures) != (0, 0, 0))
        .map(|method| row(method).to_vec())
        .collect();
    if !rows.is_empty() {
        text.push_str("latencies in nanoseconds: median, 99th percentile, maximum\n");
        text.push_str(&table(&HEADER, &rows));
    }
    text
}

/// Carries out the command.
pub fn run(root: &Root, json: bool, out: &mut dyn Write) -> Result {
    let buttons = lab::some_buttons(root)?;
    let buttons = buttons.iter().map(State::of).collect::<Result<Vec<_>>>()?;
    let text = if json {
        let text = serde_json::to_string_pretty(&Buttons { buttons });
        text.map_err(|error| Failure::failed(error.to_string()))? + "\n"
    } else {
        buttons.iter().map(show).collect::<Vec<_>>().join("\n")
    };
    out.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fake::Fake;

    fn status(fake: &Fake, json: bool) -> String {
        let mut out = Vec::new();
        run(&fake.root, json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_button() {
        let text = status(&Fake::new(&["button"]), false);
        let expected = "\
button (front door)
settings: method=cycle size=default gfp=kernel context=thread
held: vmalloc, 12288 bytes at 0000000045096487, 3 pages in 2 runs, zeroed: kernel, for 5.1 s
next: coherent
counts: presses 5, edges 3, bounces 1, deferred 0, allocs 3, frees 2, failures 0
latencies in nanoseconds: median, 99th percentile, maximum
method   allocs  frees  failures   alloc     p99     max  free  p99  max
kmalloc       1      1         0      97      98      99    12   13   14
kzalloc       1      1         0     110     110     110    20   20   20
vmalloc       1      0         0  297488  297488  297488     0    0    0
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_is_held_and_nothing_was() {
        let fake = Fake::new(&["b"]);
        fake.write("b", "live", "none\n");
        fake.write(
            "b",
            "stats",
            "label: b\npresses: 0\nkmalloc: allocs=0 frees=0 failures=0\n",
        );
        let text = status(&fake, false);
        assert!(text.starts_with("b\nsettings: "), "{text}");
        assert!(text.contains("held: nothing\n"), "{text}");
        assert!(!text.contains("kmalloc"), "{text}");
    }

    #[test]
    fn json() {
        let fake = Fake::new(&["a", "b"]);
        fake.write("a", "live", "none\n");
        let json: serde_json::Value = serde_json::from_str(&status(&fake, true)).unwrap();
        assert_eq!(json["buttons"][0]["held"], serde_json::Value::Null);
        let button = &json["buttons"][1];
        assert_eq!(button["name"], "b");
        assert_eq!(button["settings"]["method"], "cycle");
        assert_eq!(button["held"]["size"], 12288);
        assert_eq!(button["stats"]["presses"], 5);
        assert_eq!(button["stats"]["methods"][0]["alloc_ns"]["p99"], 98);
    }

    #[test]
    fn durations() {
        for (ns, text) in [
            (999, "999 ns"),
            (1_000, "1.0 us"),
            (1_250_000, "1.2 ms"),
            (61_900_000_000, "61.9 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }
}
