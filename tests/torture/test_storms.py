# SPDX-License-Identifier: GPL-2.0
"""Storms of edges with 1, 2 and 4 CPUs: no press is lost, none is carried out twice."""

import re

import pytest

import storm
from storm import BUTTONS, CPUS, devices, emptied, list_of, settled

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"own": 90, "debug": 96}
BOOT = BUTTONS
# Over all numbers of CPUs and both contexts: (quick, full).
EDGES = {"own": (48000, 1000000), "debug": (2000, 100000)}
# In each context, by the number of CPUs: most with two, where a press is taken just as often while
# an edge comes, and emulation is fastest.
BURSTS = {"own": ({1: 300, 2: 2500, 4: 200}, {1: 5000, 2: 20000, 4: 2000}),
          "debug": ({2: 100}, {1: 300, 2: 1500, 4: 300})}
# Of the edges, how many come while the settings change.
CHANGING = 8
SECONDS = 5400

pytest_generate_tests = storm.for_each_cpus
fixture_boot = storm.fixture_boot


@pytest.fixture(name="part")
def fixture_part(row, full):
    """A function that says how much of an amount, (quick, full), is one context's in one guest."""
    runs = len(CPUS[row.variety][full]) * len(devices(row))
    return lambda amounts: -(-amounts[row.variety][full] // runs)


@pytest.fixture(name="buttons")
def fixture_buttons(row, lab):
    """The buttons to be stormed, by their context: without debounce, through all methods."""
    buttons = {context: lab.button(name) for context, name in devices(row).items()}
    for context, button in buttons.items():
        assert (button.read("context"), button.current()) == (f"{context}\n", "cycle")
    return buttons


def cycled(button):
    """The methods of the cycle: those that take the button's flags and context."""
    methods = [method for method in button.methods() if button.write("method", method) is None]
    button.set(method="cycle")
    return methods


def test_every_press_of_a_storm(part, count, cpus, buttons):
    for button in buttons.values():
        methods = cycled(button)
        # An odd number: something is held when the storm is over.
        edges = part(EDGES) | 1
        button.inject(edges, cpus=list_of(cpus), timeout=SECONDS)
        counters = settled(button, edges)
        assert counters["failures"] == 0 and counters["bytes_held"] > 0
        # The cycle went round in order.
        allocs = {name: counts["allocs"] for name, counts in button.stats()[1].items()}
        assert [name for name in allocs if allocs[name]] == methods
        numbers = [allocs[name] for name in methods]
        assert sum(numbers) == edges // 2 + 1 and max(numbers) - min(numbers) <= 1
        emptied(button, edges)
        count("presses", edges)


def test_last_press_of_each_burst(row, full, count, guest, cpus, buttons):
    bursts = BURSTS[row.variety][full][cpus]
    for button in buttons.values():
        guest.sh(f"insmod /root/alloclab_inject.ko irq={button.irq()}")
        result = guest.run(f"/root/bursts {button.directory} {cpus} {bursts}; status=$?; "
                           "rmmod alloclab_inject; exit $status", SECONDS)
        assert result.status == 0, result.output
        said = re.fullmatch(r"(\d+) bursts, (\d+) edges, slowest (\d+) ms\n", result.output)
        assert int(said[1]) == bursts
        edges = int(said[2])
        assert emptied(button, edges)["failures"] == 0
        count("presses", edges)


def test_settings_change_in_a_storm(part, count, cpus, buttons):
    for context, button in buttons.items():
        edges = part(EDGES) // CHANGING | 1
        back = "echo atomic >gfp; echo hard >context" if context == "hard" else "echo kernel >gfp"
        rounds = button.inject(edges, cpus=list_of(cpus), timeout=SECONDS, meanwhile=(
            "echo slab >method; echo 100 >size; echo 1 >press; echo thread >context; "
            "echo nowait >gfp; echo atomic >gfp; echo hard >context; echo kmalloc >method; "
            "echo thread >context; echo cycle >method; cat live pages stats >/dev/null; "
            f"echo default >size; {back}"))
        assert rounds > 0
        assert emptied(button, edges, rounds)["failures"] == 0
        count("presses", edges + rounds)
