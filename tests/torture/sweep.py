# SPDX-License-Identifier: GPL-2.0
"""The fault sweep: each allocation is failed in turn, and the failure is told and harmless.

For each operation the n-th allocation fails, n = 1, 2, ..., until a run has none left to fail;
first allocations by slabs, then by pages. What the kernel itself allocates for the operation
counts too: in the module loader, the driver core, sysfs, the thread that makes threads. A failure
is either told to who asked (with ENOMEM) or does no harm: the kernel goes without a uevent or an
attribute, or a reserve is used. After each one the counters balance and the next operation works.
Where a slab needs a page is not the same in each run, so of pages what is the n-th may differ, too.
After each test the slab caches, vmallocinfo and dma-debug show nothing left; after each group of
tests (load; bind; unbind and files; presses) kmemleak finds nothing, in quick scale after all:
a leak is then told with the group's or the whole sweep's name, and with where it was allocated.
In quick scale, the long operations have only some of their allocations failed,
which the table says, and some methods stand for all.
"""

import re
from collections import Counter
from typing import NamedTuple, Optional, Sequence

from guest.events import parse_all, parse_methods
from lab import DEBUGFS, DRIVER, STANDARD, Boot, bank, node, nodes

# Nodes that nothing has bound before: their interrupt is mapped with the first bind of all.
COLD = [f"cold{line}" for line in range(64)]
# One that has something allocated at probe.
EARLY = "early"
# One whose interrupt is no cells.
WRONG = "wrong"
SWEPT = Boot("sweep", overlays=(*STANDARD.overlays, nodes(
    bank(len(COLD) + 1), node(WRONG, None, "interrupts = [00 04]"),
    node(EARLY, len(COLD), "alloclab,at-probe", parent="sim"),
    *(node(name, line, parent="sim") for line, name in enumerate(COLD)))))
# One that has every property.
NODE = "tutorial"
# The one in hard context.
HARD = "interrupt"
QUICK_METHODS = ["kmalloc", "vmalloc", "page", "krealloc"]
QUICK_FILES = ["press", "stats"]
# What is written to each file. The file `press` has sweeps of its own.
WRITES = {"method": "vmalloc", "size": "64", "gfp": "kernel+zero", "context": "thread",
          "settings": "method=vmalloc size=64"}
# What is done to the device file, and the methods that have it show something.
DEVICE_VERBS = ("open", "read", "write", "map", "touch")
OWN_PAGES = ("vmalloc", "page", "pages", "coherent")
# The operations of a press, by the file and by the words of the file `context`; {} is a method.
PRESS = {"{}: alloc", "{}: free"}
CONTEXTS = {"thread": "{}: alloc in thread", "hard": "{}: alloc in interrupt"}
# The functions of the module that the kernel calls, by the names that /proc/kallsyms has after the
# load (that which loads is gone then) -> the operation that each carries out.
CALLED = {"cleanup_module": "unload", "probe_callback": "bind", "remove_callback": "{}: unbind",
          "post_unbind_callback": "{}: unbind", "thread_fn_callback": CONTEXTS["thread"],
          "handle_threaded_irq_callback": CONTEXTS["hard"]}
# It is there where the kernel has I2C, and allocates nothing. That bus has a sweep of its own.
SHUTDOWN = "shutdown_callback"
FAULT = "/sys/kernel/debug"
KINDS = ("failslab", "fail_page_alloc")
SECONDS = 5400
# What the detectors allocate for themselves: functions of which nothing that they call is failed.
# kmemleak has a reserve of its own, so that this saves time; dma-debug turns itself off.
KMEMLEAK = "__alloc_object"
DMA_DEBUG = "add_dma_entry"
# What the kernel says where it goes without, or gives up.
GIVES_UP = r"^kobject: kobject_add_internal failed for \S+ \(error: -12"
# Maps a device's interrupt, once and for all.
MAP_IRQ = "irq_create_of_mapping"


class After(NamedTuple):
    """An action after a failed allocation, itself without a failure."""

    error: Optional[str]
    action: str
    log: Sequence[str]      # the driver's lines of the kernel log meanwhile
    shown: Sequence[str]    # what the action has shown

    @property
    def events(self):
        """The driver's events."""
        return parse_all(self.log)

    @property
    def counters(self):
        """What `counters` has shown: presses, allocs, frees, failures, bytes_held."""
        return tuple(map(int, self.shown[0].split()))


class Site(NamedTuple):
    """One run of an operation, its n-th allocation failed."""

    number: int
    error: Optional[str]
    left: int               # of `number`; 0: it was failed
    log: Sequence[str]
    after: Sequence[After]

    @property
    def events(self):
        """The driver's events."""
        return parse_all(self.log)


def parse(output):
    """The sites of a run of /root/fault."""
    sites = []
    log = shown = []
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "site":
            number, error, left = rest.split()
            log, after = [], []
            sites.append(Site(int(number), None if error == "0" else error, int(left), log, after))
            shown = []
        elif word == "after":
            error, _, action = rest.partition(" ")
            log = []
            sites[-1].after.append(After(None if error == "0" else error, action, log, shown))
            shown = []
        elif word == "show":
            shown.append(rest)
        elif word == "log":
            log.append(rest)
        else:
            raise AssertionError(output)
    return sites


class Sweep:
    """Fails allocations in a guest, and keeps the table of how many."""

    def __init__(self, guest, table):
        self.guest = guest
        self.table = table
        self.scan = False       # whether a group ends here, to be looked through for leaks

    def range(self, function):
        """Where a function of the kernel is: two addresses."""
        if function not in self.table.ranges:
            text = self.guest.sh(f"grep -m1 -A1 ' {function}$' /proc/kallsyms")
            self.table.ranges[function] = [f"0x{line.split()[0]}" for line in text.splitlines()]
        return self.table.ranges[function]

    def module(self, name="alloclab"):
        """Where the driver is: two addresses. It must be loaded."""
        start, size = self.guest.sh(f"cat /sys/module/{name}/sections/.text; "
                                    f"grep '^{name} ' /proc/modules").split()[0:3:2]
        return start, hex(int(start, 16) + int(size))

    def within(self, function, name="alloclab"):
        """Where a function of the driver is, by the end of its name: two addresses."""
        lines = sorted(self.guest.sh(f"grep '.{name}.$' /proc/kallsyms").splitlines())
        symbols = [line.split()[:3] for line in lines]
        start, = (address for address, _, symbol in symbols
                  if symbol.startswith("_R") and symbol.endswith(function))
        end = min(address for address, *_ in symbols if address > start)
        return f"0x{start}", f"0x{end}"

    def arrange(self, kind, spared, only=None):
        """Have allocations of this kind fail, of the other none.

        None under the function `spared` either; `only` are two addresses, under which alone.
        """
        start, end = only or ("0", hex((1 << 64) - 1))
        spare = self.range(spared)
        common = {"ignore-gfp-wait": "N", "verbose": 0, "times": 0, "stacktrace-depth": 32,
                  "require-start": start, "require-end": end,
                  "reject-start": spare[0], "reject-end": spare[1]}
        # No cache is marked for the filter; no order is that large.
        values = {
            "failslab": {**common, "cache-filter": "N" if kind == "failslab" else "Y"},
            "fail_page_alloc": {**common, "ignore-gfp-highmem": "N",
                                "min-order": 0 if kind == "fail_page_alloc" else 20}}
        for name, files in values.items():
            # Of no consequence where a thread's allocations are counted.
            files["probability"] = 100 if only and name == kind else 0
            writes = " && ".join(f"echo {value} >{file}" for file, value in files.items())
            self.guest.sh(f"cd {FAULT}/{name} && {writes}")

    def off(self):
        """Have nothing fail any more."""
        self.guest.sh(f"cd {FAULT} && for kind in {' '.join(KINDS)}; do "
                      "echo 0 >$kind/probability && echo 0 >$kind/times || exit; done")

    def run(self, row, kind, operation, *, before=(), after=(), thread=None, hard=False, step=1,
            first=1, error=None):
        """Fail each allocation of an operation in turn; return the sites that were failed.

        None is skipped: the numbers have no gap, each was injected, and the last run, with
        nothing failed, has made no more allocations than were failed. `step` skips some; those
        before `first` were failed by another run. `error` is what the operation ends with when
        nothing fails.
        """
        options = [*(("-p", action) for action in before), ("-o", operation),
                   *(("-a", action) for action in after)]
        options += [("-t", thread)] * bool(thread) + [("-d", f"{FAULT}/{kind}")] * hard
        options += [("-s", str(step))] * (step > 1) + [("-f", str(first))] * (first > 1)
        result = self.guest.run(
            "/root/fault " + " ".join(f"{option} '{value}'" for option, value in options), SECONDS)
        assert result.status == 0, result.output
        sites = parse(result.output)
        *failed, last = sites
        assert [site.number for site in sites] == list(range(first, last.number + 1, step))
        assert all(site.left == 0 for site in failed)
        assert 0 < last.left <= last.number and last.error == error
        assert not any("lines dropped" in line for site in sites
                       for line in [*site.log, *(line for entry in site.after
                                                 for line in entry.log)])
        self.table.add(row, kind, len(failed), step)
        return failed

    def refused(self, row, kind, number):
        """Note how many of the failed allocations the user was told of; the others did no harm."""
        self.table.told[row, kind] += number


class Table:
    """How many allocations were failed, by operation and kind of failure."""

    def __init__(self):
        self.failed = {}
        self.notes = {}         # operation -> which of its allocations were not failed
        self.told = Counter()
        self.ranges = {}        # of the kernel's functions, asked for once

    def add(self, row, kind, number, step):
        """Note a run."""
        self.failed[row, kind] = self.failed.get((row, kind), 0) + number
        self.notes.setdefault(row, "" if step == 1 else f"each {step}th")

    def __str__(self):
        lines = [f"{'operation':30}" + "".join(f"{kind:>17}{'told':>7}" for kind in KINDS)]
        for row, note in self.notes.items():
            cells = "".join(f"{self.failed.get((row, kind), 0):>17}{self.told[row, kind]:>7}"
                            for kind in KINDS)
            lines.append(f"{row:30}{cells}  {note}".rstrip())
        total = sum(self.failed.values())
        skipped = "none was skipped" + (" but where it says so" if any(self.notes.values()) else "")
        return "\n".join([*lines, f"{total} allocations failed, {skipped}", ""])


def told(site, pattern):
    """Whether one line of the log, and no more, matches."""
    found = [line for line in site.log if re.search(pattern, line)]
    assert len(found) <= 1, site
    return bool(found)


def left_out(table, operations):
    """The operations that the table does not have, and those of it of which nothing was failed,
    but those that allocate nothing.
    """
    totals = Counter()
    for (row, _), number in table.failed.items():
        totals[row] += number
    return (operations - totals.keys()) | {
        row for row in totals if not totals[row]
        and not row.endswith(": free") and not row.startswith(("write ", "static: alloc"))}


def operations_of(guest, full):
    """All that can be done to the driver as the guest has it, by the names of the table.

    The guest is asked: which files a button has and what for, which methods and contexts they take,
    and which functions of the module the kernel calls. NODE and HARD are bound.
    """
    methods = chosen(guest, NODE, full)
    modes = {name: int(mode, 8) for name, mode in (line.split() for line in guest.sh(
        f"cd {files(NODE)} && stat -c '%n %a' *").splitlines())}
    written = {name for name, mode in modes.items() if mode & 0o200}
    assert written == {*WRITES, "press"}, written
    start = guest.mark()
    assert guest.run(f"echo '?' >{files(NODE)}/context").status != 0
    contexts = guest.log_since(start)[-1].partition("allowed are ")[2].split(", ")
    called = set(re.findall(r"cleanup_module|(?<=\d)[a-z_]+_callback",
                            guest.sh("grep '.alloclab.$' /proc/kallsyms")))
    called.discard(SHUTDOWN)
    assert called == CALLED.keys(), called
    found = {"load", *PRESS, *(CONTEXTS[word] for word in contexts),
             *(CALLED[name] for name in called), *(f"{verb} device file" for verb in DEVICE_VERBS)}
    for name in modes if full else QUICK_FILES:
        found.add(f"{'read' if modes[name] & 0o400 else 'open'} {name}")
        if name in WRITES:
            found.add(f"write {name}")
    some = {operation: methods if full else methods[:1] for operation in found}
    some |= {operation: methods for operation in PRESS}
    some[CONTEXTS["hard"]] = in_interrupt(guest, full)
    return {operation.format(method) for operation in found for method in some[operation]
            if full or operation != "unload"}


def files(node):
    """The directory of a node's files."""
    return f"{DEBUGFS}/{node}"


def fresh(node, **settings):
    """Actions: the node as after its first bind, with these settings."""
    return [f"write {DRIVER}/unbind {node}", f"write {DRIVER}/bind {node}",
            *(f"write {files(node)}/{name} {value}" for name, value in settings.items())]


def bind_with_an_allocation(sweep, row, name, module="alloclab", driver=DRIVER, *,
                            itself="failslab", spared=KMEMLEAK):
    """Fail what binding a device allocates that has something allocated at probe.

    What cannot be had at probe fails it; what was had before another failure is freed. Returns
    which events the binds had. `itself` is the kind of the allocation; None if it cannot fail.
    """
    outcomes = set()
    for kind in KINDS:
        # What comes before the driver and after it is as in test_bind.
        sweep.arrange(kind, spared, only=sweep.module(module))
        outcomes |= _bind(sweep, row, kind, name, module, driver)
    assert {(), ("allocated",)} <= outcomes, outcomes
    if itself:
        # Among all others its number is not the same in each run.
        sweep.arrange(itself, spared, only=sweep.within("carry_out", module))
        assert _bind(sweep, f"{row}, itself", itself, name, module, driver) == {("failed",)}
    return outcomes


def _bind(sweep, row, kind, name, module, driver):
    """The same for what is arranged; return which events each bind had before its end."""
    refused = (rf"^{module} \S+: (probe with driver {module} failed with error -12|"
               r"really_probe: driver_sysfs_add failed)$")
    outcomes = set()
    failed = sweep.run(row, kind, f"write {driver}/bind {name}",
                       after=[f"write {driver}/unbind {name}",
                              f"absent /sys/kernel/debug/{module}/{name}"])
    for site in failed:
        whats = tuple(event.what for event in site.events)
        if site.error:
            assert site.error == "ENOMEM" and told(site, refused), site
            assert whats in ((), ("failed",), ("allocated", "freed")), site
        else:
            assert whats == ("allocated",), site
        assert site.after[0].error == ("ENODEV" if site.error else None), site
        assert [event.what for event in site.after[0].events] == \
            ([] if site.error else ["freed"]), site
        assert site.after[1].error is None, site
        outcomes.add(whats)
    sweep.refused(row, kind, sum(bool(site.error) for site in failed))
    return outcomes


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


def chosen(guest, node, full):
    """The methods to be swept."""
    methods = parse_methods(guest.sh(f"cat {files(node)}/method"))[0]
    assert set(QUICK_METHODS) < set(methods)
    return methods if full else QUICK_METHODS


def in_interrupt(guest, full):
    """Those of them that take hard context."""
    return [method for method in chosen(guest, HARD, full)
            if guest.run(f"echo {method} >{files(HARD)}/method").status == 0]


def is_press(operation):
    """Whether an operation is a press."""
    return ": alloc" in operation or operation.endswith(": free")
