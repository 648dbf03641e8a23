# SPDX-License-Identifier: GPL-2.0
"""Presses while memory runs out: failures are said, nothing hangs, everything comes back."""

import re
import time

import storm
from lab import PL061, Boot, node, nodes
from storm import emptied, figures_of, list_of, settled

CPUS = {"own": ([2], [1, 2, 4])}
# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"own": 66}
BOOT = Boot("pressure", overlays=(PL061, nodes(node("fast", 4, "debounce-interval = <0>"))),
            memory=64)
# What is pressed: method, size, and how many presses: (quick, full).
LARGE = {"vmalloc": ("1M", (60, 600)), "kmalloc": ("4M", (120, 1200)),
         "pages": ("1M", (120, 1200)), "coherent": ("4M", (120, 1200)),
         "kvmalloc": ("2M", (60, 600)), "krealloc": ("2M", (60, 600)),
         "list": ("1024", (60, 600))}
GAP_US = 2000
GAP_LIMIT_US = 20000000
# Of the monitor's 100 in a second.
TICKS = 2
HANG_SECONDS = 120
FIRST_SECONDS = 3
SECONDS = 600
# What the kernel may keep for itself of what was available before.
KEPT = 0.08
PAGE_KIB = 4

pytest_generate_tests = storm.for_each_cpus
fixture_boot = storm.fixture_boot


def available(guest):
    """The memory that is available, in KiB, once the caches are emptied; free pages of CPUs too."""
    text = guest.sh("sync; echo 3 >/proc/sys/vm/drop_caches; cat /proc/meminfo /proc/zoneinfo")
    pages = map(int, re.findall(r"^ +count: +(\d+)$", text, re.MULTILINE))
    return int(re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE)[1]) + \
        sum(pages) * PAGE_KIB


def begin(guest):
    """Start the hog with its monitor; what the test itself runs is not to be a victim."""
    # A list of all processes for each victim is of no use here.
    guest.sh("echo 0 >/proc/sys/vm/oom_dump_tasks; echo -1000 >/proc/self/oom_score_adj; "
             "/root/hog >/tmp/hog.said 2>&1 & echo $! >/tmp/hog.pid")


def end(guest):
    """End the hog; return its figures and its monitor's."""
    said = guest.sh("pid=$(cat /tmp/hog.pid); kill $pid; while kill -0 $pid 2>/dev/null; do "
                    "usleep 10000; done; echo 0 >/proc/self/oom_score_adj; cat /tmp/hog.said",
                    SECONDS)
    return figures_of(said, r"^killed \d+ held \d+ ticks \d+ longest_gap_us \d+$")


def test_memory_runs_out(full, count, guest, lab, cpus):
    button = lab.button("fast")
    # What the kernel allocates when memory runs out for the first time is its own.
    first = len(guest.log)
    begin(guest)
    guest.wait_log("Out of memory: Killed process", first, timeout=120)
    time.sleep(FIRST_SECONDS)
    end(guest)
    before = available(guest)
    begin(guest)
    start = time.monotonic()
    edges = 0
    for method, (size, presses) in LARGE.items():
        button.set(size="default", method=method)
        button.set(size=size)
        button.inject(presses[full], list_of(cpus), gap_us=GAP_US, timeout=SECONDS)
        edges += presses[full]
        # Nothing hangs: each press comes to its end while memory is short.
        assert button.wait_counter("presses", edges, HANG_SECONDS) == edges
    seconds = time.monotonic() - start
    figures = end(guest)

    # User space went on all the time, and the hog was what had to go.
    assert figures["longest_gap_us"] < GAP_LIMIT_US, figures
    assert figures["ticks"] > seconds * TICKS, figures
    assert figures["killed"] > 0, figures

    # What failed was said, and counted where it belongs.
    counters = settled(button, edges)
    methods = button.stats()[1]
    assert counters["failures"] > 0 and methods["kmalloc"]["failures"] > 0
    assert all(counts["allocs"] + counts["failures"] > 0
               for method, counts in methods.items() if method in LARGE)
    failed = [event for event in lab.events("fast") if event.what == "failed"]
    assert failed and {event.error for event in failed} == {"ENOMEM"}

    # Recovery is complete.
    counters = emptied(button, edges)
    after = available(guest)
    assert after > before * (1 - KEPT), (before, after)
    button.set(size="default", method="cycle")
    cycle = 2 * len(methods)
    button.software_press(cycle)
    again = settled(button, edges, counters["presses"] - edges + cycle)
    assert again["failures"] == counters["failures"]
    for method, counts in button.stats()[1].items():
        assert counts["allocs"] == methods[method]["allocs"] + 1
    count("presses", edges + cycle)
