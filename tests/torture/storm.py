# SPDX-License-Identifier: GPL-2.0
"""What the storm tests share: the buttons, the guests of 1, 2 and 4 CPUs, the invariants."""

import re

import pytest

from lab import PL061, Boot, node, nodes

# CPUs of the guests, by the kernel's variety: (quick, full).
CPUS = {"own": ([1, 2, 4], [1, 2, 4]), "debug": ([2], [1, 2, 4])}
# The button on line 3, one that is pressed by each edge, and one in hard context.
NODES = (node("fast", 4, "debounce-interval = <0>"),
         node("interrupt", 7, "debounce-interval = <0>", 'alloclab,gfp = "atomic"',
              'alloclab,context = "hard"'))
DEVICES = {"thread": "fast", "hard": "interrupt"}
BUTTONS = Boot("storm", overlays=(PL061, nodes(*NODES)))
LOST_SECONDS = 60


def devices(row):
    """Those of DEVICES that the row's kernel can have: on PREEMPT_RT no interrupt allocates."""
    return {context: name for context, name in DEVICES.items()
            if context != "hard" or row.config().get("PREEMPT_RT") != "y"}


def for_each_cpus(metafunc):
    """Run a module's tests in a guest for each number of CPUs, their argument `cpus`.

    The module says in CPUS which ones: variety of the kernel -> (quick, full). The others are left
    out by tests/collect.py.
    """
    if "cpus" in metafunc.fixturenames:
        choice = {cpus for scales in metafunc.module.CPUS.values() for cpus in sum(scales, [])}
        metafunc.parametrize("cpus", sorted(choice), ids="{}cpu".format, scope="module")


@pytest.fixture(name="boot", scope="module")
def fixture_boot(request, cpus):
    """The module's BOOT with so many CPUs; for modules that take it as their own."""
    boot = request.module.BOOT
    return boot._replace(name=f"{boot.name}-{cpus}", cpus=cpus)


def list_of(cpus):
    """The CPUs' numbers, as the injector takes them."""
    return ",".join(map(str, range(cpus)))


def settled(button, edges, software=0):
    """Wait until each press of so many edges was carried out, and check the counters.

    Nothing else presses the button: a lost wake-up leaves a press waiting. Returns the counters.
    """
    presses = edges + software
    button.wait_counter("presses", presses, LOST_SECONDS)
    counters, methods = button.stats()
    assert (counters["edges"], counters["bounces"], counters["presses"]) == (edges, 0, presses)
    held = button.live()
    assert counters["allocs"] - counters["frees"] == (0 if held is None else 1)
    assert counters["bytes_held"] == (0 if held is None else int(held["size"]))
    assert counters["allocs"] + counters["frees"] + counters["failures"] == presses
    for name in ("allocs", "frees", "failures"):
        assert sum(method[name] for method in methods.values()) == counters[name]
    return counters


def emptied(button, edges, software=0):
    """The same after a press that frees what is held, if anything: nothing is held then."""
    if settled(button, edges, software)["bytes_held"]:
        button.software_press()
        software += 1
    counters = settled(button, edges, software)
    assert counters["bytes_held"] == 0 and counters["allocs"] == counters["frees"]
    return counters


def figures_of(said, pattern):
    """The numbers that a program printed as `name number`, by name."""
    line, = re.findall(pattern, said, re.MULTILINE)
    words = line.split()
    return {name: int(number) for name, number in zip(words[::2], words[1::2])}
