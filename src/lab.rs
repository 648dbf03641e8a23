// SPDX-License-Identifier: GPL-2.0

//! One button with its toggle: what the interrupt and the debugfs files share.
//!
//! There is one lock. It is held from before a press is carried out until its line is logged, so
//! that lines come in the order of the presses; the hard half never takes it.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    new_mutex,
    prelude::*,
    str::BStr,
    sync::Mutex,
    time::Delta, //
};

use crate::{
    button::Button,
    method::{
        Buffer,
        Reason,
        States, //
    },
    plan::{
        Plan,
        Settings, //
    },
    request::Invalid,
    rust::ratelimit::LineLimit,
    toggle::{
        Event,
        Toggle, //
    }, //
};

/// So many lines in the interval are all shown.
const LINES: u32 = 100;
const LINES_INTERVAL: Delta = Delta::from_secs(5);

/// What the lock protects.
pub(crate) struct Bench {
    pub(crate) toggle: Toggle<Buffer>,
    lines: LineLimit,
}

/// One button with its toggle.
#[pin_data]
pub(crate) struct Lab {
    pub(crate) button: Button,
    /// The label, where the node has one.
    pub(crate) label: Option<KVec<u8>>,
    #[pin]
    pub(crate) bench: Mutex<Bench>,
    // Dropped after `bench`: what is held may lie in a state.
    states: States,
}

impl Lab {
    /// Prepares a lab for `dev`. Sleeps.
    pub(crate) fn new(
        dev: &Device<Bound>,
        label: Option<KVec<u8>>,
        debounce: Delta,
        plan: Plan,
        states: States,
    ) -> Result<impl PinInit<Self, Error>> {
        let bench = Bench {
            toggle: Toggle::new(plan)?,
            lines: LineLimit::new(dev, LINES, LINES_INTERVAL)?,
        };

        Ok(try_pin_init!(Self {
            button: Button::new(debounce),
            label,
            bench <- new_mutex!(bench),
            states,
        }))
    }

    /// Carries out one press and logs what happened. Sleeps.
    pub(crate) fn press(&self, dev: &Device<Bound>) {
        let mut bench = self.bench.lock();
        let event = bench
            .toggle
            .press(|method, request| self.states.alloc(method, dev, request));

        if bench.lines.pass() {
            match event {
                Event::Failed { .. } => dev_err!(dev, "{event}\n"),
                _ => dev_info!(dev, "{event}\n"),
            }
        }
    }

    /// Frees what is held and says so. Sleeps.
    pub(crate) fn clear(&self, dev: &Device<Bound>) {
        // Logged past the limit: what is freed here must not go unsaid.
        if let Some(event) = self.bench.lock().toggle.free(Reason::Unbind) {
            dev_info!(dev, "{event}\n");
        }
    }

    /// Changes the settings as `text`, written to the file `name`, asks for; all or nothing.
    ///
    /// Sleeps. What is refused is logged with what is allowed.
    pub(crate) fn change(
        &self,
        dev: &Device<Bound>,
        name: &str,
        text: &[u8],
        change: impl FnOnce(&mut Settings) -> Result<(), Invalid>,
    ) -> Result {
        let mut bench = self.bench.lock();
        let mut settings = *bench.toggle.plan().settings();

        let plan = change(&mut settings).and_then(|()| {
            let check = |method, request: &_| self.states.check(method, request);
            Plan::new(settings, check, |refusal| {
                if bench.lines.pass() {
                    dev_info!(dev, "cycle: passed over, as {refusal}\n");
                }
            })
        });

        match plan {
            Ok(plan) => {
                bench.toggle.change(plan);
                Ok(())
            }
            Err(invalid) => {
                drop(bench);
                self.refuse(dev, name, text, &invalid)
            }
        }
    }

    /// Logs that `text`, written to the file `name`, is not valid, and returns its error. Sleeps.
    pub(crate) fn refuse(
        &self,
        dev: &Device<Bound>,
        name: &str,
        text: &[u8],
        invalid: &Invalid,
    ) -> Result {
        if self.bench.lock().lines.pass() {
            let text = BStr::from_bytes(text);
            dev_err!(dev, "{name}: \"{text}\" is not valid: {invalid}\n");
        }
        Err(invalid.errno())
    }
}
