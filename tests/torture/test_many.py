# SPDX-License-Identifier: GPL-2.0
"""64 buttons at once, on one simulated controller: each counts its own presses, exactly.

Every edge comes in the interrupt itself, half of them to buttons that allocate there.
"""

import time

import storm
from guest.events import parse_all, parse_stats
from lab import CHIP, DEBUGFS, PL061, Boot, bank, node, nodes

BUTTONS = 64
# Presses of each button: (quick, full).
PRESSES = {"own": (20, 300), "debug": (2, 40)}
CPUS = {"own": ([4], [1, 2, 4]), "debug": ([2], [1, 2, 4])}
SECONDS = 3600
LOST_SECONDS = 120
# Every method but the one that has one buffer for all buttons.
METHODS = "$(sed 's/\\[cycle\\]//; s/ static / /' sim0/method)"
# What the nodes of even and of odd lines say beside their line.
CONTEXTS = ([], ['alloclab,gfp = "atomic"', 'alloclab,context = "hard"'])
# The kernel holds all their lines, until the console has taken them.
LOG = "log_buf_len=16M"

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None, "own": 42}
BOOT = Boot("many", overlays=(PL061, nodes(bank(BUTTONS), *(
    node(f"sim{line}", line, "debounce-interval = <0>", *CONTEXTS[line % 2], parent="sim")
    for line in range(BUTTONS)))), append=LOG)

pytest_generate_tests = storm.for_each_cpus
fixture_boot = storm.fixture_boot


def all_stats(guest):
    """The counters of every button, by its name."""
    said = guest.sh(f"cd {DEBUGFS}; for i in $(seq 0 {BUTTONS - 1}); do echo @sim$i; "
                    "cat sim$i/stats; done", SECONDS)
    texts = dict(text.split("\n", 1) for text in said.split("@")[1:])
    return {name: parse_stats(text) for name, text in texts.items()}


def test_each_button_counts_its_own(row, full, count, guest, lab, cpus):
    presses = PRESSES[row.variety][full] | 1
    assert len(guest.sh(f"ls -d {DEBUGFS}/sim*").split()) == BUTTONS
    guest.sh(f"/root/pull {CHIP} {BUTTONS} {presses} {cpus}", SECONDS)
    stats, before = all_stats(guest), None
    until = time.monotonic() + LOST_SECONDS
    while (any(counters["presses"] < presses for counters, _ in stats.values())
           and time.monotonic() < until):
        before, stats = stats, all_stats(guest)
        if stats != before:
            until = time.monotonic() + LOST_SECONDS
    for name, (counters, methods) in stats.items():
        assert (counters["edges"], counters["presses"], counters["bounces"]) == \
            (presses, presses, 0), name
        assert counters["edges_in"] == {"hardirq": presses, "softirq": 0, "thread": 0}, name
        assert counters["allocs"] + counters["frees"] + counters["failures"] == presses, name
        assert counters["allocs"] - counters["frees"] == (counters["bytes_held"] > 0), name
        # One buffer for all: whoever finds it in use does not get it.
        assert counters["failures"] == methods["static"]["failures"], name
        count("presses", presses)


def test_unload_while_all_hold(guest, lab):
    # Another method for each, and then one press.
    guest.sh(f"cd {DEBUGFS}; set -- {METHODS}; for i in $(seq 0 {BUTTONS - 1}); do "
             "echo thread >sim$i/context && echo kernel >sim$i/gfp && echo $1 >sim$i/method && "
             "echo 1 >sim$i/press || exit; "
             'first=$1; shift; set -- "$@" $first; done', SECONDS)
    held = {name: counters["bytes_held"] for name, (counters, _) in all_stats(guest).items()}
    assert len(held) == BUTTONS and all(held.values())
    guest.sh("rmmod alloclab", SECONDS)
    last = {event.device: event for event in parse_all(guest.log_since(lab.start))}
    assert {name: last[name].bytes for name in held} == held
    assert all(last[name].what in ("freed", "left") and last[name].press is None for name in held)
