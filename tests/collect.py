# SPDX-License-Identifier: GPL-2.0
"""Tests of several runs in one session of pytest, each with one result."""

import copy

import pytest
from _pytest.runner import runtestprotocol

from bench import record_of
from lab import SMP, STANDARD

# Marker -> option of the kernel, the values with which its tests are there, what another kernel
# lacks; nothing if it lacks nothing.
ONLY = {"edges": ("OF", ["y"], "edges: without device trees (CONFIG_OF) there is no line"),
        "hard": ("PREEMPT_RT", [None], "hard: with PREEMPT_RT no interrupt may allocate"),
        "preempt_rt": ("PREEMPT_RT", ["y"], ""),
        "traced": ("EVENT_TRACING", ["y"], "traced: without EVENT_TRACING nothing is traced"),
        "command": ("64BIT", ["y"], "command: it is built for 64 bits"),
        "terminal": ("SERIAL_8250_PCI", ["y"], ""),
        "debug_info": ("DEBUG_INFO", ["y"], ""),
        "late_sim": ("GPIO_SIM", ["m"], ""),
        "i2c": ("I2C_GPIO", ["y", "m"], "i2c: without I2C_GPIO there is no I2C bus"),
        "spi": ("SPI_GPIO", ["y", "m"], "spi: without SPI_GPIO there is no SPI bus"),
        "dummy": ("USB_DUMMY_HCD", ["y"], ""),
        "sleeps": ("PM_DEBUG", ["y"], ""),
        "usb": ("USB_XHCI_PCI", ["y", "m"], "usb: without USB_XHCI_PCI there is no USB bus")}
# So many tests may have the mark.
EXCUSED_MOST = 5
NEXT = pytest.StashKey()


def group_of(item):
    """The group that a collected test is in."""
    return item.callspec.params["group"]


def impossible(item, run, row):
    """Why a test is not for the kernel of a row, or not for this run; None if it is."""
    for mark in item.iter_markers():
        option, values, lacks = ONLY.get(mark.name, ("", [None], ""))
        if row.config().get(option) not in values:
            return lacks
        if mark.name == "excused" and mark.args[0] == row.variety:
            return mark.args[1]
        if (mark.name == "ours" and run.driver != "alloclab"
                or mark.name == "virt" and run.board):
            return ""
        if mark.name == "recorded" and record_of(row) is None:
            return "recorded: there is no record of these surroundings"
    if "cpus" in item.callspec.params:
        quick, full = item.module.CPUS.get(row.variety, ([], []))
        if item.callspec.params["cpus"] not in (full if run.scale == "full" else quick):
            return ""
    return None


def boot_of(module, row):
    """How a module wants its guest, of a row's kernel; None for one without BOOT.

    On a kernel with detectors those that race share a guest with the others: to look for leaks
    costs more there than anything else, and two processors a third more time.
    """
    boot = getattr(module, "BOOT", None)
    return STANDARD if boot == SMP and row.variety == "debug" else boot


def guest_of(item, row):
    """What modules are ordered by that share a guest; those without BOOT share none."""
    boot = boot_of(item.module, row)
    return (boot != STANDARD, boot is None, boot.name if boot else "")


def result_of(reports):
    """The result of a test, of the reports on its setup, its call and its teardown.

    It is the first that has not passed, a skip too; what else has failed is shown with it.
    """
    bad = [report for report in reports if not report.passed]
    result = copy.copy(bad[0] if bad else reports[1])
    if result.skipped:
        result.longrepr = f"a skip is a failure: {result.longrepr[2]}"
    if bad:
        result.outcome = "failed"
    result.when = "call"
    result.duration = sum(report.duration for report in reports)
    result.sections = [*result.sections, *((f"failed {report.when}", str(report.longrepr))
                                           for report in bad[1:])]
    return result


class Collect:
    """What each process of the session does."""

    def __init__(self, plan):
        self.plan = plan
        # Of the end-to-end tests of a row what has been found out about its kernel.
        self.learnt = {}
        # What ends the guest that runs, if any.
        self.guests = None

    def learn(self, run):
        """Where to note what has been found out on a run's row."""
        return self.learnt.setdefault(run.row, {})

    def pytest_ignore_collect(self, collection_path):
        """Leave out the modules of which nothing is to run."""
        if collection_path.name.startswith("test_") and not self.plan.of_module(collection_path):
            return True
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_generate_tests(self, metafunc):
        """Collect a test once for each run."""
        path = metafunc.definition.path
        found = self.plan.of_module(path)
        metafunc.parametrize("group", [self.plan.group(run, path) for run in found], indirect=True,
                             ids=[run.name for run in found], scope="session")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        """Leave out what is not for a run or its kernel. Within a group, modules that share a guest
        run one after the other.
        """
        why = {}
        for item in items:
            run = group_of(item).run
            marks = {mark.name for mark in item.iter_markers()}
            if run.marks and not marks & set(run.marks) or marks & set(run.but):
                why[item] = ""
                continue
            reason = impossible(item, run, self.plan.rows[run.row])
            if reason is not None:
                why[item] = reason
                if reason and run.suite == "e2e":
                    self.learn(run).setdefault("not_possible", []).append(reason)
        excused = {(item.path, item.originalname) for item in items
                   if item.get_closest_marker("excused")}
        if len(excused) > EXCUSED_MOST:
            raise pytest.UsageError(f"{len(excused)} tests are excused: at most {EXCUSED_MOST} "
                                    "may be")
        config.hook.pytest_deselected(items=list(why))
        items[:] = [item for item in items if item not in why]
        items.sort(key=lambda item: (
            group_of(item).name, guest_of(item, self.plan.rows[group_of(item).run.row]), item.path))

    def pytest_collection_finish(self, session):
        """Have each result tell the test's marks."""
        for item in session.items:
            marks = " ".join(mark.name for mark in item.iter_markers())
            item.user_properties.append(("marks", marks))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """Run a test, and report one result.

        Where the next one is of another group, everything is torn down, as at a session's end.
        """
        if nextitem and group_of(nextitem) is not group_of(item):
            nextitem = None
        item.session.stash[NEXT] = nextitem
        hook = item.ihook
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        hook.pytest_runtest_logreport(report=result_of(reports))
        # That a test is torn down is what pytest's plugins wait for, too.
        end = copy.copy(reports[-1])
        end.outcome, end.longrepr, end.sections, end.duration = "passed", None, [], 0
        hook.pytest_runtest_logreport(report=end)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Torture tests of a kernel with a blind detector fail unrun."""
        group = group_of(item)
        if self.plan.kind and group.tortures and not group.proves and \
                self.plan.blind(group).exists():
            pytest.fail("not run: a detector of this kernel is blind, see the crimes",
                        pytrace=False)

    def pytest_runtest_logreport(self, report):
        """Note which kernels have a blind detector."""
        group = self.plan.find(report.nodeid) if self.plan.kind else None
        if report.failed and group and group.proves:
            self.plan.blind(group).touch()

    def pytest_keyboard_interrupt(self):
        """End the guest, so that nothing is asked of it any more."""
        if self.guests and self.guests.guest:
            self.guests.guest.close()

    def pytest_sessionfinish(self, session):
        """Tell what was found out."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["learnt"] = self.learnt
