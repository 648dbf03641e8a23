# SPDX-License-Identifier: GPL-2.0
"""A kernel that is locked down after load: the button works, and tells nobody where things lie."""

import re

import pytest

from lab import KPTR, READABLE, Boot, Lab, errno

# Nothing lifts a lockdown: the guest is for this module, and the module is loaded once.
# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"stock": 6}
BOOT = Boot("lockdown")
LOCKDOWN = "/sys/kernel/security/lockdown"
NOTICE = ("Lockdown: cat: use of kgdb/kdb to read kernel RAM is restricted; "
          "see man kernel_lockdown.7")
NO_ADDRESS = "0" * 16
NO_DMA = "0x" + NO_ADDRESS
HAS_DMA = {"coherent", "dmapool"}


@pytest.fixture(scope="module", name="locked")
def fixture_locked(module_guest):
    """The module's button; first nothing is locked down."""
    module_guest.sh("mount -t securityfs securityfs /sys/kernel/security")
    lab = Lab(module_guest)
    lab.load()
    yield lab.button()
    lab.finish()


def lock(guest, level):
    """Lock the kernel down; it cannot be undone."""
    guest.sh(f"echo {level} >{LOCKDOWN}")
    assert f"[{level}]" in guest.sh(f"cat {LOCKDOWN}")


def told(button):
    """What `live` tells, without the age, which goes on."""
    live = button.live()
    assert int(live.pop("age_ns")) > 0
    return live


def test_addresses_go_when_it_is_locked(locked):
    guest = locked.guest
    assert "[none]" in guest.sh(f"cat {LOCKDOWN}")
    event, shown = locked.hold(method="coherent", size=10000)
    locked.set(method="cycle", size="default")
    runs = locked.runs()
    del shown["age_ns"]
    assert shown["address"] == event.address != NO_ADDRESS
    assert shown["dma"] == event.dma != NO_DMA
    assert int(shown["alignment"]) >= 4096 and all(pfn for _, pfn, _ in runs)

    # Integrity is about writing: what is read stays as it was.
    lock(guest, "integrity")
    assert told(locked) == shown
    assert locked.runs() == runs

    start = guest.mark()
    lock(guest, "confidentiality")
    hidden = {"address": NO_ADDRESS, "alignment": "0", "dma": NO_DMA}
    assert told(locked) == shown | hidden
    assert locked.runs() == [(first, 0, pages) for first, _, pages in runs]
    assert NOTICE in guest.log_since(start)
    # It is freed for all that, and with the address by which it was told.
    freed = locked.press()
    assert (freed.what, freed.address) == ("freed", event.address)


def test_files(locked):
    guest = locked.guest
    assert "[confidentiality]" in guest.sh(f"cat {LOCKDOWN}")
    for file in ("live", "pages", "stats"):
        assert locked.read(file)
    # Whatever could be written does not even open.
    for file in ("method", "size", "gfp", "context", "settings"):
        assert errno(guest.run(f"cat {locked.directory}/{file}")) == "EPERM"
    for file in (*READABLE, "press"):
        assert locked.write(file, "1") == "EPERM"


def test_every_method_by_real_presses(count, locked):
    guest = locked.guest
    presses = locked.counters("presses")[0]
    if locked.live():
        presses += 1
        locked.press()
    methods = list(locked.stats()[1])
    start = locked.counters("next")[0]
    order = methods[methods.index(start):] + methods[:methods.index(start)]
    hashed = set()
    for number, method in enumerate(order):
        guest.sh(f"echo {number % 3} >{KPTR}")
        got = locked.press()
        live, runs = locked.live(), locked.runs()
        assert (got.method, got.what, live["method"]) == (method, "allocated", method)
        assert (live["address"], live["alignment"]) == (NO_ADDRESS, "0")
        assert got.dma == live.get("dma") == (NO_DMA if method in HAS_DMA else None)
        assert all(pfn == 0 for _, pfn, _ in runs)
        if method != "list":
            assert sum(pages for _, _, pages in runs) == int(live["pages"]) > 0
            assert live["node"] == "0" and int(live["longest_run"]) > 0
        hashed.add(got.address)
        freed = locked.press()
        assert (freed.method, freed.address) == (method, got.address)
        assert locked.live() is None and locked.read("pages") == "none\n"
    guest.sh(f"echo 0 >{KPTR}")
    presses += 2 * len(order)
    assert locked.counters("presses", "failures", "bytes_held") == (presses, 0, 0)
    # The log goes on telling allocations apart.
    assert NO_ADDRESS not in hashed and all(map(re.compile("0{8}[0-9a-f]{8}").fullmatch, hashed))
    count("presses", presses)
