# SPDX-License-Identifier: GPL-2.0
"""The fault sweep of presses, in every context; sweep.py says what a sweep is."""

import re
from collections import Counter

from lab import DRIVER
from sweep import (DMA_DEBUG, HARD, KINDS, KMEMLEAK, NODE, SWEPT, check_works, chosen, files, fresh,
                   in_interrupt, is_press, left_out, operations_of, works)

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"debug": 114}
BOOT = SWEPT
# Whose bookkeeping by the DMA debugging is not the driver's. Of the others kmemleak's is not.
DMA_METHODS = {"coherent", "dmapool"}
# They have a second allocator, a reserve, or nothing that could fail.
SURE = {"kvmalloc", "mempool", "static"}
# More than a slab holds.
LARGE = 16384
ATTEMPTS = 5


def press(sweep, row, kind, method, operation, **options):
    """Fail what a press that allocates does; return of how many failures it told."""
    node = options.pop("node", NODE)
    failed = sweep.run(row, kind, operation, **options,
                       after=[f"counters {files(node)}", *works(node)])
    refusals = 0
    for site in failed:
        assert site.error is None, site
        presses, allocs, frees, failures, held = site.after[0].counters
        event, = site.events
        assert (event.method, event.press, presses, frees) == (method, 1, 1, 0), site
        assert all(entry.error is None for entry in site.after), site
        if failures:
            assert (event.what, event.error, allocs, held) == ("failed", "ENOMEM", 0, 0), site
            check_works(site.after[1:])
        else:
            assert (event.what, allocs, held) == ("allocated", 1, event.bytes), site
            assert site.after[2].counters == (2, 1, 1, 0, 0), site
            assert site.after[4].counters == (3, 2, 1, 0, event.bytes), site
        refusals += failures
    sweep.refused(row, kind, refusals)
    return refusals


def spared(method):
    """The function of the kernel's under which allocations of a press are not the driver's."""
    return DMA_DEBUG if method in DMA_METHODS else KMEMLEAK


def test_press(guest, sweep, full):
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    methods = chosen(guest, NODE, full)
    large = {method for method in methods if guest.run(
        f"cd {files(NODE)} && echo default >size && echo kernel >gfp && echo {method} >method && "
        f"echo {LARGE} >size").status == 0}
    assert {"kmalloc", "vmalloc", "krealloc"} <= large
    told_of = {}
    for kind in KINDS:
        for method in methods:
            sweep.arrange(kind, spared(method))
            # Of a small one it would depend on the slabs whether it takes a page.
            size = LARGE if kind == "fail_page_alloc" and method in large else "default"
            ready = [*fresh(NODE, size="default", gfp="kernel", method=method),
                     f"write {files(NODE)}/size {size}"]
            operation = f"write {files(NODE)}/press 1"
            # Which allocation is the large one changes where a slab needs a page between two runs.
            for _ in range(ATTEMPTS):
                told_of[method, kind] = \
                    press(sweep, f"{method}: alloc", kind, method, operation, before=ready)
                if told_of[method, kind] or size != LARGE or method in SURE:
                    break
            # Nothing that frees may fail.
            failed = sweep.run(f"{method}: free", kind, operation, before=[*ready, operation],
                               after=[f"counters {files(NODE)}", *works(NODE)])
            for site in failed:
                assert site.error is None and site.after[0].counters == (2, 1, 1, 0, 0), site
                assert [event.what for event in site.events] == ["freed"], site
                check_works(site.after[1:])
    assert {method for method, kind in told_of
            if not any(told_of[method, kind] for kind in KINDS)} == SURE & set(methods)
    assert all(told_of[method, "fail_page_alloc"] for method in large - SURE), told_of


def irq_of(guest, node):
    """The node's interrupt, which stays the same."""
    start = guest.mark()
    guest.sh(f"cd {DRIVER}; echo {node} >unbind; echo {node} >bind")
    return re.search(rf"alloclab {node}: ready: irq (\d+)", "\n".join(guest.log_since(start)))[1]


def test_press_in_thread(guest, sweep, full):
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    irq = irq_of(guest, NODE)
    told_of = Counter()
    for kind in KINDS:
        for method in chosen(guest, NODE, full)[:None if full else 1]:
            sweep.arrange(kind, spared(method))
            told_of[method] += press(
                sweep, f"{method}: alloc in thread", kind, method, f"edge {irq} {files(NODE)}",
                before=fresh(NODE, size="default", gfp="kernel", method=method),
                # The name of a thread is cut.
                thread=f"irq/{irq}-alloclab"[:15])
    assert {method for method in told_of if not told_of[method]} == SURE & set(told_of)


def test_press_in_interrupt(guest, sweep, full):
    """fail-nth does not count there: so what the module's code allocates is counted."""
    guest.sh(f"insmod /root/alloclab.ko; echo {HARD} >{DRIVER}/bind")
    irq = irq_of(guest, HARD)
    methods = in_interrupt(guest, full)
    assert methods
    refusals = 0
    for kind in KINDS:
        for method in methods:
            sweep.arrange(kind, spared(method), only=sweep.module())
            refusals += press(sweep, f"{method}: alloc in interrupt", kind, method, f"edge {irq}",
                              before=fresh(HARD, method=method), hard=True, node=HARD)
    assert refusals


def test_no_operation_was_left_out(guest, sweep, table, full):
    guest.sh(f"insmod /root/alloclab.ko; cd {DRIVER}; echo {NODE} >bind; echo {HARD} >bind")
    operations = {operation for operation in operations_of(guest, full) if is_press(operation)}
    assert left_out(table, operations) == set()
