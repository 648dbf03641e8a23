# SPDX-License-Identifier: GPL-2.0
"""Fixtures: the kernel row of this run, a guest for each test module, a lab for each test."""

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
sys.path[:0] = [str(CLONE / "scripts"), str(HERE / "e2e"), str(HERE / "torture"),
                str(HERE / "setup")]

from detectors import complaints, look_back  # noqa: E402
from guest import Guest, GuestError, interrupted  # noqa: E402
from lab import KPTR, STANDARD, Lab  # noqa: E402
from row import Row  # noqa: E402


# Marker -> what it is for, option of the kernel, the values with which its tests are there.
ONLY = {"hard": ("an interrupt may allocate", "PREEMPT_RT", [None]),
        "preempt_rt": ("no interrupt may allocate", "PREEMPT_RT", ["y"])}


def pytest_addoption(parser):
    """Which row to run on."""
    parser.addoption("--row", default="debian", help="a row of scripts/kernels")
    parser.addoption("--share", default="1/1", metavar="N/M",
                     help="only each M-th test module, beginning with the N-th")
    parser.addoption("--scale", default="full", choices=["quick", "full"],
                     help="how much of the torture tests")
    parser.addoption("--figures", action="store_true", help="leave what was counted there too")
    parser.addoption("--logs", default=CLONE / "out/test/pytest", type=Path,
                     help="how the names of what is left begin")


def pytest_configure(config):
    """Declare the markers; end guests when this process is told to end."""
    config.addinivalue_line("markers", "core: also run where only the core of the tests is")
    for name, what in ONLY.items():
        config.addinivalue_line("markers", f"{name}: {what[0]}")
    signal.signal(signal.SIGTERM, interrupted)


@pytest.fixture(scope="session", name="row")
def fixture_row(request):
    """The kernel row."""
    return Row.find(request.config.getoption("--row"))


def pytest_collection_modifyitems(config, items):
    """Take this run's share; run modules that share a guest one after the other."""
    share, _, shares = config.getoption("--share").partition("/")
    modules = sorted({item.path for item in items})
    mine = set(modules[int(share) - 1::int(shares)])
    mine = [item for item in items if item.path in mine and is_for_row(config, item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in mine])
    items[:] = sorted(mine, key=guest_of)


def is_for_row(config, item):
    """Whether a test is for the row of this run; those of one kind of kernel have a marker."""
    wanted = [ONLY[mark.name] for mark in item.iter_markers() if mark.name in ONLY]
    return not wanted or all(
        Row.find(config.getoption("--row")).config().get(option) in values
        for _, option, values in wanted)


def guest_of(item):
    """What modules are ordered by that share a guest; tests of set-up have none."""
    boot = getattr(item.module, "BOOT", STANDARD)
    return (boot != STANDARD, boot.name)


@functools.cache
def compiler():
    """How the tests' C programs are compiled for the guest, and the compiler's version."""
    command = ["aarch64-linux-gnu-gcc", "-O2", "-Wall", "-Werror", "-static", "-pthread"]
    version = subprocess.run([command[0], "--version"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    return command, version


def program_for_guest(source):
    """A C program of the tests, compiled for the guest; it stays below what went into it."""
    command, version = compiler()
    digest = hashlib.sha256("\n".join([*command, version]).encode())
    for path in [source, *sorted(source.parent.glob("*.h"))]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    program = CLONE / "out/build/guest" / digest.hexdigest()[:12] / source.stem
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        # Others may do the same now.
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", made, source], check=True)
        made.rename(program)
    return program


class Guests:
    """The guest of the tests that run now; another one ends it."""

    def __init__(self, row, logs, files):
        self.row = row
        self.logs = logs
        self.files = files
        self.boot = None
        self.guest = None
        self.count = 0
        self.failed = {}

    def get(self, boot):
        """A running guest as `boot` describes it."""
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
            guest = Guest(self.row, log, overlays=boot.overlays, files=files,
                          memory=boot.memory, cpus=boot.cpus, append=boot.append)
            try:
                guest.start()
            except GuestError as error:
                # Once is enough to wait for it.
                self.failed[boot.name] = error
                raise
            guest.excused = []
            self.guest = guest
            self.boot = boot
            self.guest.sh("chmod +x /root/*")
        return self.guest

    def end(self):
        """End the guest, which must be able to power off."""
        guest, self.guest = self.guest, None
        if guest:
            try:
                if guest.running:
                    guest.power_off()
            finally:
                guest.close()


@pytest.fixture(scope="session", name="guests")
def fixture_guests(request, row):
    """The guests of this run, with the programs and modules that its tests may use."""
    modules = ["alloclab", "alloclab_inject", "alloclab_nested", "alloclab_refuse"]
    programs = [*HERE.glob("e2e/*.c")]
    if any(item.path.parent.name == "torture" for item in request.session.items):
        modules.append("alloclab_crime")
        programs += HERE.glob("torture/*.c")
        if row.config().get("KUNIT") == "y":
            modules.append("alloclab_kunit")
    files = {f"root/{name}.ko": row.product(f"{name}.ko") for name in modules}
    for program in map(program_for_guest, programs):
        files[f"root/{program.name}"] = program
    guests = Guests(row, request.config.getoption("--logs"), files)
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
def fixture_watch(guests, boot, count, full):
    """What a guest's detectors have found when a module's tests in it are over.

    So long after the tests, what came later than their end is found too.
    """
    assert boot
    yield
    if guests.guest and guests.guest.running:
        found = look_back(guests.guest, rounds=2 if full else 1)
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
def fixture_lab(guest, count):
    """The module, loaded; afterwards unloaded, with nothing left of it."""
    lab = Lab(guest)
    lab.load()
    yield lab
    if guest.running:
        try:
            lab.finish()
        finally:
            count("leaked_bytes", lab.leaked_bytes)


@pytest.fixture(name="button")
def fixture_button(lab):
    """The button on the PL061's line 3."""
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


@pytest.fixture(scope="session", name="figures")
def fixture_figures(request):
    """What the torture tests count: name -> number, written out at the end."""
    figures = {}
    start = time.monotonic()
    yield figures
    if not request.config.getoption("--figures"):
        return
    figures["seconds"] = round(time.monotonic() - start)
    logs = request.config.getoption("--logs")
    logs.with_name(f"{logs.name}.figures.json").write_text(json.dumps(figures))


@pytest.fixture(scope="session", name="count")
def fixture_count(figures):
    """A function that adds to the figures: count(name, number)."""
    def add(name, number=1):
        figures[name] = figures.get(name, 0) + number
    return add
