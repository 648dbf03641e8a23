# SPDX-License-Identifier: GPL-2.0
"""Allocations in memory that is free page by page only."""

import re

import pytest

from lab import STANDARD

BOOT = STANDARD
MIB = 1 << 20
PAGES = 256
# Pages that a CPU keeps for itself become a block when it gives them back, at any time.
ATTEMPTS = 20
# For the kernel itself: it ends a process when it has too little.
SPARED_KIB = 48 << 10
COMPACTION = "/proc/sys/vm/compact_unevictable_allowed"


def in_blocks(guest):
    """How many pages are free for the kernel's own use in blocks of more than one."""
    rows = [row.split()[-10:] for row in guest.sh("cat /proc/pagetypeinfo").splitlines()
            if re.search(r", type +(Unmovable|Movable|Reclaimable) +(\d+ +){10}\d+", row)]
    assert rows
    return sum(int(count) << order for row in rows for order, count in enumerate(row, 1))


@pytest.fixture(name="fragmented")
def fixture_fragmented(guest, lab):
    """Every second page of most memory is free. Returns a button that can take what is not so."""
    guest.sh(f"[ ! -e {COMPACTION} ] || echo 0 >{COMPACTION}; "
             "mkdir -p /tmp/fragment; cd /tmp/fragment; "
             "free=$(awk '/^MemFree:/ { print $2 }' /proc/meminfo); "
             f"/root/fragment $((free - {SPARED_KIB})) >ready & echo $! >/tmp/fragment/pid; "
             "until grep -q ready /tmp/fragment/ready; do kill -0 $! && usleep 50000 || exit; "
             "done", 60)
    hog = lab.button("fast")
    hog.set(method="vmalloc")
    yield hog
    guest.sh("cd /tmp/fragment; kill $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do "
             "usleep 50000; done; cd /; rm -r /tmp/fragment; "
             f"[ ! -e {COMPACTION} ] || echo 1 >{COMPACTION}")


def take_blocks(guest, hog):
    """Have all blocks held by a button, as vmalloc takes the large ones first; return how many
    pages are left in blocks.
    """
    if hog.live():
        hog.software_press()
    hog.set(size=(in_blocks(guest) + PAGES) * guest.page_size, press=1)
    assert hog.live() is not None
    return in_blocks(guest)


def test_vmalloc_of_a_mib(guest, button, fragmented):
    for method in ("vmalloc", "vzalloc", "raw_vmalloc"):
        for _ in range(ATTEMPTS):
            # Also what the attempt before it has left.
            if take_blocks(guest, fragmented) >= PAGES:
                continue
            event, live = button.hold(method=method, size=MIB)
            runs = button.runs()
            button.software_press()
            assert (event.pages, int(live["pages"]), sum(run[2] for run in runs)) == (PAGES,) * 3
            assert event.runs == int(live["runs"]) == len(runs)
            assert int(live["longest_run"]) == max(run[2] for run in runs)
            assert live["contiguous"] == ("yes" if len(runs) == 1 else "no")
            if len(runs) > 1:
                break
        else:
            raise AssertionError(f"{method}: a MiB was free in one block, or came out of one, "
                                 f"{ATTEMPTS} times")
