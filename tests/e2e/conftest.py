# SPDX-License-Identifier: GPL-2.0
"""Fixtures: the kernel row of this run, a guest for each test module, a lab for each test."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent.parent
sys.path[:0] = [str(CLONE / "scripts"), str(HERE)]

from guest import Guest, GuestError, interrupted  # noqa: E402
from lab import STANDARD, Lab  # noqa: E402
from row import Row  # noqa: E402

# What the kernel says when something is wrong with it.
COMPLAINTS = re.compile(
    r"BUG:|WARNING:|Oops|Unable to handle|Internal error|Kernel panic|"
    r"refcount_t:|scheduling while atomic|sleeping function|INFO: task|rcu:.*stall|"
    r"device driver frees DMA memory|DMA-API:|kobject_add_internal failed|Leaked|"
    r"Objects remaining|dma_pool_destroy")


def pytest_addoption(parser):
    """Which row to run on."""
    parser.addoption("--row", default="debian", help="a row of scripts/kernels")
    parser.addoption("--share", default="1/1", metavar="N/M",
                     help="only each M-th test module, beginning with the N-th")


def pytest_configure(config):
    """Declare the marker; end guests when this process is told to end."""
    config.addinivalue_line("markers", "core: also run where only the core of the tests is")
    signal.signal(signal.SIGTERM, interrupted)


@pytest.fixture(scope="session", name="row")
def fixture_row(request):
    """The kernel row."""
    return Row.find(request.config.getoption("--row"))


def share_of(config):
    """The share of the test modules that is to run: which one, of how many."""
    share, _, shares = config.getoption("--share").partition("/")
    return int(share), int(shares)


def pytest_collection_modifyitems(config, items):
    """Take this run's share; run modules that share a guest one after the other."""
    share, shares = share_of(config)
    modules = sorted({item.path for item in items})
    mine = set(modules[share - 1::shares])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in mine])
    items[:] = [item for item in items if item.path in mine]
    items.sort(key=lambda item: (item.module.BOOT != STANDARD, item.module.BOOT.name))


def compile_for_guest(source, directory):
    """Compile a C file of this directory; return the program."""
    program = directory / source.stem
    subprocess.run(["aarch64-linux-gnu-gcc", "-O2", "-Wall", "-Werror", "-static", "-nostdlib",
                    "-ffreestanding", "-o", program, source], check=True)
    return program


class Guests:
    """The guest of the tests that run now; another one ends it."""

    def __init__(self, row, name, files):
        self.row = row
        self.name = name
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
            log = CLONE / "out/test" / f"{self.name}.{self.count}-{boot.name}.serial.log"
            guest = Guest(self.row, log, overlays=boot.overlays, files=files,
                          memory=boot.memory, append=boot.append)
            try:
                guest.start()
            except GuestError as error:
                # Once is enough to wait for it.
                self.failed[boot.name] = error
                raise
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
def fixture_guests(request, row, tmp_path_factory):
    """The guests of this run."""
    share, shares = share_of(request.config)
    files = {f"root/{name}.ko": row.product(f"{name}.ko")
             for name in ("alloclab", "alloclab_inject")}
    directory = tmp_path_factory.mktemp("guest")
    for source in HERE.glob("*.c"):
        program = compile_for_guest(source, directory)
        files[f"root/{program.name}"] = program
    guests = Guests(row, row.name if shares == 1 else f"{row.name}.{share}", files)
    yield guests
    guests.end()


def quiet_guest(guests, boot):
    """A guest whose kernel must not complain until the fixture ends."""
    guest = guests.get(boot)
    start = len(guest.log)
    yield guest
    if guest.running:
        guest.mark()
    complaints = [line for line in guest.log.lines(start) if COMPLAINTS.search(line)]
    assert not complaints, guest.log.tail()
    assert guest.running, guest.log.tail()


@pytest.fixture(name="guest")
def fixture_guest(request, guests):
    """A guest as the test module's BOOT wants it."""
    yield from quiet_guest(guests, request.module.BOOT)


@pytest.fixture(scope="module", name="module_guest")
def fixture_module_guest(request, guests):
    """The same for a fixture that serves a whole module."""
    yield from quiet_guest(guests, request.module.BOOT)


@pytest.fixture(name="lab")
def fixture_lab(guest):
    """The module, loaded; afterwards unloaded, with nothing left of it."""
    lab = Lab(guest)
    lab.load()
    yield lab
    if guest.running:
        lab.finish()


@pytest.fixture(name="button")
def fixture_button(lab):
    """The button on the PL061's line 3."""
    return lab.button()
