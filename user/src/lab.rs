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

/// The modules, which may both be loaded: that of the device tree's nodes, and that of USB devices.
/// Their devices have names that differ.
const MODULES: [&str; 2] = ["alloclab", "alloclab_usb"];

/// A module's directory in debugfs.
fn directory(module: &str) -> String {
    format!("/sys/kernel/debug/{module}")
}

/// One button, or another device that a module has.
#[derive(Clone, Debug)]
pub struct Button {
    root: Root,
    module: &'static str,
    /// The name of its device.
    pub name: String,
}

/// Every button, by name.
pub fn buttons(root: &Root) -> Result<Vec<Button>> {
    let mut buttons = Vec::new();
    let mut failed = Vec::new();
    for module in MODULES {
        match fs::read_dir(root.path(&directory(module))) {
            Ok(entries) => buttons.extend(entries.filter_map(|entry| {
                let entry = entry.ok()?;
                // The module's own directory may have files of another kind.
                let is_button = entry.path().join("stats").exists();
                let name = is_button.then(|| entry.file_name().into_string().ok())??;
                Some(Button::of(root, module, &name))
            })),
            Err(error) => failed.push(error),
        }
    }
    if let [error, _] = failed.as_slice() {
        return Err(missing(root, error));
    }
    buttons.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(buttons)
}

/// Every button, of which there must be one.
pub fn some_buttons(root: &Root) -> Result<Vec<Button>> {
    let buttons = buttons(root)?;
    if buttons.is_empty() {
        return Err(Failure::gone(if is_loaded(root, MODULES[0]) {
            "the module is loaded, and no button is bound: does the device tree have one? \
             Without one, load the module with button=1"
        } else {
            "alloclab_usb is loaded, and no USB device is bound: name one in \
             /sys/bus/usb/drivers/alloclab_usb/new_id"
        }));
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

fn is_loaded(root: &Root, module: &str) -> bool {
    root.path(&format!("/sys/module/{module}")).exists()
}

/// Why there is no debugfs directory of a module.
fn missing(root: &Root, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        return Failure::new(
            Exit::Refused,
            format!("{}: {error}: only root may read it", directory(MODULES[0])),
        );
    }
    if !MODULES.iter().any(|module| is_loaded(root, module)) {
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
    fn of(root: &Root, module: &'static str, name: &str) -> Self {
        Self {
            root: root.clone(),
            module,
            name: name.to_owned(),
        }
    }

    /// The button with this name, if there is one.
    pub fn named(root: &Root, name: &str) -> Self {
        let has = |module: &&str| root.path(&directory(module)).join(name).exists();
        let module = MODULES.into_iter().find(has).unwrap_or(MODULES[0]);
        Self::of(root, module, name)
    }

    fn path(&self, file: &str) -> PathBuf {
        let directory = self.root.path(&directory(self.module));
        directory.join(&self.name).join(file)
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
        let said = log.said();
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

    /// What the kernel's log says of it from here on.
    pub fn log(&self) -> Log {
        let prefix = format!("{} {}: ", self.module, self.name);
        Log::open(&self.root.path("/dev/kmsg"), prefix)
    }

    /// The file that maps what is held: how messages name it, and its place.
    pub fn device(&self) -> (String, PathBuf) {
        let name = format!("/dev/{}/{}", self.module, self.name);
        let path = self.root.path(&name);
        (name, path)
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
            let fake = Self {
                root: Root::new(directory.clone()),
                directory,
            };
            fake.load("alloclab", buttons);
            fake
        }

        /// The module, with its devices.
        pub fn load(&self, module: &str, buttons: &[&str]) {
            let create = |path: &str| fs::create_dir_all(self.root.path(path)).unwrap();
            create(&format!("/sys/module/{module}"));
            create(&directory(module));
            for button in buttons {
                create(&format!("{}/{button}", directory(module)));
                for (file, text) in [
                    ("settings", samples::SETTINGS),
                    ("method", samples::METHOD),
                    ("stats", samples::STATS),
                    ("live", samples::LIVE),
                    ("pages", samples::PAGES),
                    ("press", ""),
                ] {
                    self.write(button, file, text);
                }
            }
        }

        pub fn write(&self, button: &str, file: &str, text: &str) {
            fs::write(Button::named(&self.root, button).path(file), text).unwrap();
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
        fake.remove(&directory("alloclab"));
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
    fn usb_devices_are_buttons_too() {
        let fake = Fake::new(&["button"]);
        fake.load("alloclab_usb", &["1-1:1.0"]);
        let all = buttons(&fake.root).unwrap();
        let names: Vec<_> = all.iter().map(|button| button.name.as_str()).collect();
        assert_eq!(names, ["1-1:1.0", "button"]);
        for button in [&all[0], &button(&fake.root, Some("1-1:1.0")).unwrap()] {
            assert_eq!(button.stats().unwrap().counter("presses"), 5);
            assert_eq!(button.device().0, "/dev/alloclab_usb/1-1:1.0");
        }
        assert_eq!(all[1].device().0, "/dev/alloclab/button");

        // Either module may be the only one.
        fake.remove(&directory("alloclab"));
        fake.remove("/sys/module/alloclab");
        assert_eq!(button(&fake.root, None).unwrap().name, "1-1:1.0");
        fake.remove("/sys/kernel/debug/alloclab_usb/1-1:1.0");
        let failure = button(&fake.root, None).unwrap_err();
        assert_eq!(failure.exit, Exit::Gone);
        assert!(failure.text.contains("new_id"), "{failure:?}");
        fake.remove(&directory("alloclab_usb"));
        let failure = button(&fake.root, None).unwrap_err();
        assert!(failure.text.contains("not mounted"), "{failure:?}");
    }

    #[test]
    fn a_log_is_of_one_button() {
        let fake = Fake::new(&["button"]);
        fake.load("alloclab_usb", &["1-1:1.0"]);
        fs::create_dir(fake.root.path("/dev")).unwrap();
        let kmsg = fake.root.path("/dev/kmsg");
        for (line, of_button, of_usb) in [
            ("alloclab button: size: no", Some("size: no"), None),
            ("alloclab_usb 1-1:1.0: size: no", None, Some("size: no")),
            ("alloclab butt: size: no", None, None),
            ("alloclab_usb button: size: no", None, None),
        ] {
            fs::write(&kmsg, "").unwrap();
            let logs = ["button", "1-1:1.0"].map(|name| Button::named(&fake.root, name).log());
            fs::write(&kmsg, format!("3,1,2,-;{line}\n")).unwrap();
            let said = logs.map(|mut log| log.said().unwrap().pop());
            assert_eq!(
                said.each_ref().map(Option::as_deref),
                [of_button, of_usb],
                "{line}"
            );
        }
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
