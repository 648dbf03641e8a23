# SPDX-License-Identifier: GPL-2.0
"""Kernel addresses: hashed in the log, in files by kptr_restrict, never raw by default."""

import re

from lab import KPTR, READABLE, STANDARD

BOOT = STANDARD
# The kernel's half of the address space.
RAW = re.compile(r"ffff[0-9a-f]{12}")


def test_hashed_by_default_is_the_default(guest):
    assert guest.sh(f"cat {KPTR}") == "0\n"


def test_no_raw_address_anywhere(guest, lab, button, restrict):
    raw = []
    for method in button.methods():
        button.hold(method=method)
        # Where it really is: with 1, root may see it.
        restrict(1)
        raw.append(button.live()["address"])
        restrict(0)
        text = "".join(button.read(file) for file in READABLE)
        assert not RAW.search(text), text
        button.software_press()
    assert len(raw) == len(button.methods())
    assert all(RAW.fullmatch(address) for address in raw), raw
    lab.unload()
    log = "\n".join(line for line in guest.log_since(lab.start) if "alloclab" in line)
    assert "allocated" in log
    assert not RAW.search(log)
    for address in raw:
        # Neither whole nor the part that differs between addresses.
        assert address not in log
        assert address[4:] not in log


def test_log_is_hashed_in_every_mode(lab, button, restrict):
    button.set(method="vmalloc")
    for value in (0, 1, 2):
        restrict(value)
        got = button.press()
        freed = button.press()
        assert got.address == freed.address
        assert not RAW.match(got.address)
        assert set(got.address) != {"0"}


def test_live_is_found_in_vmallocinfo_in_every_mode(guest, lab, button, restrict):
    button.set(method="vmalloc")
    got = button.press()
    for value in (0, 1):
        restrict(value)
        address = button.live()["address"]
        found = guest.sh(f"grep ^0x{address}- /proc/vmallocinfo").splitlines()
        assert len(found) == 1
        assert (address == got.address) == (value == 0)
    restrict(2)
    assert button.live()["address"] == "0" * 16
    shown = guest.sh("cut -d- -f1 /proc/vmallocinfo").split()
    assert set(shown) == {"0x" + "0" * 16}


def test_addresses_differ_between_allocations_that_live_together(lab, button):
    button.set(method="vmalloc", size=4096)
    button.software_press(20)
    events = lab.events("button")
    for got, freed in zip(events[::2], events[1::2]):
        assert (got.what, freed.what) == ("allocated", "freed")
        assert got.address == freed.address
    assert all(re.fullmatch(r"00000000[0-9a-f]{8}", event.address) for event in events)
