# SPDX-License-Identifier: GPL-2.0
"""Allocations that fail, in a guest with little memory."""

import re
import time

from guest.events import Event
from lab import DEBUGFS, DRIVER, PL061, Boot, errno

LARGEST = 4 << 20
MEMORY_MIB = 192
RAM = 0x40000000


def holes():
    """Reserves a page in each block of the largest order, so that none is ever whole."""
    regions = "\n".join(
        f"hole@{address:x} {{ reg = <0 {address:#x} 0 0x1000>; }};"
        for address in range(RAM, RAM + (MEMORY_MIB << 20), LARGEST))
    return ("/dts-v1/;\n/plugin/;\n&{/} { reserved-memory { #address-cells = <2>; "
            f"#size-cells = <2>; ranges; {regions} }}; }};\n")


# What the initrd occupies stays so, and no memory is set aside for contiguous allocations.
BOOT = Boot("failure", overlays=[PL061, holes()], memory=MEMORY_MIB,
            append="cma=0 retain_initrd")


def fails(button, method, size, settle=0):
    """Press, and expect one failure of `method`; wait `settle` seconds before looking."""
    before, each = button.stats()
    event = button.press()
    time.sleep(settle)
    assert event == Event("button", method, "failed", size, before["presses"] + 1,
                          error="ENOMEM")
    after, now = button.stats()
    assert after["failures"] == before["failures"] + 1
    assert after["presses"] == before["presses"] + 1
    assert (after["allocs"], after["frees"]) == (before["allocs"], before["frees"])
    assert now[method]["failures"] == each[method]["failures"] + 1
    assert button.read("live") == "none\n"


def test_there_is_no_largest_block(guest):
    zones = guest.sh("cat /proc/buddyinfo").splitlines()
    assert zones and all(len(zone.split()) == 15 for zone in zones)
    assert {zone.split()[-1] for zone in zones} == {"0"}


def test_failure_is_reported_once_and_the_button_stays_usable(lab, button):
    contiguous = [method for method, limit in button.limits().items()
                  if limit in ((LARGEST, "KMALLOC_MAX_SIZE"), (LARGEST, "MAX_PAGE_ORDER"))]
    assert {"kmalloc", "kzalloc", "coherent", "krealloc", "raw_kmalloc", "pages"} <= \
        set(contiguous)
    for method in contiguous:
        for gfp in ("kernel+nowarn", "nowait+nowarn"):
            button.set(method=method, size=LARGEST, gfp=gfp)
            fails(button, method, LARGEST)
            text = lab.texts("button")[-1]
            assert re.fullmatch(rf"{method}: allocation of {LARGEST} bytes failed: ENOMEM "
                                r"\(press \d+\)", text)
            # A smaller one works, at the very next press.
            button.set(size=LARGEST // 8)
            assert button.press().what == "allocated"
            assert button.press().what == "freed"
    failures = [event for event in lab.events("button") if event.what == "failed"]
    assert len(failures) == 2 * len(contiguous)


def test_vmalloc_of_more_than_is_free(guest, lab, button):
    # All memory passes the limit, and part of it is always in use.
    total = int(re.search(r"MemTotal: +(\d+) kB", guest.sh("cat /proc/meminfo"))[1]) << 10
    button.set(method="vmalloc", gfp="nowait+nowarn", size=total)
    for _ in range(2):
        # The kernel gives back what it had got so far only a little later.
        fails(button, "vmalloc", total, settle=1)
    button.set(size=4096)
    assert button.press().what == "allocated"
    assert button.press().what == "freed"
    assert [event.what for event in lab.events("button")].count("failed") == 2


def test_failure_does_not_advance_the_cycle(button):
    methods = button.methods()
    # The others could be passed over: this is about the first.
    button.set(size=LARGEST, gfp="nowait+nowarn")
    assert button.counters("next") == (methods[0],)
    for _ in range(3):
        fails(button, methods[0], LARGEST)
        assert button.counters("next") == (methods[0],)
    button.set(size="default")
    assert [button.press().method, button.press().method] == [methods[0]] * 2
    assert button.counters("next") == (methods[1],)
    assert button.press().press == 6


def test_failure_in_the_interrupt(lab, button):
    button.set(method="kmalloc", gfp="atomic+nowarn", size=LARGEST)
    button.set(context="hard")
    for number in range(1, 4):
        fails(button, "kmalloc", LARGEST)
        # It was tried at once each time, and the toggle stays empty.
        assert button.counters("deferred", "failures") == (0, number)
    button.set(size=64)
    assert [button.press().what, button.press().what] == ["allocated", "freed"]
    assert button.counters("deferred") == (1,)
    button.set(method="cycle", size=LARGEST)
    first = button.counters("next")
    fails(button, "kmalloc", LARGEST)
    assert button.counters("next") == first == ("kmalloc",)
    assert len(lab.events("button")) == 6


def test_storm_of_failures_is_counted_and_limited(lab, button):
    button.burst(500, method="kmalloc", size=LARGEST, gfp="atomic+nowarn")
    counters = button.counters("presses", "failures", "allocs", "frees")
    assert counters == (500, 500, 0, 0)
    assert [event.what for event in lab.events("button")] == ["failed"] * 100
    lab.guest.wait_log(r"^alloclab button: burst of events: 400 lines dropped$", lab.start)
    button.set(size=64)
    button.software_press(2)
    assert button.counters("failures", "allocs", "frees") == (500, 1, 1)


def test_nowarn_reaches_the_page_allocator(guest, lab, button):
    warning = re.compile(r"page allocation failure: order:10, ")
    button.set(method="kmalloc", size=LARGEST, gfp="atomic+nowarn")
    fails(button, "kmalloc", LARGEST)
    assert not any(warning.search(line) for line in guest.log_since(lab.start))
    button.set(gfp="atomic")
    fails(button, "kmalloc", LARGEST)
    assert any(warning.search(line) for line in guest.log_since(lab.start))


def test_the_handler_goes_on_after_a_failure(guest, button):
    button.set(method="kmalloc", size=LARGEST, gfp="nowait+nowarn")
    for _ in range(4):
        fails(button, "kmalloc", LARGEST)
    # Handled: the kernel has not counted the interrupts as nobody's. It errs by one where it
    # looks at a thread that was done before its interrupt was.
    spurious = guest.sh(f"cat /proc/irq/{button.irq()}/spurious")
    assert int(re.search(r"^unhandled (\d+)$", spurious, re.MULTILINE)[1]) <= 1
    button.set(size=64)
    assert button.press().what == "allocated"
    assert button.counters("edges", "presses") == (5, 5)


def test_failed_preload_refuses_the_load(guest, lab):
    lab.unload()
    result = guest.run(f"insmod /root/alloclab.ko preload_vmalloc=10000 preload_kmalloc={LARGEST}")
    assert errno(result) == "ENOMEM" and not lab.loaded()
    assert guest.log_since(lab.start)[-1] == \
        f"alloclab: preload_kmalloc: allocation of {LARGEST} bytes failed: ENOMEM"
    assert guest.run(f"ls -d {DEBUGFS} {DRIVER} /sys/module/alloclab 2>/dev/null; "
                     "grep alloclab /proc/vmallocinfo /proc/slabinfo").output == ""
