// SPDX-License-Identifier: GPL-2.0

//! The text of the debugfs files, which doc/debugfs.md describes. Pure.

use std::fmt;

use serde::{
    Serialize,
    ser::{SerializeMap, Serializer},
};

/// A line that is not as doc/debugfs.md says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    file: &'static str,
    line: String,
}

impl Malformed {
    fn new(file: &'static str, line: &str) -> Self {
        let line = line.chars().take(80).collect();
        Self { file, line }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line } = self;
        write!(
            f,
            "{file}: {line:?} is no line that this program knows: is it of another version than \
             the module?"
        )
    }
}

/// `key: value` lines, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// The values that are no numbers, whatever they look like.
const WORDS: [&str; 5] = ["label", "controller", "address", "dma", "dma_mask"];

impl Fields {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|(name, value)| (name == key).then_some(value.as_str()))
    }

    /// The value of a key as a number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    fn add(&mut self, file: &'static str, line: &str) -> Result<(), Malformed> {
        let (key, value) = line
            .split_once(": ")
            .ok_or_else(|| Malformed::new(file, line))?;
        self.0.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match value.parse::<u64>() {
                Ok(number) if !WORDS.contains(&key.as_str()) => {
                    map.serialize_entry(key, &number)?
                }
                _ => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// Parses `live`; nothing if nothing is held.
pub fn parse_live(text: &str) -> Result<Option<Fields>, Malformed> {
    if text.trim_end() == "none" {
        return Ok(None);
    }
    let mut fields = Fields::default();
    for line in text.lines() {
        fields.add("live", line)?;
    }
    Ok(Some(fields))
}

/// What is asked for, as the file `settings` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    pub method: String,
    pub size: String,
    pub gfp: String,
    pub context: String,
}

impl fmt::Display for Settings {
    /// As the file `settings` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            size,
            gfp,
            context,
        } = self;
        write!(f, "method={method} size={size} gfp={gfp} context={context}")
    }
}

/// Parses `settings`.
pub fn parse_settings(text: &str) -> Result<Settings, Malformed> {
    let line = text.trim_end();
    let mut settings = Settings::default();
    for word in line.split_whitespace() {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| Malformed::new("settings", line))?;
        match key {
            "method" => settings.method = value.to_owned(),
            "size" => settings.size = value.to_owned(),
            "gfp" => settings.gfp = value.to_owned(),
            "context" => settings.context = value.to_owned(),
            // A newer module may have more.
            _ => (),
        }
    }
    if settings.method.is_empty() {
        return Err(Malformed::new("settings", line));
    }
    Ok(settings)
}

/// Parses `method`: every method of the module, without `cycle`, in the order of the cycle.
pub fn parse_methods(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| word.trim_matches(['[', ']']))
        .filter(|word| !word.is_empty() && *word != "cycle")
        .map(str::to_owned)
        .collect()
}

/// Latencies in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub median: u64,
    pub p99: u64,
    pub max: u64,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p99, max } = self;
        write!(f, "{median} {p99} {max}")
    }
}

/// A method's line in `stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MethodStats {
    pub name: String,
    pub allocs: u64,
    pub frees: u64,
    pub failures: u64,
    pub alloc_ns: Latency,
    pub free_ns: Latency,
}

/// The file `stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    #[serde(flatten)]
    pub counters: Fields,
    pub methods: Vec<MethodStats>,
}

impl Stats {
    /// A counter of the button.
    pub fn counter(&self, key: &str) -> u64 {
        self.counters.number(key).unwrap_or(0)
    }
}

fn parse_latency(text: &str) -> Option<Latency> {
    let mut numbers = text.split(',').map(|number| number.parse().ok());
    let latency = Latency {
        median: numbers.next()??,
        p99: numbers.next()??,
        max: numbers.next()??,
    };
    numbers.next().is_none().then_some(latency)
}

fn parse_method(name: &str, text: &str) -> Option<MethodStats> {
    let mut stats = MethodStats {
        name: name.to_owned(),
        ..MethodStats::default()
    };
    for field in text.split(' ') {
        let (key, value) = field.split_once('=')?;
        match key {
            "allocs" => stats.allocs = value.parse().ok()?,
            "frees" => stats.frees = value.parse().ok()?,
            "failures" => stats.failures = value.parse().ok()?,
            "alloc_ns" => stats.alloc_ns = parse_latency(value)?,
            "free_ns" => stats.free_ns = parse_latency(value)?,
            _ => (),
        }
    }
    Some(stats)
}

/// Parses `stats`.
pub fn parse_stats(text: &str) -> Result<Stats, Malformed> {
    let mut stats = Stats::default();
    for line in text.lines() {
        match line.split_once(": ") {
            // A label may look like anything.
            Some((name, value)) if name != "label" && value.starts_with("allocs=") => {
                let method =
                    parse_method(name, value).ok_or_else(|| Malformed::new("stats", line))?;
                stats.methods.push(method);
            }
            _ => stats.counters.add("stats", line)?,
        }
    }
    Ok(stats)
}

/// Pages that follow each other in physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The place of the first in the allocation.
    pub first: u64,
    /// Its page frame number.
    pub pfn: u64,
    pub pages: u64,
}

/// Parses `pages`; no runs if nothing is held.
pub fn parse_pages(text: &str) -> Result<Vec<Run>, Malformed> {
    if text.trim_end() == "none" {
        return Ok(Vec::new());
    }
    text.lines()
        .map(|line| parse_run(line).ok_or_else(|| Malformed::new("pages", line)))
        .collect()
}

fn parse_run(line: &str) -> Option<Run> {
    let mut numbers = line.split(' ').map(|number| number.parse().ok());
    let run = Run {
        first: numbers.next()??,
        pfn: numbers.next()??,
        pages: numbers.next()??,
    };
    numbers.next().is_none().then_some(run)
}

/// Texts as the module writes them, for tests.
#[cfg(test)]
pub mod samples {
    pub const SETTINGS: &str = "method=cycle size=default gfp=kernel context=thread\n";
    pub const METHOD: &str = "[cycle] kmalloc kzalloc vmalloc coherent\n";
    pub const LIVE: &str = "\
label: front door
method: vmalloc
size: 12288
usable: 12288
slack: 0
address: 0000000045096487
alignment: 4096
pages: 3
runs: 2
longest_run: 2
contiguous: no
node: 0
zeroed: kernel
gfp: kernel
context: thread
alloc_ns: 297488
age_ns: 5123456789
press: 5
";
    pub const PAGES: &str = "0 269000 1\n1 280100 2\n";
    pub const STATS: &str = "\
label: front door
edges: 3
edges_in: hardirq=3 softirq=0 thread=0
presses: 5
bounces: 1
deferred: 0
allocs: 3
frees: 2
failures: 0
bytes_held: 12288
next: coherent
kmalloc: allocs=1 frees=1 failures=0 alloc_ns=97,98,99 free_ns=12,13,14
kzalloc: allocs=1 frees=1 failures=0 alloc_ns=110,110,110 free_ns=20,20,20
vmalloc: allocs=1 frees=0 failures=0 alloc_ns=297488,297488,297488 free_ns=0,0,0
coherent: allocs=0 frees=0 failures=0 alloc_ns=0,0,0 free_ns=0,0,0
";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn live() {
        let live = parse_live(samples::LIVE).unwrap().unwrap();
        assert_eq!(live.get("label"), Some("front door"));
        assert_eq!(live.number("size"), Some(12288));
        assert_eq!(live.get("dma"), None);
        assert_eq!(parse_live("none\n"), Ok(None));
        assert!(parse_live("size 12\n").is_err());
    }

    #[test]
    fn what_looks_like_a_number_need_not_be_one() {
        let live = parse_live(samples::LIVE).unwrap().unwrap();
        let json = serde_json::to_value(&live).unwrap();
        assert_eq!(json["address"], "0000000045096487");
        assert_eq!(json["alloc_ns"], 297_488);
        assert_eq!(json["contiguous"], "no");
    }

    #[test]
    fn settings() {
        let settings = parse_settings(samples::SETTINGS).unwrap();
        assert_eq!(settings.method, "cycle");
        assert_eq!(format!("{settings}\n"), samples::SETTINGS);
        assert!(parse_settings("").is_err());
        assert!(parse_settings("cycle default").is_err());
    }

    #[test]
    fn methods() {
        let methods = ["kmalloc", "kzalloc", "vmalloc", "coherent"];
        assert_eq!(parse_methods(samples::METHOD), methods);
        assert_eq!(
            parse_methods("cycle kmalloc [kzalloc]\n"),
            ["kmalloc", "kzalloc"]
        );
    }

    #[test]
    fn stats() {
        let stats = parse_stats(samples::STATS).unwrap();
        assert_eq!(stats.counter("presses"), 5);
        assert_eq!(
            stats.counters.get("edges_in"),
            Some("hardirq=3 softirq=0 thread=0")
        );
        assert_eq!(stats.methods.len(), 4);
        let kmalloc = &stats.methods[0];
        assert_eq!(kmalloc.name, "kmalloc");
        assert_eq!((kmalloc.allocs, kmalloc.frees, kmalloc.failures), (1, 1, 0));
        let latency = |median, p99, max| Latency { median, p99, max };
        assert_eq!(kmalloc.alloc_ns, latency(97, 98, 99));
        assert_eq!(kmalloc.free_ns, latency(12, 13, 14));
    }

    #[test]
    fn a_label_is_no_method() {
        let stats = parse_stats("label: allocs=1\n").unwrap();
        assert_eq!(stats.counters.get("label"), Some("allocs=1"));
    }

    #[test]
    fn stats_that_are_not_as_they_should_be() {
        for bad in ["x", "kmalloc: allocs=x", "kmalloc: allocs=1 alloc_ns=1,2"] {
            assert!(parse_stats(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages() {
        let run = |first, pfn, pages| Run { first, pfn, pages };
        let runs = vec![run(0, 269_000, 1), run(1, 280_100, 2)];
        assert_eq!(parse_pages(samples::PAGES), Ok(runs));
        assert_eq!(parse_pages("none\n"), Ok(vec![]));
        for bad in ["0 1", "0 1 2 3", "a b c", "-1 0 0"] {
            assert!(parse_pages(bad).is_err(), "{bad}");
        }
    }

    fn parse_all(text: &str) {
        let _ = parse_live(text);
        let _ = parse_settings(text);
        let _ = parse_methods(text);
        let _ = parse_stats(text);
        let _ = parse_pages(text);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\n)*") {
            parse_all(&text);
        }

        #[test]
        fn no_damaged_text_panics(
            at in 0_usize..800, cut in 0_usize..40, with in "(\\PC|\n){0,8}",
        ) {
            for sample in [samples::STATS, samples::LIVE, samples::PAGES, samples::SETTINGS] {
                let mut text = sample.to_owned();
                let start = at.min(text.len());
                let end = (start + cut).min(text.len());
                text.replace_range(start..end, &with);
                parse_all(&text);
            }
        }

        #[test]
        fn what_is_shown_is_parsed_again(
            method in "[a-z_]{1,12}", size in "[0-9]{1,12}", gfp in "[a-z+]{1,20}",
        ) {
            let settings = Settings { method, size, gfp, context: "thread".to_owned() };
            prop_assert_eq!(parse_settings(&settings.to_string()), Ok(settings));
        }
    }
}
