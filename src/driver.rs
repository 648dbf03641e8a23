// SPDX-License-Identifier: GPL-2.0

//! The platform driver: which nodes it drives, what it reads from them, and what it does first
//! and last.

use kernel::{
    c_str,
    fmt,
    of,
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use crate::{
    control,
    lab::Lab,
    method::{
        Objection,
        States, //
    },
    params,
    preload::Preload,
    rust::{
        bound::BoundDevice,
        debugfs::File,
        interrupt::Wake,
        line::Line,
        platform::{
            of_device_table,
            Driver, //
        },
        property::Property, //
    },
    settings::{
        parse_context,
        parse_gfp,
        Invalid,
        Plan,
        Selection,
        Settings,
        Size, //
    }, //
};

of_device_table!(
    OF_TABLE,
    MODULE_OF_TABLE,
    [c_str!("alloclab,button"), c_str!("yang,mydevice")]
);

/// The longest label, in bytes.
const LABEL_BYTES: usize = 64;

/// As in gpio-keys.
const DEFAULT_DEBOUNCE_MS: u32 = 5;

impl Driver for Lab {
    const NAME: &'static CStr = c_str!("alloclab");
    const OF_ID_TABLE: of::IdTable<()> = &OF_TABLE;
    const FILES: &'static [File<Self>] = control::FILES;

    type Load = Preload;

    fn load() -> Result<Preload> {
        Preload::new()
    }

    fn wants_own_device() -> bool {
        params::button()
    }

    fn probe(dev: &BoundDevice) -> Result<impl PinInit<Self, Error>> {
        let node = Node(dev);
        let debounce_ms = node.u32(c_str!("debounce-interval"))?;
        let debounce_ms = debounce_ms.unwrap_or(DEFAULT_DEBOUNCE_MS);
        let size = node.u32(c_str!("alloclab,size"))?;
        let settings = Settings {
            selection: node
                .string(c_str!("alloclab,method"), Invalid::Method, Selection::parse)?
                .unwrap_or(Settings::DEFAULT.selection),
            size: size.map_or(Settings::DEFAULT.size, |bytes| Size::Bytes(bytes as usize)),
            gfp: node
                .string(c_str!("alloclab,gfp"), Invalid::Gfp, parse_gfp)?
                .unwrap_or(Settings::DEFAULT.gfp),
            context: node
                .string(c_str!("alloclab,context"), Invalid::Context, parse_context)?
                .unwrap_or(Settings::DEFAULT.context),
        };
        let label = node.label()?;

        let states = States::new(dev)?;
        let plan = Plan::new(
            settings,
            |method, request| states.check(method, request),
            |refusal| dev_info!(dev, "cycle: passed over, as {refusal}\n"),
        )
        .map_err(|invalid| {
            node.refuse_settings(&settings, &invalid);
            invalid.errno()
        })?;

        Lab::new(
            dev,
            label,
            Delta::from_millis(i64::from(debounce_ms)),
            plan,
            states,
        )
    }

    fn ready(&self, dev: &BoundDevice, line: Option<Line>) {
        let debounce_ms = self.button.debounce().as_millis();
        let selection = self.bench.lock().toggle.plan().settings().selection;

        // The node's name, which is the label otherwise, begins the line already.
        let (comma, label) = match &self.label {
            None => ("", &[][..]),
            Some(label) => (", label ", label.as_slice()),
        };

        dev_info!(
            dev,
            "ready: {}, debounce {debounce_ms} ms, method {selection}{comma}{}\n",
            Wired(line),
            BStr::from_bytes(label)
        );
    }

    fn hard(&self, dev: &BoundDevice) -> Wake {
        self.edge(dev)
    }

    fn thread(&self, dev: &BoundDevice, is_closing: impl Fn() -> bool) {
        // What the hard half has carried out is logged by the first press, or here.
        if !self.button.is_waiting() {
            self.settle(dev);
        }
        // When the device goes, presses that still wait go with it: there may be many, and each may
        // take long.
        let press = || {
            if !is_closing() {
                self.press(dev);
            }
        };
        self.button.thread(press, fsleep);
    }

    fn unbind(&self, dev: &BoundDevice) {
        self.clear(dev);
    }
}

/// Shows the button's line.
struct Wired(Option<Line>);

impl fmt::Display for Wired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => f.write_fmt(fmt!("{line}")),
            None => f.write_str("no line"),
        }
    }
}

/// The properties of a device's node, each optional; what is wrong with one is logged.
struct Node<'a>(&'a BoundDevice);

impl Node<'_> {
    fn read(&self, name: &CStr) -> Result<Option<Property>> {
        Property::read(self.0, name)
    }

    fn u32(&self, name: &CStr) -> Result<Option<u32>> {
        let Some(property) = self.read(name)? else {
            return Ok(None);
        };
        let value = property.as_u32().ok_or(EINVAL);
        value
            .map(Some)
            .inspect_err(|_| self.refuse(name, &property, "allowed is one 32-bit cell"))
    }

    /// Reads a string; `allowed` is what is said where the property is none.
    fn string<T>(
        &self,
        name: &CStr,
        allowed: Invalid,
        parse: impl Fn(&[u8]) -> Result<T, Invalid>,
    ) -> Result<Option<T>> {
        let Some(property) = self.read(name)? else {
            return Ok(None);
        };
        let value = property.as_string().map_or(Err(allowed), parse);
        value.map(Some).map_err(|invalid| {
            self.refuse(name, &property, &invalid);
            invalid.errno()
        })
    }

    fn label(&self) -> Result<Option<KVec<u8>>> {
        let name = c_str!("label");
        let Some(property) = self.read(name)? else {
            return Ok(None);
        };
        let printable = |text: &&[u8]| text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let fitting = |text: &&[u8]| (1..=LABEL_BYTES).contains(&text.len());

        match property.as_string().filter(printable).filter(fitting) {
            Some(text) => {
                let mut label = KVec::new();
                label.extend_from_slice(text, GFP_KERNEL)?;
                Ok(Some(label))
            }
            None => {
                self.refuse(
                    name,
                    &property,
                    fmt!("allowed are 1 to {LABEL_BYTES} printable ASCII characters"),
                );
                Err(EINVAL)
            }
        }
    }

    /// Logs which of the settings, each valid by itself, no method takes.
    fn refuse_settings(&self, settings: &Settings, invalid: &Invalid) {
        let Settings {
            size, gfp, context, ..
        } = settings;

        match invalid.objection() {
            Some(Objection::Word(_) | Objection::Together(_)) => {
                self.refuse(c_str!("alloclab,gfp"), gfp, invalid);
            }
            Some(Objection::Sleeps(_)) => self.refuse(c_str!("alloclab,context"), context, invalid),
            Some(Objection::Size { .. }) | None => {
                self.refuse(c_str!("alloclab,size"), size, invalid)
            }
        }
    }

    /// Logs that the value of the property `name` is not valid.
    fn refuse(&self, name: &CStr, value: impl fmt::Display, allowed: impl fmt::Display) {
        let name = BStr::from_bytes(name.to_bytes());
        dev_err!(self.0, "{name}: {value} is not valid: {allowed}\n");
    }
}
