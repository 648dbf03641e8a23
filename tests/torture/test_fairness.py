# SPDX-License-Identifier: GPL-2.0
"""A storm of presses leaves the processor to programs and to another interrupt's thread."""

import re
import time

import storm
from lab import PL061, Boot, node, nodes

CPUS = {"own": ([1, 2], [1, 2]), "stock": ([1, 2], [1, 2])}
# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"own": None, "stock": 36}
BOOT = Boot("fairness", overlays=(PL061, nodes(
    node("fast", 4, "debounce-interval = <0>", 'alloclab,method = "kzalloc"',
         "alloclab,size = <0x100000>"))))
# Of 1 MiB each, they are more than can be carried out while it is measured.
STORM = 100000
OTHER_PRESSES = 4
MILLISECONDS = 10000
MEASURED = re.compile(r"^windows=(\d+) starved=(\d+) gap_us=\d+ share=\d+ presses=(\d+) "
                      r"press_us=(\d+)$")

pytest_generate_tests = storm.for_each_cpus
fixture_boot = storm.fixture_boot


def test_storm_of_waiting_presses(cpus, guest, lab, count):
    stormed, other = lab.button("fast"), lab.button()
    # Others come and go while grep looks, of which it says so in its status.
    thread = guest.run(f"grep -ls '^irq/{stormed.irq()}-' /proc/[0-9]*/comm").output.split("/")[2]
    guest.sh(f"/root/ticks idle {thread}")
    stormed.inject(STORM, cpus=str(cpus - 1))
    assert stormed.counters("edges") == (STORM,)

    start = len(guest.log)
    # The shell shares what is measured: it is done before, and what is said comes by the log.
    guest.sh("(sleep 1; exec /root/ticks "
             f"{MILLISECONDS} {other.directory}/stats {thread}) >/dev/kmsg &")
    guest.wait_log("^begins$", start)
    for _ in range(OTHER_PRESSES):
        guest.press()
        time.sleep(0.4)
    measured = guest.wait_log(MEASURED, start, timeout=60)[1]
    # The storm is still on: what was measured was measured in it.
    assert stormed.counters("presses")[0] < STORM
    windows, starved, presses, press_us = map(int, measured.groups())
    # With a thread that does not pause, nine of ten windows are starved, and no press comes. A
    # busy host stops the whole guest for seconds.
    assert starved * 2 < windows, measured.string
    assert presses == OTHER_PRESSES and press_us < 7000000, measured.string

    stormed.set(size=64)
    assert stormed.wait_counter("presses", STORM, 120) == STORM
    edges, bounces, allocs, frees, failures = stormed.counters(
        "edges", "bounces", "allocs", "frees", "failures")
    assert (edges, bounces, allocs + frees + failures) == (STORM, 0, STORM)
    assert (stormed.live() is None) == (allocs == frees)
    assert other.counters("edges", "presses", "bounces") == (OTHER_PRESSES, OTHER_PRESSES, 0)
    count("presses", STORM + OTHER_PRESSES)
