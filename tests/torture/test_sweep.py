# SPDX-License-Identifier: GPL-2.0
"""The fault sweep: each allocation is failed in turn, and the failure is told and harmless.

For each operation the n-th allocation fails, n = 1, 2, ..., until a run has none left to fail;
first allocations by slabs, then by pages. What the kernel itself allocates for the operation
counts too: in the module loader, the driver core, sysfs, the thread that makes threads. A failure
is either told to who asked (with ENOMEM) or does no harm: the kernel goes without a uevent or an
attribute, or a reserve is used. After each one the counters balance and the next operation works.
After each test the slab caches, vmallocinfo and dma-debug show nothing left; after each group of
tests (load; bind; unbind and files; presses) kmemleak finds nothing, in quick scale after all:
a leak is then told with the group's or the whole sweep's name, and with where it was allocated.
In quick scale, the long operations have only some of their allocations failed,
which the table says, and some methods stand for all.
"""

import re

import pytest

from detectors import unreferenced
from lab import DEBUGFS, DRIVER, READABLE, STANDARD, Boot, Lab, bank, node, nodes
from sweep import DMA_DEBUG, KINDS, KMEMLEAK, MAP_IRQ, Sweep, Table, told

# Nodes that nothing has bound before: their interrupt is mapped with the first bind of all.
COLD = [f"cold{line}" for line in range(64)]
BOOT = Boot("sweep", overlays=(*STANDARD.overlays, nodes(
    bank(len(COLD)), *(node(name, line, parent="sim") for line, name in enumerate(COLD)))))
AUTOPROBE = "/sys/bus/platform/drivers_autoprobe"
LOAD = "load /root/alloclab.ko preload_kmalloc=64 preload_vmalloc=4096"
# One that has every property.
NODE = "tutorial"
HARD = "interrupt"
QUICK_METHODS = ["kmalloc", "vmalloc", "page"]
# They have a second allocator, a reserve, or nothing that could fail.
SURE = {"kvmalloc", "mempool", "static"}
REFUSED_LOAD = (r"^alloclab: (preload_\w+: allocation of \d+ bytes failed|"
                r"debugfs: the directory cannot be made|the driver cannot be registered): ")
REFUSED_PROBE = (r"^alloclab \S+: (probe with driver alloclab failed with error -1[12]|"
                 r"really_probe: driver_sysfs_add failed)$")
WRITES = {"method": "vmalloc", "size": "64", "gfp": "kernel+zero", "context": "thread"}
# What the kernel says where it goes without, or gives up.
EXPECTED = [r"^kobject: kobject_add_internal failed for \S+ \(error: -12"]


@pytest.fixture(scope="module", name="table")
def fixture_table(request):
    """The table of this module, written to sweep.txt."""
    table = Table()
    yield table
    print(table)
    sweep_txt = request.config.getoption("--logs").with_name("sweep.txt")
    sweep_txt.write_text(str(table), encoding="utf-8")


@pytest.fixture(name="sweep")
def fixture_sweep(guest, table, full, count):
    """Failures to order; afterwards nothing of the driver is left."""
    guest.expected += EXPECTED
    lab = Lab(guest)
    guest.sh(f"echo 0 >{AUTOPROBE}")
    before = sum(table.failed.values())
    sweep = Sweep(guest, table)
    yield sweep
    count("sites_failed", sum(table.failed.values()) - before)
    if not guest.running:
        return
    sweep.off()
    left = guest.sh("grep -H . /sys/kernel/debug/dma-api/disabled; "
                    r"grep ' \(button\|fast\|slow\|tutorial\|interrupt\|cold[0-9]*\) ' "
                    "/sys/kernel/debug/dma-api/dump; true")
    unbound = left.replace("/sys/kernel/debug/dma-api/disabled:N\n", "")
    lab.finish()
    assert unbound == ""
    if full and sweep.scan:
        assert unreferenced(guest) == ""


def files(node):
    """The directory of a node's files."""
    return f"{DEBUGFS}/{node}"


def fresh(node, **settings):
    """Actions: the node as after its first bind, with these settings."""
    return [f"write {DRIVER}/unbind {node}", f"write {DRIVER}/bind {node}",
            *(f"write {files(node)}/{name} {value}" for name, value in settings.items())]


def works(node):
    """Actions: one press allocates, the next frees."""
    press = f"write {files(node)}/press 1"
    show = f"counters {files(node)}"
    return [press, show, press, show]


def check_works(after):
    """The same, carried out: with no failure before, or after one allocation that failed."""
    assert all(entry.error is None for entry in after), after
    held, freed = after[1].counters, after[3].counters
    assert held[1] - held[2] == 1 and held[4] > 0, after
    assert freed[1] == freed[2] == held[1] and freed[4] == 0, after
    for presses, allocs, frees, failures, _ in (held, freed):
        assert allocs + frees + failures == presses, after


def test_load(guest, sweep, full):
    sweep.scan = True
    guest.sh("insmod /root/alloclab.ko && rmmod alloclab")
    absent = [f"absent {DEBUGFS}", f"absent {DRIVER}", "absent /sys/module/alloclab"]
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        failed = sweep.run("load", kind, LOAD, step=1 if full else 16,
                           after=["unload alloclab", *absent, "load /root/alloclab.ko",
                                  f"write {DRIVER}/bind {NODE}", "unload alloclab"])
        for site in failed:
            refused = told(site, REFUSED_LOAD)
            if site.error:
                # Of a directory that cannot be made in sysfs, the driver core makes EINVAL.
                register = any("registered: EINVAL" in line for line in site.log)
                assert site.error == ("EINVAL" if register else "ENOMEM"), site
                assert refused == any(line.startswith("alloclab: ") for line in site.log), site
            else:
                assert not refused, site
            assert site.after[0].error == ("ENOENT" if site.error else None), site
            assert all(entry.error is None for entry in site.after[1:]), site
            both = [*site.log, *site.after[0].log]
            assert sum(" allocated " in line for line in both) == \
                sum(" frees " in line for line in both), site
        sweep.refused("load", kind, sum(bool(site.error) for site in failed))
        # In our own code as well as in the kernel's.
        assert not full or any(told(site, REFUSED_LOAD) for site in failed)


def bind(sweep, row, kind, node, **options):
    """Fail what binding a node allocates, in the task itself or in another thread."""
    unbind = [f"write {DRIVER}/unbind {node}", f"absent {files(node)}"]
    rebind = [f"write {DRIVER}/bind {node}", *works(node), *unbind]
    failed = sweep.run(row, kind, f"write {DRIVER}/bind {node}", **options,
                       after=[*unbind, *rebind])
    for site in failed:
        ready = any(": ready: irq " in line for line in site.log)
        if site.error:
            # What cannot become a thread may be EAGAIN.
            assert site.error == "ENOMEM" or "thread" in options and site.error == "EAGAIN", site
            # What failed before the driver was called is the writer's own.
            assert told(site, REFUSED_PROBE) == bool(site.log) and not ready, site
        else:
            assert ready and not told(site, REFUSED_PROBE), site
        assert site.after[0].error == ("ENODEV" if site.error else None), site
        assert all(entry.error is None for entry in site.after[1:]), site
        check_works(site.after[3:7])
    sweep.refused(row, kind, sum(bool(site.error) for site in failed))
    return failed


def first_bind(sweep, kind, cold):
    """Fail what mapping an interrupt allocates, which is never undone.

    A failure that does no harm maps it: what comes after is failed on the next node. The kernel
    says ENXIO to the driver, whatever the reason.
    """
    row = "first bind: interrupt"
    sweep.arrange(kind, KMEMLEAK, only=sweep.range(MAP_IRQ))
    sites = []
    more = True
    while more:
        node = next(cold)
        found = sweep.run(row, kind, f"write {DRIVER}/bind {node}", first=len(sites) + 1,
                          after=[f"write {DRIVER}/unbind {node}", f"absent {files(node)}"])
        sites += found
        # Otherwise it was mapped with none failed.
        more = found and not found[-1].error
    assert [site.number for site in sites] == list(range(1, len(sites) + 1))
    for site in sites:
        assert site.error in (None, "ENXIO"), site
        assert told(site, r": interrupts: .* is not valid \(ENXIO\)") == bool(site.error), site
        assert site.after[1].error is None, site
    sweep.refused(row, kind, sum(bool(site.error) for site in sites))


def test_bind(guest, sweep, full):
    guest.sh("insmod /root/alloclab.ko")
    cold = iter(COLD)
    for kind in KINDS:
        first_bind(sweep, kind, cold)
        sweep.arrange(kind, KMEMLEAK)
        bind(sweep, "bind", kind, NODE, step=1 if full else 8)


def test_bind_thread(guest, sweep):
    sweep.scan = True
    guest.sh("insmod /root/alloclab.ko")
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        failed = bind(sweep, "bind: interrupt's thread", kind, NODE, thread="kthreadd")
        for site in failed:
            assert told(site, f": interrupts: irq \\d+ cannot be had: {site.error}$") == \
                bool(site.error), site


def test_unbind(guest, sweep, full):
    """What is held is freed whatever fails."""
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        failed = sweep.run("unbind", kind, f"write {DRIVER}/unbind {NODE}",
                           before=[*fresh(NODE, method="vmalloc"), f"write {files(NODE)}/press 1"],
                           after=[f"write {DRIVER}/unbind {NODE}", f"absent {files(NODE)}",
                                  f"write {DRIVER}/bind {NODE}", *works(NODE)])
        for site in failed:
            # Only the write itself can fail.
            assert site.error in (None, "ENOMEM"), site
            assert site.after[0].error == (None if site.error else "ENODEV"), site
            freed = [*site.events, *site.after[0].events]
            assert [event.what for event in freed] == ["freed"], site
            assert all(entry.error is None for entry in site.after[1:3]), site
            check_works(site.after[3:])
        sweep.refused("unbind", kind, sum(bool(site.error) for site in failed))
    guest.sh(f"echo {NODE} >{DRIVER}/unbind")
    if not full:
        return
    for kind in KINDS:
        guest.sh("rmmod alloclab")
        sweep.arrange(kind, KMEMLEAK)
        failed = sweep.run("unload", kind, "unload alloclab",
                           before=["load /root/alloclab.ko", f"write {DRIVER}/bind {NODE}",
                                   f"write {files(NODE)}/press 1"],
                           after=[f"absent {DEBUGFS}", f"absent {DRIVER}", "load /root/alloclab.ko",
                                  "unload alloclab"])
        for site in failed:
            assert site.error is None, site
            assert [event.what for event in site.events] == ["freed"], site
            assert all(entry.error is None for entry in site.after), site
        guest.sh("insmod /root/alloclab.ko")


def test_files(guest, sweep, full):
    sweep.scan = True
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    names = guest.sh(f"ls {files(NODE)}").split()
    assert sorted(names) == sorted([*READABLE, "press"])
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        for name in names if full else ["press", "stats"]:
            path = f"{files(NODE)}/{name}"
            verb = "read" if name in READABLE else "open"
            failed = sweep.run(f"{verb} {name}", kind, f"{verb} {path}",
                               before=fresh(NODE), after=[f"{verb} {path}", *works(NODE)])
            operations = [(f"{verb} {name}", failed)]
            if name in WRITES:
                failed = sweep.run(f"write {name}", kind, f"write {path} {WRITES[name]}",
                                   before=fresh(NODE), after=[f"read {path}", *works(NODE)])
                operations.append((f"write {name}", failed))
            for row, failed in operations:
                for site in failed:
                    assert site.error in (None, "ENOMEM") and site.after[0].error is None, site
                    check_works(site.after[1:])
                sweep.refused(row, kind, sum(bool(site.error) for site in failed))


def chosen(guest, node, full):
    """The methods to be swept."""
    words = guest.sh(f"cat {files(node)}/method").split()
    methods = [word for word in words if word.strip("[]") != "cycle"]
    methods = [word.strip("[]") for word in methods]
    assert SURE < set(methods) and set(QUICK_METHODS) < set(methods)
    return methods if full else QUICK_METHODS


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


def test_press(guest, sweep, full):
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    told_of = {}
    for kind in KINDS:
        sweep.arrange(kind, DMA_DEBUG)
        for method in chosen(guest, NODE, full):
            ready = fresh(NODE, size="default", gfp="kernel", method=method)
            operation = f"write {files(NODE)}/press 1"
            told_of[method] = told_of.get(method, 0) + \
                press(sweep, f"{method}: alloc", kind, method, operation, before=ready)
            # Nothing that frees may fail.
            failed = sweep.run(f"{method}: free", kind, operation, before=[*ready, operation],
                               after=[f"counters {files(NODE)}", *works(NODE)])
            for site in failed:
                assert site.error is None and site.after[0].counters == (2, 1, 1, 0, 0), site
                assert [event.what for event in site.events] == ["freed"], site
                check_works(site.after[1:])
    assert {method for method, number in told_of.items() if not number} == SURE & set(told_of)


def irq_of(guest, node):
    """The node's interrupt, which stays the same."""
    start = guest.mark()
    guest.sh(f"cd {DRIVER}; echo {node} >unbind; echo {node} >bind")
    return re.search(rf"alloclab {node}: ready: irq (\d+)", "\n".join(guest.log_since(start)))[1]


def test_press_in_thread(guest, sweep, full):
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    irq = irq_of(guest, NODE)
    for kind in KINDS:
        sweep.arrange(kind, DMA_DEBUG)
        for method in chosen(guest, NODE, full)[:None if full else 1]:
            press(sweep, f"{method}: alloc in thread", kind, method, f"edge {irq} {files(NODE)}",
                  before=fresh(NODE, size="default", gfp="kernel", method=method),
                  # The name of a thread is cut.
                  thread=f"irq/{irq}-alloclab"[:15])


def test_press_in_interrupt(guest, sweep, full):
    """fail-nth does not count there: so what the module's code allocates is counted."""
    guest.sh(f"insmod /root/alloclab.ko; echo {HARD} >{DRIVER}/bind")
    irq = irq_of(guest, HARD)
    text = int(guest.sh("cat /sys/module/alloclab/sections/.text"), 16)
    size = int(guest.sh("grep '^alloclab ' /proc/modules").split()[1])
    methods = [method for method in chosen(guest, HARD, full)
               if guest.run(f"echo {method} >{files(HARD)}/method").status == 0]
    assert methods
    refusals = 0
    for kind in KINDS:
        sweep.arrange(kind, DMA_DEBUG, only=(hex(text), hex(text + size)))
        for method in methods:
            refusals += press(sweep, f"{method}: alloc in interrupt", kind, method, f"edge {irq}",
                              before=fresh(HARD, method=method), hard=True, node=HARD)
    assert refusals


def test_nothing_leaked(guest):
    assert unreferenced(guest) == ""
