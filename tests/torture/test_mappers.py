# SPDX-License-Identifier: GPL-2.0
"""Mapping, faults, presses, unbind, fork and munmap of the device file at once, on four CPUs."""

import pytest

from lab import PL061, Boot, node, nodes
from storm import figures_of

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"own": 40, "debug": None}
# Method -> pages: what each node allocates after each bind.
PAGES = {"vmalloc": 16, "pages": 4, "page": 1, "coherent": 8}
BOOT = Boot("mappers", cpus=4, memory=1024, overlays=(PL061, nodes(*(
    node(f"by-{method}", 4 + place, f'alloclab,method = "{method}"',
         f"alloclab,size = <{4096 * pages}>")
    for place, (method, pages) in enumerate(PAGES.items())))))
# (quick, full)
SECONDS = {"own": (3, 60), "debug": (1, 60)}
SAID = r"^mapped \d+ touched \d+ sigbus \d+ .*$"


@pytest.mark.parametrize("unbound", [False, True], ids=["bound", "unbound"])
@pytest.mark.parametrize("method", PAGES)
def test_all_at_once(row, guest, lab, full, count, method, unbound):
    name = f"by-{method}"
    button = lab.button(name)
    seconds = SECONDS[row.variety][full]
    result = guest.run(f"/root/mappers {name} {seconds} {PAGES[method]} "
                       f"{'unbind' if unbound else ''}", 180 + 10 * seconds)
    assert result.status == 0, result.output
    figures = figures_of(result.output, SAID)
    print(figures)
    for what in ("mapped", "touched", "sigbus", "nothing", "reads", "writes", "presses"):
        assert figures[what] > 0, figures
    assert (figures["unbinds"] > 0) == unbound
    assert figures["split"] > 0 or PAGES[method] < 3
    live = button.live()
    assert live is None or live["mapped"] == "0"
    presses, allocs, frees, failures = button.counters("presses", "allocs", "frees", "failures")
    assert presses == allocs + frees + failures and allocs - frees == (live is not None)
    assert unbound or presses == figures["presses"]
    count("presses", figures["presses"])
