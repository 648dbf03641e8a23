# SPDX-License-Identifier: GPL-2.0
"""The fault sweep of load, bind, unbind, unload and the files; sweep.py says what a sweep is."""

from lab import DEBUGFS, DRIVER, READABLE
from sweep import (COLD, DEVICE_VERBS, EARLY, HARD, KINDS, KMEMLEAK, MAP_IRQ, NODE, OWN_PAGES,
                   QUICK_FILES, SWEPT, WRITES, WRONG, bind_with_an_allocation, check_works,
                   chosen, files, fresh, is_press, left_out, operations_of, told, works)

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"debug": 126}
BOOT = SWEPT
LOAD = "load /root/alloclab.ko preload_kmalloc=64 preload_vmalloc=4096 button=1"
REFUSED_LOAD = (r"^alloclab: (preload_\w+: allocation of \d+ bytes failed|"
                r"the (?:I2C |SPI )?driver cannot be registered|"
                r"the button without a line cannot be made): ")
# What is only for looking: the load or the bind goes on without.
NO_DIRECTORY = r"^alloclab: debugfs: the directory cannot be made: ENOMEM$"
NO_FILES = (r"^alloclab \S+: no (debugfs (files|directory|file \w+): ENOMEM|"
            r"device file: (ENOMEM|EBUSY))$")
REFUSED_PROBE = (r"^alloclab \S+: (probe with driver alloclab failed with error -1[12]|"
                 r"really_probe: driver_sysfs_add failed)$")


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
                directory = any(line.endswith(("registered: EINVAL", "made: EINVAL"))
                                for line in site.log)
                assert site.error == ("EINVAL" if directory else "ENOMEM"), site
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
        assert not any(site.error for site in failed if told(site, NO_DIRECTORY)), failed


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


def test_files_that_cannot_be_made(guest, sweep):
    """They are said, and the load and the bind go on without."""
    guest.sh("insmod /root/alloclab.ko && rmmod alloclab")
    sweep.arrange("failslab", KMEMLEAK, only=sweep.range("debugfs_create_dir"))
    failed = sweep.run("load: directory", "failslab", "load /root/alloclab.ko",
                       after=["unload alloclab", f"absent {DEBUGFS}"])
    # A failure may do no harm.
    assert any(told(site, NO_DIRECTORY) for site in failed), failed
    assert not any(site.error for site in failed), failed
    guest.sh("insmod /root/alloclab.ko")
    for function, row in (("debugfs_create_dir", "bind: directory"),
                          ("__debugfs_create_file", "bind: files")):
        sweep.arrange("failslab", KMEMLEAK, only=sweep.range(function))
        failed = bind(sweep, row, "failslab", NODE)
        assert any(told(site, NO_FILES) for site in failed), failed
        assert not any(site.error for site in failed), failed


def test_bind_refused(guest, sweep):
    """What is wrong with an interrupt is said as it is, or what could not be read."""
    guest.sh("insmod /root/alloclab.ko")
    unread = 0
    for kind in KINDS:
        # What comes before the driver and after it is as in test_bind.
        sweep.arrange(kind, KMEMLEAK, only=sweep.module())
        failed = sweep.run("bind: wrong interrupt", kind, f"write {DRIVER}/bind {WRONG}",
                           error="ENXIO", after=[f"absent {files(WRONG)}"])
        for site in failed:
            assert site.error in ("ENXIO", "ENOMEM") and site.after[0].error is None, site
            said = told(site, r": interrupts: .* is not valid \(ENXIO\)")
            cannot = told(site, r": interrupt\S+: cannot be read: ENOMEM$")
            early = site.error == "ENOMEM" and told(site, REFUSED_PROBE)
            assert said + cannot + early == len(site.log) == 1, site
            unread += cannot
        sweep.refused("bind: wrong interrupt", kind, len(failed))
    assert unread


def test_bind_with_an_allocation(guest, sweep):
    """What cannot be had at probe fails it; what was had before another failure is freed."""
    # Its interrupt is mapped then.
    guest.sh(f"insmod /root/alloclab.ko; cd {DRIVER}; echo {EARLY} >bind; echo {EARLY} >unbind")
    outcomes = bind_with_an_allocation(sweep, "bind: at probe", EARLY)
    # Its interrupt comes last.
    assert ("allocated", "freed") in outcomes, outcomes


def test_bind_thread(guest, sweep):
    sweep.scan = True
    guest.sh("insmod /root/alloclab.ko")
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        failed = bind(sweep, "bind: interrupt's thread", kind, NODE, thread="kthreadd")
        for site in failed:
            assert told(site, f": interrupts: irq \\d+ cannot be had: {site.error}$") == \
                bool(site.error), site


def unbind(sweep, kind, method):
    """Fail what unbinding a node allocates; what it holds is freed all the same."""
    failed = sweep.run(f"{method}: unbind", kind, f"write {DRIVER}/unbind {NODE}",
                       before=[*fresh(NODE, size="default", gfp="kernel", method=method),
                               f"write {files(NODE)}/press 1"],
                       after=[f"write {DRIVER}/unbind {NODE}", f"absent {files(NODE)}",
                              f"write {DRIVER}/bind {NODE}", *works(NODE)])
    for site in failed:
        # Only the write itself can fail.
        assert site.error in (None, "ENOMEM"), site
        assert site.after[0].error == (None if site.error else "ENODEV"), site
        freed, = [*site.events, *site.after[0].events]
        assert (freed.what, freed.method) == ("left" if method == "devm" else "freed", method), site
        assert all(entry.error is None for entry in site.after[1:3]), site
        check_works(site.after[3:])
    sweep.refused(f"{method}: unbind", kind, sum(bool(site.error) for site in failed))


def test_unbind(guest, sweep, full):
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        for method in chosen(guest, NODE, full)[:None if full else 1]:
            unbind(sweep, kind, method)
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
        for name in names if full else QUICK_FILES:
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


def test_files_with_something_held(guest, sweep, full):
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        for method in chosen(guest, NODE, full)[:None if full else 1]:
            ready = fresh(NODE, size="default", gfp="kernel", method=method)
            for name in ("live", "pages"):
                row = f"read {name}: {method} held"
                press, read = f"write {files(NODE)}/press 1", f"read {files(NODE)}/{name}"
                failed = sweep.run(row, kind, read, before=[*ready, press],
                                   after=[read, press, *works(NODE)])
                for site in failed:
                    assert site.error in (None, "ENOMEM"), site
                    assert not any(entry.error for entry in site.after[:2]), site
                    check_works(site.after[2:])
                sweep.refused(row, kind, sum(bool(site.error) for site in failed))


def test_device_file(guest, sweep, full):
    sweep.scan = True
    guest.sh(f"insmod /root/alloclab.ko; echo {NODE} >{DRIVER}/bind")
    path = f"/dev/alloclab/{NODE}"
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK)
        for method in OWN_PAGES if full else OWN_PAGES[:1]:
            ready = fresh(NODE, settings=f"method={method} size=4096 gfp=kernel", press=1)
            for verb in DEVICE_VERBS:
                operation = f"{verb} {path}" + " text" * (verb == "write")
                row = f"{verb} device file"
                # Each with nothing open, and with nothing that was shared before.
                failed = sweep.run(row, kind, operation, before=ready,
                                   after=[operation, f"write {files(NODE)}/press 1", *works(NODE)])
                for site in failed:
                    assert site.error in (None, "ENOMEM"), site
                    assert not any(entry.error for entry in site.after[:2]), site
                    check_works(site.after[2:])
                sweep.refused(row, kind, sum(bool(site.error) for site in failed))


def test_no_operation_was_left_out(guest, sweep, table, full):
    guest.sh(f"insmod /root/alloclab.ko; cd {DRIVER}; echo {NODE} >bind; echo {HARD} >bind")
    parameters = guest.sh("ls /sys/module/alloclab/parameters").split()
    assert sorted(word.partition("=")[0] for word in LOAD.split()[2:]) == sorted(parameters)
    operations = {operation for operation in operations_of(guest, full)
                  if not is_press(operation)}
    assert left_out(table, operations) == set()
