# SPDX-License-Identifier: GPL-2.0
"""The button without a line, which `button=1` makes: no node, no interrupt, pressed by its file."""

import pytest

from guest.events import REMARKS
from lab import DRIVER, STANDARD, errno

BOOT = STANDARD
pytestmark = pytest.mark.wide
NAME = "alloclab.0"
DEVICE = f"/sys/bus/platform/devices/{NAME}"
READY = "ready: no line, debounce 5 ms, method cycle"


@pytest.fixture(name="button")
def fixture_button(lab):
    """The button without a line."""
    if lab.guest.row.tree:
        lab.unload()
        lab.load("button=1")
    return lab.button(NAME)


def test_none_unless_it_is_asked_for(guest, lab):
    lab.unload()
    guest.sh(f"insmod {lab.file}")
    assert guest.sh(f"cat /sys/module/{lab.driver}/parameters/button") == "N\n"
    assert guest.run(f"ls -d {DEVICE} {DRIVER}/{NAME}").status != 0


@pytest.mark.core
def test_ready_without_a_line(guest, lab, button):
    assert lab.texts(NAME) == [READY]
    assert guest.run(f"test -e {DEVICE}/of_node").status != 0
    # Each of the others, which have a node, has an interrupt. This one has none.
    interrupts = [line for line in guest.sh("cat /proc/interrupts").splitlines()
                  if line.endswith("alloclab")]
    nodes = guest.sh(f"ls -d {DRIVER}/*/of_node 2>/dev/null; true").split()
    assert len(interrupts) == len(nodes)
    assert button.counters("edges", "presses", "bounces") == (0, 0, 0)


@pytest.mark.core
def test_every_method_by_its_file(lab, button):
    methods = button.methods()
    for method in methods:
        button.software_press()
        live = button.live()
        got = lab.events(NAME)[-1]
        assert (got.method, got.what, live["method"], live["address"]) == \
            (method, "allocated", method, got.address)
        assert live["label"] == NAME
        assert ("dma" in live) == (got.dma is not None) == (method in ("coherent", "dmapool"))
        button.software_press()
        assert lab.events(NAME)[-1].what == "freed"
    counters, each = button.stats()
    assert {name: (counts["allocs"], counts["frees"], counts["failures"])
            for name, counts in each.items()} == {method: (1, 1, 0) for method in methods}
    assert (counters["edges"], counters["presses"]) == (0, 2 * len(methods))
    assert {method for method, _ in lab.remarks(NAME)} == set(REMARKS) & set(methods)


def test_refusals(button):
    assert "allowed are 1 to 1000000" in button.refused("press", "0", "EINVAL")
    assert button.refused("method", "heap", "EINVAL")
    assert button.refused("size", "0", "EINVAL")
    button.set(method="kmalloc")
    assert button.refused("size", str(1 << 40), "E2BIG")


@pytest.mark.core
def test_unbind_and_rmmod_while_held(guest, lab, button):
    button.software_press()
    guest.sh(f"echo {NAME} >{DRIVER}/unbind")
    assert guest.run(f"test -e {button.directory}").status != 0
    guest.sh(f"echo {NAME} >{DRIVER}/bind")
    assert lab.texts(NAME)[-1] == READY
    button.software_press()
    lab.unload()
    events = [(event.what, event.press) for event in lab.events(NAME)]
    assert events == [("allocated", 1), ("freed", None)] * 2
    assert guest.run(f"test -e {DEVICE}").status != 0


def test_values_of_the_parameter(guest, lab):
    lab.unload()
    for value in ("2", "-1", "maybe", "kmalloc"):
        assert errno(guest.run(f"insmod {lab.file} button='{value}'")) == "EINVAL", value
        assert not lab.loaded()
    lab.load("button=0")
    assert guest.run(f"test -e {DEVICE}").status != 0
    lab.unload()
    before = len(lab.texts(NAME))
    lab.load("button=y")
    assert lab.texts(NAME)[before:] == [READY]
