# SPDX-License-Identifier: GPL-2.0
"""A controller whose lines are nested in a thread: the hard half runs in that thread."""

import pytest

from guest.events import READY
from lab import PL061, Boot, node, nodes

pytestmark = [pytest.mark.wide, pytest.mark.edges]
LINE = 1
BOOT = Boot("nested", overlays=(PL061, nodes(
    'nested: controller { compatible = "alloclab,nested"; interrupt-controller; '
    "#interrupt-cells = <2>; }",
    node("expander", LINE, "debounce-interval = <0>", parent="nested"))))


@pytest.fixture(name="expander")
def fixture_expander(guest, lab):
    """The button on the controller, whose driver came after the button's."""
    assert not lab.texts("expander")
    guest.sh("insmod /root/alloclab_nested.ko")
    guest.wait_log(r"^alloclab expander: ready: ", lab.start)
    yield lab.button("expander")
    guest.sh("rmmod alloclab_nested")


def press(expander, count=1):
    """Press the button; the press is carried out before the write returns."""
    expander.guest.sh(f"for i in $(seq {count}); do "
                      f"echo {LINE} >/sys/kernel/debug/alloclab_nested || exit; done")


def test_ready_says_nested(lab, expander):
    ready, = lab.texts("expander")
    assert READY.match(ready)["nested"] == " (nested)"
    assert READY.match(lab.texts("button")[-1])["nested"] is None
    press(expander)
    assert [event.what for event in lab.events("expander")] == ["allocated"]


def test_every_method_in_the_controllers_thread(lab, expander):
    methods = expander.methods()
    press(expander, 2 * len(methods))
    done = [(event.method, event.what) for event in lab.events("expander")]
    assert done == [(method, what) for method in methods for what in ("allocated", "freed")]
    assert expander.edges_in() == (0, 0, 2 * len(methods))
    assert expander.counters("presses", "bounces") == (2 * len(methods), 0)


@pytest.mark.hard
def test_hard_half_allocates_in_the_controllers_thread(lab, expander):
    expander.set(method="raw_kmalloc", gfp="atomic", context="hard")
    press(expander)
    assert lab.events("expander")[-1].what == "allocated"
    assert expander.live()["context"] == "hard"
    press(expander)
    assert lab.events("expander")[-1].what == "freed"
    assert expander.edges_in() == (0, 0, 2)
