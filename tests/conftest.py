# SPDX-License-Identifier: GPL-2.0
"""Options; fixtures: a group's kernel row, a guest for each test module, a lab for each test."""

import functools
import json
import os
import secrets
import signal
import sys
import time

import pytest

# The first, because it says where the others are.
from plan import CLONE, HERE, MODELS, Plan
from collect import NEXT, Collect, boot_of, group_of
from detectors import complaints, look_back
from guest.command import command_files
from guest.guest import Guest, GuestError
from guest.machine import machine_of
from guest.row import Row, RowError
from lab import KPTR, Lab
from pi import PiGuest
from programs import program_for_guest, programs
from terminal import Terminal, TerminalGuest

# Of the programs in tests/guest those that end-to-end tests use, on every machine.
E2E_PROGRAMS = ["device", "fragment", "interrupted_write", "ticks"]
# Twice as many as the smallest supported machine has processors: a guest often waits.
WORKERS = 4
COLLECT = pytest.StashKey()


def pytest_addoption(parser):
    """What to run, and on which row."""
    parser.addoption("--plan", choices=Plan.WORDS, help="what the target of make runs on the rows")
    parser.addoption("--row", action="append", metavar="ROW[=WORDS]",
                     help="a row of scripts/kernel/table (default: debian); with --plan several, "
                          "and for each what to run in place of what the table says")
    parser.addoption("--driver", default="alloclab", choices=["alloclab", "alloclab_peer"],
                     help="the module under test: the driver, or the one in C")
    parser.addoption("--board", choices=MODELS,
                     help="guests are such a board, in place of QEMU's virt machine")
    parser.addoption("--scale", default="full", choices=["quick", "full"],
                     help="how much of the torture tests and of the boards' trees")
    parser.addoption("--seed", type=int, default=secrets.randbits(32),
                     help="of the fuzzers' random numbers (default: another one in each run)")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """With a plan: workers of pytest-xdist, which end when this process does, and junit.xml."""
    option = config.option
    if not option.plan:
        return
    option.last_failed_no_failures = "none"
    option.tbstyle = "short"
    if not hasattr(config, "workerinput"):
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        option.verbose -= 1
        option.dist = "load"
        option.tx = [f"{WORKERS}*popen//python=setpriv --pdeathsig TERM {sys.executable}"]
        option.maxworkerrestart = str(WORKERS)
        if option.plan == "test":
            option.xmlpath = option.xmlpath or str(CLONE / "out/test/junit.xml")


def plan_of(config):
    """What this session runs. A worker knows from the main process where the rows are."""
    option, known = config.option, getattr(config, "workerinput", None)
    try:
        plan = Plan(option.plan, option.row or ["debian"], option.scale,
                    (lambda name: Row(known["rows"][name])) if known else Row.find)
    except RowError as error:
        raise pytest.UsageError(str(error)) from error
    if not option.plan:
        plan.by_hand(option.board or ("peer" if option.driver != "alloclab" else ""), option.scale)
    return plan


def pytest_configure(config):
    """Have all of this session's plugins; end guests when this process is told to end."""
    plan = plan_of(config)
    config.stash[COLLECT] = Collect(plan)
    config.pluginmanager.register(config.stash[COLLECT])
    if hasattr(config, "workerinput"):
        config.option.seed = config.workerinput["seed"]
    elif plan.kind:
        from report import Report
        config.pluginmanager.register(Report(config, plan))
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_report_header(config):
    """The seed, whatever comes of the test."""
    return f"the fuzzers' new seed: {config.option.seed}; --seed repeats what they try"


@pytest.fixture(scope="session", autouse=True, name="group")
def fixture_group(request):
    """The group of tests that this one is in: its row, driver, board."""
    return request.param


@pytest.fixture(scope="session", name="row")
def fixture_row(request, group):
    """The kernel row."""
    return request.config.stash[COLLECT].plan.rows[group.run.row]


class Guests:
    """The guest of the tests that run now; another one ends it."""

    def __init__(self, row, driver, logs, files, learnt, make=Guest):
        self.make = make
        self.row = row
        self.driver = driver
        self.learnt = learnt
        self.logs = logs
        self.files = files
        self.boot = None
        self.guest = None
        self.count = 0
        self.failed = {}
        self.unasked = False        # whether tests had the guest since it was looked back at

    def get(self, boot, innocent=True):
        """A running guest as `boot` describes it.

        One that is not innocent is to commit crimes, and is not asked at its end.
        """
        if self.guest and (self.boot != boot or not self.guest.running):
            self.end()
        if boot.name in self.failed:
            raise self.failed[boot.name]
        if not self.guest:
            files = dict(self.files)
            if self.row.stock:
                for name in boot.kernel_modules:
                    files |= {f"root/{path.name}": path for path in self.row.modules(name)}
            self.count += 1
            log = f"{self.logs}.{self.count}-{boot.name}.serial.log"
            make = TerminalGuest if boot.terminal else self.make
            guest = make(self.row, log, overlays=boot.overlays, files=files, memory=boot.memory,
                         cpus=boot.cpus, append=boot.append, firmware=boot.firmware,
                         devices=boot.devices, counting=boot.counting)
            try:
                guest.start()
            except GuestError as error:
                # Once is enough to wait for it.
                self.failed[boot.name] = error
                raise
            guest.excused = []
            guest.driver = self.driver
            self.guest = guest
            self.boot = boot
            self.guest.sh("chmod +x /root/*")
            self.learnt["page_size"] = guest.page_size
        self.unasked = innocent
        return self.guest

    def look_back(self, rounds):
        """What the guest's detectors have found since its boot."""
        self.unasked = False
        return look_back(self.guest, rounds, self.guest.excused)

    def end(self):
        """End the guest, which must be able to power off. No guest ends without being asked."""
        found = None
        try:
            if self.guest and self.guest.running:
                found = self.look_back(rounds=1) if self.unasked else None
                self.guest.power_off()
        finally:
            guest, self.guest = self.guest, None
            if guest:
                guest.close()
        assert not (found and found.wrong), "\n".join(found.wrong)


@pytest.fixture(scope="session", name="guests")
def fixture_guests(request, group, row):
    """The guests of a group, with the programs and modules that its tests may use."""
    driver = group.run.driver
    modules = [driver, "alloclab_inject", "alloclab_nested", "alloclab_refuse"]
    sources = [HERE / f"guest/{name}.c" for name in E2E_PROGRAMS]
    items = [item for item in request.session.items if group_of(item) is group]
    paths = [item.path for item in items]
    if any(path.parent.name == "torture" for path in paths):
        modules += ["alloclab_crime", "alloclab_overflow"]
        sources = programs()
        if row.config().get("KUNIT") == "y":
            modules.append("alloclab_kunit")
    if any(item.get_closest_marker("usb") for item in items):
        modules.append("alloclab_usb")
        sources = [*{*sources, HERE / "guest/usb_reset.c"}]
    if any(path.stem == "test_mistakes" for path in paths):
        modules.append("alloclab_mistakes")
    files = {f"root/{name}.ko": row.product(f"{name}.ko") for name in modules}
    for source in sources:
        program = program_for_guest(source, machine_of(row).tools)
        files[f"root/{program.name}"] = program
    if any(path.stem.startswith("test_doctor") for path in paths):
        files |= {"root/doctor": CLONE / "scripts/doctor", "root/config": row.build / ".config"}
    if any(item.get_closest_marker("command") for item in items):
        files |= command_files(row)
    board = group.run.board
    make = functools.partial(PiGuest, model=board) if board else Guest
    collect = request.config.stash[COLLECT]
    collect.guests = Guests(row, driver, group.logs, files, collect.learn(group.run), make)
    yield collect.guests
    collect.guests.end()


def quiet_guest(guests, boot, count):
    """A guest whose kernel must not complain until the fixture ends.

    A test that asks for a complaint names it in the guest's list `expected`, of patterns.
    """
    guest = guests.get(boot)
    guest.expected = []
    start = len(guest.log)
    yield guest
    if guest.running:
        guest.mark()
    said = complaints(guest.log.lines(start), guest.expected)
    count("reports", len(said))
    guest.excused += guest.expected
    assert not said, "\n".join([*said, guest.log.tail()])
    assert guest.running, guest.log.tail()


@pytest.fixture(scope="module", name="boot")
def fixture_boot(request, row):
    """How the guest is to be; a module that wants several has a fixture of its own."""
    return boot_of(request.module, row)


@pytest.fixture(scope="module", name="watch")
def fixture_watch(request, row, guests, boot, count, full):
    """What a guest's detectors have found when the tests in it are over.

    So long after the tests, what came later than their end is found too.
    """
    yield
    following = request.session.stash[NEXT]
    if following and boot_of(following.module, row) == boot:
        return
    if guests.guest and guests.guest.running:
        found = guests.look_back(rounds=2 if full else 1)
        count("reports", len(found.reports))
        count("leaked_bytes", found.leaked_bytes)
        assert not found.wrong, "\n".join(found.wrong)


@pytest.fixture(name="guest")
def fixture_guest(guests, boot, count, watch):
    """A guest as the test module's BOOT wants it."""
    assert watch is None
    yield from quiet_guest(guests, boot, count)


@pytest.fixture(scope="module", name="module_guest")
def fixture_module_guest(request, row, guests, count, watch):
    """The same for a fixture that serves a whole module."""
    assert watch is None
    yield from quiet_guest(guests, boot_of(request.module, row), count)


@pytest.fixture(name="lab")
def fixture_lab(guests, guest, count):
    """The module, loaded; afterwards unloaded, with nothing left of it."""
    lab = Lab(guest)
    lab.load()
    guests.learnt["loaded"] = True
    yield lab
    if guest.running:
        try:
            lab.finish()
        finally:
            count("leaked_bytes", lab.leaked_bytes)


@pytest.fixture(name="button")
def fixture_button(lab):
    """The button on the PL061's line 3; where no button has a line, the module's own."""
    return lab.button()


@pytest.fixture(name="command")
def fixture_command(guest):
    """Runs the command in the guest: command(its arguments, the status that it is to have)."""
    def command(arguments, status=0, timeout=60):
        result = guest.run(f"alloclab {arguments}", timeout)
        assert result.status == status, result
        return result.output
    return command


@pytest.fixture(name="terminal")
def fixture_terminal(guest, lab):
    """A guest's terminal; what runs on it ends with the test."""
    assert lab.loaded()
    terminal = Terminal(guest)
    yield terminal
    guest.run("kill $(cat /tmp/pid) 2>/dev/null; sleep 0.5; rm -f /tmp/pid")
    terminal.read(0.1)


@pytest.fixture(name="restrict")
def fixture_restrict(guest, lab):
    """Sets kptr_restrict; back to 0 after the test, before the module is unloaded."""
    assert lab.loaded()
    yield lambda value: guest.sh(f"echo {value} >{KPTR}")
    guest.sh(f"echo 0 >{KPTR}")


@pytest.fixture(scope="session", name="full")
def fixture_full(group):
    """Whether everything is to be tortured, or one of each kind."""
    return group.run.scale == "full"


@pytest.fixture(scope="module", name="left_by")
def fixture_left_by(request, group):
    """Where a test module leaves something beside the logs, by how its name is to end."""
    module = request.path.stem.removeprefix("test_")
    return lambda what: group.logs.with_name(f"{group.logs.name}.{module}.{what}")


@pytest.fixture(scope="module", name="figures")
def fixture_figures(request, group, left_by):
    """What a module's torture tests count: name -> number, written out at the end."""
    figures = {}
    start = time.monotonic()
    yield figures
    if request.config.option.plan is None or not group.tortures:
        return
    figures["seconds"] = round(time.monotonic() - start)
    left_by("figures.json").write_text(json.dumps(figures), encoding="utf-8")


@pytest.fixture(scope="module", name="count")
def fixture_count(figures):
    """A function that adds to the figures: count(name, number)."""
    def add(name, number=1):
        figures[name] = figures.get(name, 0) + number
    return add
