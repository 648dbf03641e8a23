# SPDX-License-Identifier: GPL-2.0
"""Allocations in memory that is free page by page only."""

import re
import warnings

import pytest

from lab import STANDARD, STANDARD_NODES

BOOT = STANDARD
MIB = 1 << 20
PAGES = 256
# Pages that a CPU keeps for itself become a block when it gives them back, at any time.
ATTEMPTS = 5
SPARED_KIB = 16 << 10
COMPACTION = "/proc/sys/vm/compact_unevictable_allowed"


def large_blocks(guest):
    """How many blocks of a MiB are free for the kernel's own use."""
    # Their orders are 8, 9 and 10.
    rows = [row.split()[-3:] for row in guest.sh("cat /proc/pagetypeinfo").splitlines()
            if re.search(r", type +(Unmovable|Movable|Reclaimable) +(\d+ +){10}\d+", row)]
    assert rows
    return sum(int(count) << order for row in rows for order, count in enumerate(row))


@pytest.fixture(name="fragmented")
def fixture_fragmented(guest, lab):
    """Every second page of most memory is free, and the large blocks are used up."""
    guest.sh(f"[ ! -e {COMPACTION} ] || echo 0 >{COMPACTION}; "
             "mkdir -p /tmp/fragment; cd /tmp/fragment; "
             "free=$(awk '/^MemFree:/ { print $2 }' /proc/meminfo); "
             f"/root/fragment $((free - {SPARED_KIB})) >ready & echo $! >/tmp/fragment/pid; "
             "until grep -q ready /tmp/fragment/ready; do kill -0 $! && usleep 50000 || exit; "
             "done", 60)
    # Where vmalloc looks for large blocks first, this gets them all; else it is harmless.
    for hog in [lab.button(name) for name in STANDARD_NODES if name != "button"]:
        large = large_blocks(guest)
        if large:
            hog.hold(context="thread", gfp="kernel", method="vmalloc", size=(large + 2) * MIB)
    yield
    guest.sh("kill $(cat /tmp/fragment/pid); rm -r /tmp/fragment; "
             f"[ ! -e {COMPACTION} ] || echo 1 >{COMPACTION}")


@pytest.mark.usefixtures("fragmented")
def test_vmalloc_of_a_mib(guest, button):
    for method in ("vmalloc", "vzalloc", "raw_vmalloc"):
        for _ in range(ATTEMPTS):
            left = large_blocks(guest)
            event, live = button.hold(method=method, size=MIB)
            runs = button.runs()
            # Freed before it is looked again: what is freed may become a large block.
            button.software_press()
            assert (event.pages, int(live["pages"]), sum(run[2] for run in runs)) == (PAGES,) * 3
            assert event.runs == int(live["runs"]) == len(runs)
            assert int(live["longest_run"]) == max(run[2] for run in runs)
            assert live["contiguous"] == ("yes" if len(runs) == 1 else "no")
            if len(runs) > 1 or left > 0:
                break
        if len(runs) == 1:
            assert left > 0, "no block of a MiB was free"
            warnings.warn(f"{method}: 1 MiB came out contiguous: {left} such blocks were free")
