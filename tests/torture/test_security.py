# SPDX-License-Identifier: GPL-2.0
"""What nobody may learn: addresses, in every mode and from every message, and old content."""

import re

import pytest

from lab import STANDARD

ROWS = ["debian", "kunit"]
BOOT = STANDARD
KPTR = "/proc/sys/kernel/kptr_restrict"
MODES = (0, 1, 2)
# The kernel's half of the address space.
RAW = re.compile(r"ffff[0-9a-f]{12}")
PAGE_SHIFT = 12
READABLE = "method size gfp context live pages stats"
# What the kernel shows of a module and a device that anybody may look at.
PUBLIC = ("/sys/module/alloclab /sys/bus/platform/drivers/alloclab/ "
          "/sys/bus/platform/devices/button/ /proc/modules /proc/interrupts")
SECRET = "alloclab-secret-"


@pytest.fixture(name="restrict")
def fixture_restrict(guest, lab):
    """Sets kptr_restrict; back to 0 after the test, before the module is unloaded."""
    assert lab.loaded()
    yield lambda value: guest.sh(f"echo {value} >{KPTR}")
    guest.sh(f"echo 0 >{KPTR}")


def held_by_every_method(button):
    """Have every method hold something, in thread and hard context where it can; say which."""
    for method in button.methods():
        button.set(context="thread", gfp="kernel", size="default", method=method)
        button.press()
        yield method, "thread"
        button.press()
        if button.write("gfp", "atomic") is None and button.write("context", "hard") is None:
            button.press()
            yield method, "hard"
            button.press()


def test_no_address_but_to_root_in_mode_1(guest, lab, button, restrict):
    linear = None
    places, seen, contexts = set(), "", set()
    for number, (method, context) in enumerate(held_by_every_method(button)):
        contexts.add(context)
        event = lab.events("button")[-1]
        assert (event.method, event.what) == (method, "allocated")
        shown = {}
        for mode in MODES:
            restrict(mode)
            shown[mode] = button.live()["address"]
            text = guest.sh(f"cd {button.directory}; cat {READABLE}")
            seen += text if mode != 1 else text.replace(shown[1], "")
            # What the log says of a free and of a refusal in this mode.
            assert button.write("size", "0x1") == "EINVAL"
            if number % len(MODES) == mode and context == "thread":
                button.software_press(2)
        # The log's address, the address, none: in each mode what the kernel shows root itself.
        assert shown[0] == lab.events("button")[-1].address
        assert RAW.fullmatch(shown[1]) and shown[2] == "0" * 16
        restrict(0)
