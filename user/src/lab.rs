// SPDX-License-Identifier: GPL-2.0

//! The buttons of this machine: their files in debugfs, opened for one reading or one write.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{
    failure::{Exit, Failure, Result},
    kmsg::{self, Log},
    text::{self, Fields, Malformed, Run, Settings, Stats},
};

/// Where /sys, /proc and /dev are: below a directory, which is / but in tests.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// The place of a path that begins with a slash.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

/// The debugfs directory of the module.
const DIRECTORY: &str = "/sys/kernel/debug/alloclab";

/// One button.
#[derive(Clone, Debug)]
pub struct Button {
    root: Root,
    /// The name of its device.
    pub name: String,
}

/// Every button, by name.
pub fn buttons(root: &Root) -> Result<Vec<Button>> {
    let directory = root.path(DIRECTORY);
    let entries = fs::read_dir(&directory).map_err(|error| missing(root, &error))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            // The module's own directory may have files of another kind.
            let is_button = entry.path().join("stats").exists();
            is_button.then(|| entry.file_name().into_string().ok())?
        })
        .collect();
    names.sort();
    Ok(names.iter().map(|name| Button::named(root, name)).collect())
}

/// Every button, of which there must be one.
pub fn some_buttons(root: &Root) -> Result<Vec<Button>> {
    let buttons = buttons(root)?;
    if buttons.is_empty() {
        return Err(Failure::gone(
            "the module is loaded, and no button is bound: does the device tree have one? \
             Without one, load the module with button=1",
        ));
    }
    Ok(buttons)
}

/// The button with this name, or the only one.
pub fn button(root: &Root, name: Option<&str>) -> Result<Button> {
    let mut buttons = some_buttons(root)?;
    let names: Vec<_> = buttons.iter().map(|button| button.name.clone()).collect();
    let names = names.join(", ");
    match name {
        Some(name) => buttons
            .into_iter()
            .find(|button| button.name == name)
            .ok_or_else(|| {
                Failure::gone(format!("no button is called {name:?}: there are {names}"))
            }),
        None if buttons.len() == 1 => Ok(buttons.remove(0)),
        None => Err(Failure::usage(format!("name one of the buttons: {names}"))),
    }
}

/// Why there is no debugfs directory of the module.
fn missing(root: &Root, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        return Failure::new(
            Exit::Refused,
            format!("{DIRECTORY}: {error}: only root may read it"),
        );
    }
    if !root.path("/sys/module/alloclab").exists() {
        return Failure::gone("the module is not loaded: insmod alloclab.ko");
    }
    let debugfs = root.path("/sys/kernel/debug");
    let is_mounted = fs::read_dir(debugfs).is_ok_and(|mut entries| entries.next().is_some());
    if is_mounted {
        Failure::gone("the module is loaded, and has no directory in debugfs: see the kernel log")
    } else {
        Failure::gone("debugfs is not mounted: mount -t debugfs none /sys/kernel/debug")
    }
}

impl Button {
    /// The button with this name, if there is one.
    pub fn named(root: &Root, name: &str) -> Self {
        Self {
            root: root.clone(),
            name: name.to_owned(),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path(DIRECTORY).join(&self.name).join(file)
    }

    /// How messages name a file.
    fn say(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    fn read(&self, file: &str) -> Result<String> {
        let bytes =
            fs::read(self.path(file)).map_err(|error| Failure::of(self.say(file), &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn parsed<T>(&self, file: &str, parse: fn(&str) -> Result<T, Malformed>) -> Result<T> {
        parse(&self.read(file)?).map_err(|malformed| Failure::failed(malformed.to_string()))
    }

    pub fn settings(&self) -> Result<Settings> {
        self.parsed("settings", text::parse_settings)
    }

    pub fn stats(&self) -> Result<Stats> {
        self.parsed("stats", text::parse_stats)
    }

    pub fn live(&self) -> Result<Option<Fields>> {
        self.parsed("live", text::parse_live)
    }

    pub fn pages(&self) -> Result<Vec<Run>> {
        self.parsed("pages", text::parse_pages)
    }

    pub fn methods(&self) -> Result<Vec<String>> {
        self.parsed("method", |text| Ok(text::parse_methods(text)))
    }

    /// Presses so often, in one write. A signal ends it early, with `ErrorKind::Interrupted`.
    pub fn press(&self, count: u64) -> io::Result<()> {
        self.write_once("press", &count.to_string())
    }

    /// One write, which is not begun again after a signal.
    fn write_once(&self, file: &str, text: &str) -> io::Result<()> {
        let mut file = File::options().write(true).open(self.path(file))?;
        file.write(text.as_bytes()).map(|_| ())
    }

    /// Writes to `settings`; returns what the kernel has remarked. A refusal has its reason.
    pub fn set(&self, words: &str) -> Result<Vec<String>> {
        let mut log = self.log();
        let written = self.write_once("settings", words);
        let said = log.of_button(&self.name);
        match (written, said) {
            (Ok(()), said) => Ok(said.unwrap_or_default()),
            (Err(error), said) => {
                let failure = Failure::of(self.say("settings"), &error);
                let no_reason = "the kernel's log has no reason, as after many lines at once";
                let text = match said.map(|said| kmsg::refusal(&said, "settings")) {
                    Ok(Some(why)) => format!("{}: {why}", self.name),
                    Ok(None) => format!("{}: {no_reason}", failure.text),
                    Err(error) => format!("{}: {error}", failure.text),
                };
                Err(Failure::new(failure.exit, text))
            }
        }
    }

    /// The kernel's log from here on.
    pub fn log(&self) -> Log {
        Log::open(&self.root.path("/dev/kmsg"))
    }

    /// The file that maps what is held.
    pub fn device(&self) -> PathBuf {
        self.root.path("/dev/alloclab").join(&self.name)
    }
}

/// Reads a file that may not be there.
pub fn read_if_any(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok()
}

/// A directory with the files of buttons, for tests.
#[cfg(test)]
pub mod fake {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::text::samples;

    pub struct Fake {
        pub root: Root,
        directory: PathBuf,
    }

    impl Fake {
        pub fn new(buttons: &[&str]) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("alloclab-{}-{count}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(directory.join("sys/module/alloclab")).unwrap();
            fs::create_dir_all(directory.join("sys/kernel/debug/alloclab")).unwrap();
            let fake = Self {
                root: Root::new(directory.clone()),
                directory,
            };
            for button in buttons {
                fs::create_dir_all(fake.root.path(DIRECTORY).join(button)).unwrap();
                for (file, text) in [
                    ("settings", samples::SETTINGS),
                    ("method", samples::METHOD),
                    ("stats", samples::STATS),
                    ("live", samples::LIVE),
                    ("pages", samples::PAGES),
                    ("press", ""),
                ] {
                    fake.write(button, file, text);
                }
            }
            fake
        }

        pub fn write(&self, button: &str, file: &str, text: &str) {
            fs::write(self.root.path(DIRECTORY).join(button).join(file), text).unwrap();
        }

        pub fn remove(&self, path: &str) {
            fs::remove_dir_all(self.root.path(path)).unwrap();
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fake::Fake, *};

    #[test]
    fn the_only_button_needs_no_name() {
        let fake = Fake::new(&["button"]);
        assert_eq!(button(&fake.root, None).unwrap().name, "button");
        assert_eq!(button(&fake.root, Some("button")).unwrap().name, "button");
        let failure = button(&fake.root, Some("other")).unwrap_err();
        assert_eq!(failure.exit, Exit::Gone);
        assert!(failure.text.ends_with("there are button"), "{failure:?}");
    }

    #[test]
    fn of_several_one_is_named() {
        let fake = Fake::new(&["b", "a"]);
        let failure = button(&fake.root, None).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.text.ends_with(": a, b"), "{failure:?}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let fake = Fake::new(&[]);
        assert!(
            some_buttons(&fake.root)
                .unwrap_err()
                .text
                .contains("no button is bound")
        );
        fake.remove(DIRECTORY);
        assert!(
            buttons(&fake.root)
                .unwrap_err()
                .text
                .contains("not mounted")
        );
        fake.remove("/sys/module/alloclab");
        let failure = buttons(&fake.root).unwrap_err();
        assert_eq!(failure.exit, Exit::Gone);
        assert!(failure.text.contains("not loaded"), "{failure:?}");
    }

    #[test]
    fn files() {
        let fake = Fake::new(&["button"]);
        let button = button(&fake.root, None).unwrap();
        assert_eq!(button.stats().unwrap().counter("presses"), 5);
        assert_eq!(button.pages().unwrap().len(), 2);
        assert_eq!(button.methods().unwrap().len(), 4);
        fake.write("button", "stats", "nonsense");
        assert_eq!(button.stats().unwrap_err().exit, Exit::Failed);
        fake.remove("/sys/kernel/debug/alloclab/button");
        assert_eq!(button.stats().unwrap_err().exit, Exit::Gone);
    }
}
