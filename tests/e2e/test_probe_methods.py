# SPDX-License-Identifier: GPL-2.0
"""A node for each method that has something allocated at probe, and one that cannot have it."""

import re

import pytest

from guest.events import Event
from guest.row import CLONE
from lab import DEBUGFS, DRIVER, PL061, PROBE_FAILED, Boot, bank, load_sim, node, nodes

AT_PROBE = "alloclab,at-probe"
# The methods of the driver's table: a name in camel case is one with underscores.
METHODS = [re.sub(r"\B(?=[A-Z])", "_", name).lower() for name in re.findall(
    r"^ +\w+::(\w+),$", (CLONE / "src/method/table.rs").read_text(encoding="utf-8"), re.MULTILINE)]
NAMES = {f"at-probe-{number}": method for number, method in enumerate(METHODS)}
EBUSY = 16
BOOT = Boot("probe-methods", kernel_modules=["gpio-sim"], overlays=(PL061, nodes(
    bank(len(METHODS) + 1),
    # The last node is bound first. There is one static buffer for all, and another node has it.
    node("late", len(METHODS), AT_PROBE, 'alloclab,method = "static"', parent="sim"),
    *(node(name, line, AT_PROBE, f'alloclab,method = "{method}"', parent="sim")
      for line, (name, method) in enumerate(NAMES.items())))))


@pytest.fixture(name="probed")
def fixture_probed(guest, row, lab):
    """The lab with all nodes bound: the names of those that have each method."""
    load_sim(guest, row)
    for name in NAMES:
        guest.wait_log(rf"^alloclab {name}: ready: ", lab.start)
    guest.wait_log("^alloclab late: probe with driver alloclab failed ", lab.start)
    return list(NAMES)


def test_each_method(lab, probed):
    assert lab.button().methods() == METHODS
    for name in probed:
        method = NAMES[name]
        event = lab.at_probe(name, method)
        button = lab.button(name)
        live = button.live()
        assert (live["method"], live["size"], live["press"]) == (method, str(event.bytes), "0")
        assert button.counters("presses", "edges", "allocs", "frees", "failures") == (0, 0, 1, 0, 0)
        # The first press frees it, and the next one allocates.
        button.software_press(2)
        freed, again = lab.events(name)[1:]
        assert freed == Event(name, method, "freed", event.bytes, 1, event.address)
        assert (again.what, again.press) == ("allocated", 2)


def test_unbind_and_unload(guest, lab, probed):
    for name in probed[1:]:
        guest.sh(f"echo {name} >{DRIVER}/unbind")
    lab.unload()
    for name in probed:
        event, freed = lab.events(name)
        what = "left" if NAMES[name] == "devm" else "freed"
        assert freed == Event(name, NAMES[name], what, event.bytes, None, event.address)


def test_failure_is_that_of_probe(guest, lab, probed):
    failed, end = lab.texts("late")
    assert re.fullmatch(r"static: allocation of \d+ bytes failed: EBUSY \(probe\)", failed)
    assert int(PROBE_FAILED.match(end)[1]) == EBUSY
    assert guest.run(f"ls -d {DEBUGFS}/late {DRIVER}/late").output.count("No such") == 2
    # It can be had once the other has gone.
    holder, = [name for name in probed if NAMES[name] == "static"]
    guest.sh(f"echo {holder} >{DRIVER}/unbind; echo late >{DRIVER}/bind")
    assert [event.what for event in lab.events("late")] == ["failed", "allocated"]
