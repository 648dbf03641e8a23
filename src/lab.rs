// SPDX-License-Identifier: GPL-2.0

//! One button with its toggle: what the interrupt, the debugfs files and the device file share.
//!
//! There is one lock. It is held from before a press is carried out until its line is logged, so
//! that lines come in the order of the presses. The hard half never takes it: what it may allocate
//! is published in a hand-over, and withdrawn by whoever is about to change the toggle.

use kernel::{
    fmt,
    new_mutex,
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use crate::{
    button::Button,
    control,
    method::{
        Allocation,
        AnyAllocation,
        Context,
        Devices,
        Method,
        Objection,
        Reason,
        Request,
        States, //
    },
    report::Event,
    rust::{
        assembly::Driver,
        bound::{
            BoundDevice,
            PerDevice, //
        },
        context::{
            with_spinlocks,
            Place, //
        },
        debugfs::File,
        errno::Errno,
        flag::Flag,
        handover::{
            self,
            Publisher,
            Taker, //
        },
        interrupt::Wake,
        line::Line,
        module,
        ratelimit::LineLimit, //
    },
    settings::{
        Invalid,
        Plan,
        Settings, //
    },
    toggle::{
        Outcome,
        Toggle, //
    }, //
};

/// So many lines in the interval are all shown.
const LINES: u32 = 100;
const LINES_INTERVAL: Delta = Delta::from_secs(5);

/// What the hard half is to allocate.
type Order = (Method, Request);

/// What the lock protects.
pub(crate) struct Bench<'bound> {
    pub(crate) toggle: Toggle<AnyAllocation<'bound>>,
    pub(crate) lines: LineLimit,
    publisher: Publisher<Order, Outcome<AnyAllocation<'bound>>>,
}

/// One button with its toggle.
#[pin_data]
pub(crate) struct Lab<'bound> {
    pub(crate) button: Button,
    /// The label, where the node has one.
    pub(crate) label: Option<KVec<u8>>,
    #[pin]
    pub(crate) bench: Mutex<Bench<'bound>>,
    taker: Taker<Order, Outcome<AnyAllocation<'bound>>>,
    // Whether the settings ask for the hard half; written under the lock.
    hard: Flag,
    deferred: Atomic<u64>,
    states: States<'bound>,
    kind: Kind<'bound>,
}

/// What a device is, apart from its settings.
#[derive(Clone, Copy)]
pub(crate) struct Kind<'bound> {
    /// Whether something is to be allocated at probe.
    pub(crate) at_probe: bool,
    /// The name of its controller, where that is a device.
    pub(crate) controller: Option<&'bound CStr>,
    /// The device that does DMA for it, or why there is none.
    pub(crate) dma: Result<BoundDevice<'bound>, &'static str>,
}

impl<'bound> Kind<'bound> {
    /// Returns what methods say of a request for such a device.
    fn check(self) -> impl Fn(Method, &Request) -> Result<(), Objection> + 'bound {
        move |method, request| method.check_for(self.dma.err(), request)
    }

    /// Checks settings for `dev`, which is of this kind, and logs what a cycle passes over. Sleeps.
    pub(crate) fn plan(self, dev: BoundDevice<'_>, settings: Settings) -> Result<Plan, Invalid> {
        Plan::new(settings, self.check(), |invalid| {
            dev_info!(dev, "cycle: passed over, as {invalid}\n")
        })
    }
}

/// What is to become of a device.
pub(crate) struct Asked<'bound> {
    pub(crate) kind: Kind<'bound>,
    /// How long edges after an edge are bounces.
    pub(crate) debounce: Delta,
    /// The label, where it has one.
    pub(crate) label: Option<KVec<u8>>,
    pub(crate) plan: Plan,
}

impl<'bound> Lab<'bound> {
    /// Prepares a lab for `dev`. Sleeps. Returns `ENOMEM`.
    pub(crate) fn new(
        dev: BoundDevice<'bound>,
        asked: Asked<'bound>,
    ) -> Result<impl PinInit<Self, Error> + 'bound> {
        let Asked {
            kind,
            debounce,
            label,
            plan,
        } = asked;
        let states = States::new(Devices {
            own: dev,
            dma: kind.dma.ok(),
        })?;

        let (publisher, taker) = handover::new()?;
        let hard = plan.settings().context == Context::Hard;
        let mut bench = Bench {
            toggle: Toggle::new(plan)?,
            lines: LineLimit::new(&dev, LINES, LINES_INTERVAL)?,
            publisher,
        };
        bench.offer();

        Ok(try_pin_init!(Self {
            button: Button::new(debounce),
            label,
            bench <- new_mutex!(bench),
            taker,
            hard: Flag::new(hard),
            deferred: Atomic::new(0),
            states,
            kind,
        }))
    }

    /// Takes an edge of the button. Hard interrupt context.
    ///
    /// In hard context, a press that finds the toggle empty and no other press waiting allocates
    /// here; any other waits for the thread.
    pub(crate) fn edge(&self) -> Wake {
        // Without it nothing is ordered: who changes it withdraws the order first.
        let may_allocate = self.hard.get();
        let mut at_once = false;
        let wake = self.button.hard(Place::here(), || {
            at_once = may_allocate && self.carry_out_order();
            at_once
        });

        if wake == Wake::Thread && may_allocate && !at_once {
            self.deferred.fetch_add(1, Relaxed);
        }
        wake
    }

    /// Allocates what was ordered; returns whether anything was. Hard interrupt context.
    ///
    /// On `PREEMPT_RT` nothing is ordered, as no settings may ask for the hard half there.
    #[inline(never)]
    fn carry_out_order(&self) -> bool {
        let Some(((method, request), job)) = self.taker.take() else {
            return false;
        };
        job.complete(with_spinlocks(|| carry_out(&self.states, method, request)));
        true
    }

    /// Logs what the hard half has allocated, and lets it allocate again. Sleeps.
    pub(crate) fn settle(&self, dev: BoundDevice<'_>) {
        self.with_bench(dev, |_| ());
    }

    /// Carries out one press and logs what happened. Sleeps.
    pub(crate) fn press(&self, dev: BoundDevice<'_>) {
        self.with_bench(dev, |bench| {
            let is_shown = bench.lines.pass();
            let event = bench.toggle.press(is_shown, |method, request, place| {
                self.states.alloc(method, request, place)
            });
            bench.log(dev, event);
        });
    }

    /// Returns the device that does DMA, the same or another, if one does.
    pub(crate) fn dma_device(&self) -> Option<BoundDevice<'bound>> {
        self.kind.dma.ok()
    }

    /// Returns the name of the device's controller, where that is a device.
    pub(crate) fn controller(&self) -> Option<&'bound CStr> {
        self.kind.controller
    }

    /// Does something under the lock, during which the hard half allocates nothing. Sleeps.
    pub(crate) fn with_bench<T>(
        &self,
        dev: BoundDevice<'_>,
        work: impl FnOnce(&mut Bench<'bound>) -> T,
    ) -> T {
        let mut bench = self.bench.lock();
        bench.collect(dev);
        let result = work(&mut bench);
        bench.offer();
        result
    }

    /// Frees what is held and says so. Sleeps.
    pub(crate) fn clear(&self, dev: BoundDevice<'_>) {
        let mut bench = self.bench.lock();
        bench.collect(dev);
        // Logged past the limit: what is freed here must not go unsaid.
        if let Some(event) = bench.toggle.free(Reason::Unbind, true) {
            dev_info!(dev, "{event}\n");
        }
    }

    /// Changes the settings as `text`, written to the file `name`, asks for; all or nothing.
    ///
    /// Sleeps. What is refused is logged with what is allowed.
    pub(crate) fn change(
        &self,
        dev: BoundDevice<'_>,
        name: &str,
        text: &[u8],
        change: &dyn Fn(&mut Settings) -> Result<(), Invalid>,
    ) -> Result {
        let changed = self.with_bench(dev, |bench| {
            let mut settings = *bench.toggle.plan().settings();
            change(&mut settings)?;

            let plan = Plan::new(settings, self.kind.check(), |invalid| {
                if bench.lines.pass() {
                    dev_info!(dev, "cycle: passed over, as {invalid}\n");
                }
            })?;
            self.hard.set(settings.context == Context::Hard);
            bench.toggle.change(plan);
            Ok(())
        });
        changed.or_else(|invalid| self.refuse(dev, name, text, &invalid))
    }

    /// Logs that `text`, written to the file `name`, is not valid, and returns its error. Sleeps.
    pub(crate) fn refuse(
        &self,
        dev: BoundDevice<'_>,
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

    /// Returns how many presses had to wait for the thread in hard context.
    pub(crate) fn deferred(&self) -> u64 {
        self.deferred.load(Relaxed)
    }
}

/// Allocates elsewhere than in the toggle. Any context that the request is for.
#[inline(never)]
fn carry_out<'bound>(
    states: &States<'bound>,
    method: Method,
    request: Request,
) -> Outcome<AnyAllocation<'bound>> {
    Outcome::of(method, request, |place| {
        states.alloc(method, &request, place)
    })
}

/// Logs why devices have no files: there is no debugfs, with what that means, or it has failed.
pub(crate) fn without_files(e: Error, meaning: &str) {
    let errno = Errno(e);
    if e == ENODEV || e == EPERM {
        pr_info!("no debugfs ({errno}): {meaning}\n");
    } else {
        pr_err!("debugfs: the directory cannot be made: {errno}\n");
    }
}

/// The driver.
pub(crate) struct Alloclab;

impl PerDevice for Alloclab {
    type Data<'bound> = Lab<'bound>;
}

impl Driver for Alloclab {
    const NAME: &'static CStr = module::NAME;
    const FILES: &'static [File<Self>] = control::FILES;

    fn start<'bound>(lab: &Lab<'bound>, dev: BoundDevice<'bound>) -> Result {
        if !lab.kind.at_probe {
            return Ok(());
        }
        lab.with_bench(dev, |bench| bench.allocate(dev, &lab.states))
    }

    fn ready(lab: &Lab<'_>, dev: BoundDevice<'_>, line: Option<Line>) {
        let debounce_ms = lab.button.debounce().as_millis();
        let selection = lab.bench.lock().toggle.plan().settings().selection;

        // The node's name, which is the label otherwise, begins the line already.
        let (comma, label) = match &lab.label {
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

    fn hard(lab: &Lab<'_>, _dev: BoundDevice<'_>) -> Wake {
        lab.edge()
    }

    fn thread(lab: &Lab<'_>, dev: BoundDevice<'_>, is_closing: impl Fn() -> bool) {
        // What the hard half has carried out is logged by the first press, or here.
        if !lab.button.is_waiting() {
            lab.settle(dev);
        }
        // When the device goes, presses that still wait go with it: there may be many, and each may
        // take long.
        let press = || {
            if !is_closing() {
                lab.press(dev);
            }
        };
        lab.button.thread(press, fsleep);
    }

    fn unbind(lab: &Lab<'_>, dev: BoundDevice<'_>) {
        lab.clear(dev);
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

impl<'bound> Bench<'bound> {
    /// Allocates before any press, and logs what happened. Sleeps. Returns why it failed.
    fn allocate(&mut self, dev: BoundDevice<'_>, states: &States<'bound>) -> Result {
        let (method, request) = self.toggle.next_in_thread();
        let event = self.toggle.probe(carry_out(states, method, request));
        let failed = match event {
            Some(Event::Failed { error, .. }) => Err(error),
            _ => Ok(()),
        };
        self.log(dev, event);
        failed
    }

    /// Lets the hard half carry out the next press, if it is to and if that one allocates.
    #[inline]
    fn offer(&mut self) {
        if self.toggle.plan().settings().context == Context::Hard {
            self.offer_to_hard_half();
        }
    }

    #[inline(never)]
    fn offer_to_hard_half(&mut self) {
        if self.toggle.held().is_none() {
            let plan = self.toggle.plan();
            let order = plan.choose(self.toggle.next());
            self.publisher.publish(order);
        }
    }

    /// Takes over what the hard half has allocated, and lets it allocate no more.
    #[inline]
    fn collect(&mut self, dev: BoundDevice<'_>) {
        if !self.publisher.is_closed() {
            self.collect_from_hard_half(dev);
        }
    }

    #[inline(never)]
    fn collect_from_hard_half(&mut self, dev: BoundDevice<'_>) {
        if let Some(outcome) = self.publisher.withdraw() {
            let is_shown = self.lines.pass();
            let event = self.toggle.adopt(outcome, is_shown);
            self.log(dev, event);
        }
    }

    /// Logs what happened, if that is shown, and what there is to remark: each line that the limit
    /// lets pass.
    #[inline]
    fn log(&mut self, dev: BoundDevice<'_>, event: Option<Event>) {
        if let Some(event) = event {
            show(dev, &event);
        }

        let Self { toggle, lines, .. } = self;
        // What is held after a press, that press has allocated.
        if let Some(held) = toggle.held() {
            let name = held.method.name();
            held.allocation.remarks(&mut |remark| {
                if lines.pass() {
                    dev_info!(dev, "{name}: {remark}\n");
                }
            });
        }
    }
}

/// Logs what happened.
#[inline(never)]
fn show(dev: BoundDevice<'_>, event: &Event) {
    match event {
        Event::Failed { .. } => dev_err!(dev, "{event}\n"),
        _ => dev_info!(dev, "{event}\n"),
    }
}
