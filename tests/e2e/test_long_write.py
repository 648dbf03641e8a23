# SPDX-License-Identifier: GPL-2.0
"""A million presses in one write leave the processor to others, on kernels of every preemption."""

import re

import pytest

from lab import PL061, Boot, node, nodes

BOOT = Boot("long-write", cpus=1, overlays=(PL061, nodes(node("other", 4))))
pytestmark = [pytest.mark.wide, pytest.mark.edges]
MEASURED = re.compile(r"begins\nwindows=(\d+) starved=(\d+) ")


def test_other_programs_run(guest, lab, button):
    other = lab.button("other")
    # Other allocators, such as vmalloc, give way themselves.
    button.set(method="kzalloc", size="64K")
    said = guest.sh(f"echo 1000000 >{button.directory}/press & "
                    f"/root/ticks 8000 {other.directory}/stats; "
                    # It goes on all the time, and a signal ends it.
                    "kill -0 $! || exit; kill $!; ! wait $!", 120)
    windows, starved = map(int, MEASURED.match(said).groups())
    # Where it does not give way, it is all but a few. A busy host stops the guest for seconds.
    assert windows >= 80 and starved * 2 < windows, said
    presses, allocs, frees = button.counters("presses", "allocs", "frees")
    assert 0 < presses < 1000000 and allocs + frees == presses
    assert other.counters("presses") == (0,)
