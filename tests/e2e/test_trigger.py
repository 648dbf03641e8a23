# SPDX-License-Identifier: GPL-2.0
"""The trigger is the node's, one edge: falling or rising; a line keeps the one that it has."""

import pytest

from guest.events import READY
from lab import (CHIP, DRIVER, FALLING, PL061, PROBE_FAILED, RISING, Boot, bank, load_sim, node,
                 nodes)

NONE = 0
# Two nodes want line 2, each with another edge.
LINES = {"rising": 0, "unsaid": 1, "one": 2, "other": 2}
TRIGGERS = {"rising": RISING, "unsaid": NONE, "one": FALLING, "other": RISING}
WORDS = {FALLING: "falling edge", RISING: "rising edge"}
# The button of the other overlay, wired the other way round.
BUTTON = "/dts-v1/;\n/plugin/;\n&{/button} { interrupts = <3 1>; };\n"
BOOT = Boot("trigger", kernel_modules=["gpio-sim"], overlays=[PL061, BUTTON, nodes(bank(3), *(
    node(name, line, "debounce-interval = <0>", trigger=TRIGGERS[name], parent="sim")
    for name, line in LINES.items()))])


@pytest.fixture(name="sim")
def fixture_sim(guest, row, lab):
    """The lab, with the buttons of the simulated controller bound."""
    load_sim(guest, row)
    for name in ("rising", "unsaid"):
        guest.wait_log(rf"^alloclab {name}: ready: ", lab.start)
    guest.wait_log("^alloclab (one|other): ready: ", lab.start)
    guest.wait_log(r"^alloclab (one|other): interrupts: \[", lab.start)
    return lab


def pull(sim, name, how):
    """Pull a button's line up or down; return how many edges the button has seen so far."""
    sim.guest.sh(f"echo pull-{how} >$(echo {CHIP}/sim_gpio{LINES[name]}/pull); usleep 50000")
    return sim.button(name).counters("edges")[0]


def test_real_rising_edges(button):
    for _ in range(4):
        button.press()
    assert button.counters("edges", "presses", "bounces") == (4, 4, 0)


def test_release_is_no_edge_where_the_press_is_a_rising_one(sim):
    seen = [pull(sim, "rising", how) for how in ("up", "down", "up", "down")]
    assert seen == [1, 1, 2, 2]


def test_falling_where_neither_node_nor_line_says(guest, sim):
    # The second time the line has the trigger of the first.
    for _ in range(2):
        seen = [pull(sim, "unsaid", how) for how in ("up", "down", "up", "down")]
        assert seen == [0, 1, 1, 2]
        sim.rebind("unsaid")
    assert guest.run(f"test -e {DRIVER}/unsaid").status == 0


def test_node_that_contradicts_its_line(guest, sim):
    winner, loser = sorted(("one", "other"), key=lambda name: READY.match(
        sim.texts(name)[-1]) is None)
    has, says = WORDS[TRIGGERS[winner]], WORDS[TRIGGERS[loser]]
    wrong = (f"interrupts: [00 00 00 02 00 00 00 0{TRIGGERS[loser]}] is not valid (the node says "
             f"{says}, irq {sim.button(winner).irq()} has {has} already): "
             "allowed is one edge, the same in both")

    def refused():
        """Check that the last that was said of the loser is why it was refused."""
        said, failed = sim.texts(loser)[-2:]
        assert said == wrong and PROBE_FAILED.match(failed)[1] == "22"

    refused()
    # The line is the other's, and stays as it is.
    up, down = pull(sim, winner, "up"), pull(sim, winner, "down")
    assert (up, down) == ((0, 1) if TRIGGERS[winner] == FALLING else (1, 1))
    # It keeps its trigger where nobody has it.
    guest.sh(f"cd {DRIVER}; echo {winner} >unbind; ! echo {loser} >bind 2>/dev/null")
    refused()
    guest.sh(f"echo {winner} >{DRIVER}/bind")
    up, down = pull(sim, winner, "up"), pull(sim, winner, "down")
    assert (up, down) == ((0, 1) if TRIGGERS[winner] == FALLING else (1, 1))
    # The kernel was not even asked.
    assert not [line for line in guest.log_since(sim.start) if "type mismatch" in line]
