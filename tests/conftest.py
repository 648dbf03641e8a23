# SPDX-License-Identifier: GPL-2.0
"""Fixtures: the kernel row of this run, a guest for each test module, a lab for each test."""

import functools
import json
import secrets
import signal
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
sys.path[:0] = [str(CLONE / "scripts"), str(HERE / "e2e"), str(HERE / "torture"),
                str(HERE / "setup"), str(HERE / "boards")]

from bench import record_of  # noqa: E402
from detectors import complaints, look_back  # noqa: E402
from guest.guest import Guest, GuestError, interrupted  # noqa: E402
from guest.machine import machine_of  # noqa: E402
from guest.row import Row  # noqa: E402
from lab import KPTR, STANDARD, Lab  # noqa: E402
from pi import MODELS, PiGuest  # noqa: E402
from programs import program_for_guest, programs  # noqa: E402


MARKERS = [
    "core: what a kernel must do at least: load, press, refuse, unbind and rmmod while held",
    "wide: beyond the core what depends on the kernel's interfaces, sizes and contexts",
    "storm: the one storm of edges that make test runs beyond the core",
    "storms: storms of edges",
    "edges: of nodes, and of what their lines do",
    "hard: an interrupt may allocate",
    "preempt_rt: no interrupt may allocate",
    "traced: the kernel traces its own allocations",
    "late_sim: the driver of simulated controllers is a module, and comes later than the button",
    "ours: it looks for this driver, and not for the one in C",
    "virt: it names what QEMU's virt machine has",
    "recorded: tests/bench/record.json has a record of these surroundings",
    "excused(variety, why): not for kernels of a variety, see Row.variety in scripts/guest/row.py"]
# Marker -> option of the kernel, the values with which its tests are there, what another kernel
# lacks; nothing if it lacks nothing.
ONLY = {"edges": ("OF", ["y"], "edges: without device trees (CONFIG_OF) there is no line"),
        "hard": ("PREEMPT_RT", [None], "hard: with PREEMPT_RT no interrupt may allocate"),
        "preempt_rt": ("PREEMPT_RT", ["y"], ""),
        "traced": ("EVENT_TRACING", ["y"], "traced: without EVENT_TRACING nothing is traced"),
        "late_sim": ("GPIO_SIM", ["m"], "")}
# Of the programs in tests/guest those that end-to-end tests use, on every machine.
E2E_PROGRAMS = ["fragment", "interrupted_write", "ticks"]
# So many tests may have the mark.
EXCUSED_MOST = 5
LEARNT = pytest.StashKey()
NEXT = pytest.StashKey()


def pytest_addoption(parser):
    """Which row to run on."""
    parser.addoption("--row", default="debian", help="a row of scripts/kernel/table")
    parser.addoption("--driver", default="alloclab", choices=["alloclab", "alloclab_peer"],
                     help="the module under test: the driver, or the one in C")
    parser.addoption("--board", choices=MODELS,
                     help="guests are such a board, in place of QEMU's virt machine")
    parser.addoption("--share", default="1/1", metavar="N/M",
                     help="only each M-th test module, beginning with the N-th")
    parser.addoption("--scale", default="full", choices=["quick", "full"],
                     help="how much of the torture tests")
    parser.addoption("--seed", type=int, default=secrets.randbits(32),
                     help="of the fuzzers' random numbers (default: another one in each run)")
    parser.addoption("--figures", action="store_true", help="leave what was counted there too")
    parser.addoption("--learnt", type=Path,
                     help="where to leave what the tests have found out about the kernel")
    parser.addoption("--logs", default=CLONE / "out/test/pytest", type=Path,
                     help="how the names of what is left begin")


def pytest_configure(config):
    """Declare the markers; end guests when this process is told to end."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[LEARNT] = {"loaded": False, "not_possible": []}
    signal.signal(signal.SIGTERM, interrupted)


def pytest_sessionfinish(session):
    """Leave what was found out about the kernel."""
    path = session.config.getoption("--learnt")
    if path:
        path.write_text(json.dumps(session.config.stash[LEARNT]), encoding="utf-8")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    """Count the tests that are to have a result, and leave their marks with it."""
    session.config.stash[LEARNT]["collected"] = len(session.items)
    for item in session.items:
        item.user_properties.append(("marks", " ".join(mark.name for mark in item.iter_markers())))


@pytest.fixture(scope="session", name="row")
def fixture_row(request):
    """The kernel row."""
    return Row.find(request.config.getoption("--row"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Take this run's share; run modules that share a guest one after the other."""
    share, _, shares = config.getoption("--share").partition("/")
    modules = sorted({item.path for item in items})
    mine = set(modules[int(share) - 1::int(shares)])
    why = {item: "of another share" for item in items if item.path not in mine}
    row = Row.find(config.getoption("--row"))
    for item in items:
        reason = impossible(item, row, config)
        if reason is not None and item not in why:
            why[item] = reason
            config.stash[LEARNT]["not_possible"] += [reason] if reason else []
    excused = {(item.path, item.originalname) for item in items
               if item.get_closest_marker("excused")}
    if len(excused) > EXCUSED_MOST:
        raise pytest.UsageError(f"{len(excused)} tests are excused: at most {EXCUSED_MOST} may be")
    config.hook.pytest_deselected(items=list(why))
    items[:] = [item for item in items if item not in why]
    items.sort(key=guest_of)


def impossible(item, row, config):
    """Why a test is not for the kernel of a row, or not for this run; None if it is."""
    for mark in item.iter_markers():
        option, values, lacks = ONLY.get(mark.name, ("", [None], ""))
        if row.config().get(option) not in values:
            return lacks
        if mark.name == "excused" and mark.args[0] == row.variety:
            return mark.args[1]
        if (mark.name == "ours" and config.getoption("--driver") != "alloclab"
                or mark.name == "virt" and config.getoption("--board")):
            return ""
        if mark.name == "recorded" and record_of(row) is None:
            return "recorded: there is no record of these surroundings"
    return None


def guest_of(item):
    """What modules are ordered by that share a guest; those without BOOT share none."""
    boot = getattr(item.module, "BOOT", None)
    return (boot != STANDARD, boot is None, boot.name if boot else "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Remember which test comes next."""
    item.session.stash[NEXT] = nextitem


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
            guest = self.make(self.row, log, overlays=boot.overlays, files=files,
                              memory=boot.memory, cpus=boot.cpus, append=boot.append,
                              firmware=boot.firmware)
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
def fixture_guests(request, row):
    """The guests of this run, with the programs and modules that its tests may use."""
    driver = request.config.getoption("--driver")
    modules = [driver, "alloclab_inject", "alloclab_nested", "alloclab_refuse"]
    sources = [HERE / f"guest/{name}.c" for name in E2E_PROGRAMS]
    if any(item.path.parent.name == "torture" for item in request.session.items):
        modules += ["alloclab_crime", "alloclab_overflow"]
        sources = programs()
        if row.config().get("KUNIT") == "y":
            modules.append("alloclab_kunit")
    files = {f"root/{name}.ko": row.product(f"{name}.ko") for name in modules}
    for source in sources:
        program = program_for_guest(source, machine_of(row).tools)
        files[f"root/{program.name}"] = program
    if any(item.path.stem.startswith("test_doctor") for item in request.session.items):
        files |= {"root/doctor": CLONE / "scripts/doctor", "root/config": row.build / ".config"}
    board = request.config.getoption("--board")
    make = functools.partial(PiGuest, model=board) if board else Guest
    guests = Guests(row, driver, request.config.getoption("--logs"), files,
                    request.config.stash[LEARNT], make)
    yield guests
    guests.end()


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
def fixture_boot(request):
    """How the guest is to be; a module that wants several has a fixture of its own."""
    return request.module.BOOT


@pytest.fixture(scope="module", name="watch")
def fixture_watch(request, guests, boot, count, full):
    """What a guest's detectors have found when the tests in it are over.

    So long after the tests, what came later than their end is found too.
    """
    yield
    following = request.session.stash[NEXT]
    if following and getattr(following.module, "BOOT", None) == boot:
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
def fixture_module_guest(request, guests, count, watch):
    """The same for a fixture that serves a whole module."""
    assert watch is None
    yield from quiet_guest(guests, request.module.BOOT, count)


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


@pytest.fixture(name="restrict")
def fixture_restrict(guest, lab):
    """Sets kptr_restrict; back to 0 after the test, before the module is unloaded."""
    assert lab.loaded()
    yield lambda value: guest.sh(f"echo {value} >{KPTR}")
    guest.sh(f"echo 0 >{KPTR}")


@pytest.fixture(scope="session", name="full")
def fixture_full(request):
    """Whether everything is to be tortured, or one of each kind."""
    return request.config.getoption("--scale") == "full"


@pytest.fixture(scope="module", name="left_by")
def fixture_left_by(request):
    """Where a test module leaves something beside the logs, by how its name is to end."""
    logs = request.config.getoption("--logs")
    module = request.path.stem.removeprefix("test_")
    return lambda what: logs.with_name(f"{logs.name}.{module}.{what}")


@pytest.fixture(scope="module", name="figures")
def fixture_figures(request, left_by):
    """What a module's torture tests count: name -> number, written out at the end."""
    figures = {}
    start = time.monotonic()
    yield figures
    if not request.config.getoption("--figures"):
        return
    figures["seconds"] = round(time.monotonic() - start)
    left_by("figures.json").write_text(json.dumps(figures), encoding="utf-8")


@pytest.fixture(scope="module", name="count")
def fixture_count(figures):
    """A function that adds to the figures: count(name, number)."""
    def add(name, number=1):
        figures[name] = figures.get(name, 0) + number
    return add
