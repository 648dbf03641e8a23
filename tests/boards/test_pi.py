# SPDX-License-Identifier: GPL-2.0
"""On a model of a Raspberry Pi (--board): beside the core of the end-to-end tests, what is the
board's own.
"""

import re

import pytest

from lab import HAVE_TRACING, STANDARD, TRACING
from pi import MODELS
from test_device import hold, take

pytestmark = pytest.mark.core
BOOT = STANDARD
NAMES = {"raspi3b": "Raspberry Pi 3 Model B", "raspi4b": "Raspberry Pi 4 Model B"}
LINE = 17
# Of a page table entry of arm64: which of the kernel's memory attributes the page has.
ATTRIBUTES, CACHED, NOT_CACHED = 7 << 2, 0 << 2, 2 << 2


def test_board_and_line(group, guest, button):
    board = group.run.board
    assert NAMES.keys() == MODELS.keys()
    assert guest.sh("tr -d '\\0' </proc/device-tree/model") == NAMES[board]
    taken = guest.sh(f"grep '^ *{button.irq()}:' /proc/interrupts")
    assert re.search(rf" pinctrl-bcm2835 +{LINE} Edge +", taken), taken
    # The pin is the button's, and has its function from the overlay.
    pins = guest.sh("cat /sys/kernel/debug/pinctrl/*/pinmux-pins")
    assert re.search(rf"^pin {LINE} \(gpio{LINE}\): button .* function gpio_in group gpio{LINE}$",
                     pins, re.M), pins


def test_every_injected_interrupt_is_an_edge(button):
    methods = len(button.methods())
    button.inject(2 * methods, cpus="0", gap_us=10000)
    assert button.wait_counter("presses", 2 * methods) == 2 * methods
    assert button.counters("edges", "bounces", "failures") == (2 * methods, 0, 0)
    assert button.counters("allocs", "frees") == (methods, methods)


@pytest.mark.ours
@pytest.mark.parametrize("method, wanted", [("vmalloc", CACHED), ("coherent", NOT_CACHED)])
def test_attributes_of_a_mapping(guest, button, method, wanted):
    """The trees of these boards call no device coherent."""
    hold(button, method)
    probes, event = f"{TRACING}/kprobe_events", "vmf_insert_pfn_prot"
    guest.sh(f"{HAVE_TRACING}; "
             f"echo 'p:{event} {event} attributes=%x3:u64' >{probes}; echo >{TRACING}/trace; "
             f"echo 1 >{TRACING}/events/kprobes/{event}/enable")
    got = take(guest, button, "open", "map,0,0,1", "set,0,0,11", "read,0,0,1")
    # The trace goes with the probe.
    seen = guest.sh(f"echo 0 >{TRACING}/events/kprobes/{event}/enable; cat {TRACING}/trace; "
                    f"echo >{probes}")
    assert got == ["0", "0", "0", "11"]
    attributes, = map(int, re.findall(r" attributes=(\d+)$", seen, re.M))
    assert attributes & ATTRIBUTES == wanted


@pytest.mark.ours
@pytest.mark.command
def test_registers_are_the_drivers(command):
    """Debian's kernel keeps a driver's registers to it, and the command names the option."""
    said = command("gpio 22", 3)
    assert "/dev/mem: mmap: Operation not permitted" in said
    assert "CONFIG_IO_STRICT_DEVMEM" in said and "iomem=relaxed" in said
