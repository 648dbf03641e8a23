# SPDX-License-Identifier: GPL-2.0
"""Nodes that have something allocated at probe, on every kernel that has nodes."""

import re

import pytest

from guest.events import Event
from lab import DRIVER, PL061, Boot, node, nodes

AT_PROBE = "alloclab,at-probe"
BOOT = Boot("probe", overlays=(PL061, nodes(
    node("turn", 4, AT_PROBE, 'alloclab,gfp = "noio"'),
    node("hard", 5, AT_PROBE, 'alloclab,gfp = "atomic"', 'alloclab,context = "hard"'),
    *(node(f"by-{method}", line, AT_PROBE, f'alloclab,method = "{method}"')
      for line, method in enumerate(("devm", "coherent"), 6)))))
pytestmark = [pytest.mark.wide, pytest.mark.edges]


def test_cycle_begins_with_the_first_method_that_can(lab):
    over = re.findall(r"^cycle: passed over, as (\w+) ", "\n".join(lab.texts("turn")), re.M)
    button = lab.button("turn")
    methods = button.methods()
    first, second, *_ = [method for method in methods if method not in over]
    assert first != methods[0]
    lab.at_probe("turn", first)
    button.software_press(2)
    assert [event.method for event in lab.events("turn")] == [first, first, second]


@pytest.mark.hard
def test_probe_is_no_interrupt(lab):
    lab.at_probe("hard", "kmalloc")
    assert lab.button("hard").live()["context"] == "thread"


@pytest.mark.parametrize("method, what", [("devm", "left"), ("coherent", "freed")])
def test_unbind_and_bind_again(guest, lab, method, what):
    name = f"by-{method}"
    got = lab.at_probe(name, method)
    guest.sh(f"cd {DRIVER}; echo {name} >unbind; echo {name} >bind")
    event, freed, again = lab.events(name)
    assert event == got
    assert freed == Event(name, method, what, got.bytes, None, got.address)
    assert (again.what, again.bytes, again.press) == ("allocated", got.bytes, None)
