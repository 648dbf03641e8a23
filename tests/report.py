# SPDX-License-Identifier: GPL-2.0
"""What make test and its like print and leave: progress, counts, torture.json, rows.json."""

import json
import threading
import time
from collections import Counter
from typing import NamedTuple

import pytest
from _pytest.junitxml import xml_key
from schedule import Scheduling

import record
from plan import SUMMARY, TORTURE, clear, name_of, torture_modules
from record import RUN

SILENCE_SECONDS = 8
# What runs leave.
LEFT_BY_KUNIT = ["ktap.log", "*.kunit.serial.log"]
LEFT = [*LEFT_BY_KUNIT, "*.serial.log", "*.json", "*.txt", "*.xml", "*.blind"]
# What the torture tests count, in the order of out/torture/torture.json.
FIGURES = ["crimes", "crimes_caught", "sites_failed", "presses", "cycles", "inputs", "reports",
           "leaked_bytes", "seconds"]


class Result(NamedTuple):
    """What came of a test. There are no skips."""

    test: str
    suite: str          # kunit, setup, boards, e2e, bench, torture, or RUN
    row: str            # None where it is of no row
    marks: str          # pytest's, with spaces between them
    failed: bool
    seconds: float


class Report:
    """The plugin of the process that has the workers run the tests."""

    def __init__(self, config, plan):
        self.config = config
        self.plan = plan
        self.start = self.last = time.monotonic()
        self.lock = threading.Lock()
        self.doing = {}             # test -> when it began
        self.tests = []
        self.results = []
        self.learnt = {}
        self.broken = 0             # errors that are no test's
        self.status = None
        if plan.kind in ("test", "kunit"):
            clear(plan.out, LEFT if plan.kind == "test" else LEFT_BY_KUNIT)
        if plan.kind in ("test", "torture"):
            clear(TORTURE, LEFT)
        threading.Thread(target=self.watch, daemon=True).start()

    # What is printed.

    def say(self, text):
        """Print a line."""
        with self.lock:
            self.last = time.monotonic()
            print(f"[{self.last - self.start:6.1f} s] {text}", flush=True)

    def watch(self):
        """Print what is being done when nothing was printed for a while."""
        while True:
            time.sleep(0.5)
            if time.monotonic() - self.last > SILENCE_SECONDS:
                self.say("... " + ("; ".join(list(self.doing)) or "waiting for the workers"))

    def pytest_report_teststatus(self, report):
        """Lines of its own stand for pytest's, but for those at the end."""
        word = report.outcome.upper() if self.status is not None else ""
        return (report.outcome, "", word) if report.when == "call" else None

    def pytest_runtest_logstart(self, nodeid):
        """A test has begun."""
        self.doing[nodeid] = time.monotonic()

    # What the workers are told, and tell.

    def pytest_configure_node(self, node):
        """All workers have the same rows and the same seed."""
        node.workerinput["seed"] = self.config.option.seed
        node.workerinput["rows"] = {name: str(row.directory)
                                    for name, row in self.plan.rows.items()}

    def pytest_xdist_make_scheduler(self, config, log):
        """Which worker runs which test."""
        return Scheduling(config, log, self.plan)

    def pytest_xdist_node_collection_finished(self, ids):
        """What a worker has found: the same as each other one, or pytest says so."""
        if not self.tests:
            self.tests = list(ids)
            groups = {self.plan.find(test).name: self.plan.find(test) for test in ids}
            self.say(f"{len(ids)} tests in {len(groups)} groups")
            if any(group.tortures for group in groups.values()):
                self.say(f"the fuzzers' new seed is {self.config.option.seed}; "
                         f"--seed {self.config.option.seed} repeats what they try")

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, report):
        """A worker has died; that is the result of the test that it ran."""
        report.when = "call"

    def pytest_testnodedown(self, node, error):
        """A worker has ended; one that has died is a failure."""
        if error:
            self.fail(node.gateway.id, f"this worker has died: {error}")
        for row, learnt in getattr(node, "workeroutput", {}).get("learnt", {}).items():
            self.learnt.setdefault(row, {}).update(learnt)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report):
        """Keep a result, print it, and have junit.xml say whose it is."""
        if report.when != "call":
            return
        suite, name = name_of(report.nodeid)
        xml = self.config.stash.get(xml_key, None)
        if xml:
            reporter = xml.node_reporter(report)
            reporter.add_attribute("classname", suite)
            reporter.add_attribute("name", name)
        group = self.plan.find(report.nodeid)
        self.results.append(Result(
            report.nodeid, suite.partition(".")[0], group.run.row if group else None,
            dict(report.user_properties).get("marks", RUN), report.failed, report.duration))
        self.doing.pop(report.nodeid, None)
        self.say(f"{report.outcome.upper()} {report.nodeid}")

    def pytest_collectreport(self, report):
        """A module that cannot be collected is a failure."""
        self.broken += report.failed

    def pytest_internalerror(self):
        """So is what goes wrong in pytest."""
        self.broken += 1

    # What is wrong beyond a test.

    def fail(self, test, why):
        """Report a failure that no worker has reported."""
        self.config.hook.pytest_runtest_logreport(report=pytest.TestReport(
            nodeid=test, location=(test, None, test), keywords={}, outcome="failed", longrepr=why,
            when="call"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self):
        """A test without a result is a failure."""
        done = yield
        known = {result.test for result in self.results}
        for test in self.tests:
            if test not in known:
                self.fail(test, "was collected, and has no result")
        if any(result.suite == "torture" for result in self.results):
            self.torture()
        return done

    def torture(self):
        """Write out/torture/torture.json and print it by kind; fail where the figures do."""
        kinds = {name: Counter() for name in torture_modules()}
        for path in TORTURE.glob("*.figures.json"):
            kinds[path.name.split(".")[-3]].update(json.loads(path.read_text(encoding="utf-8")))
            path.unlink()
        total = sum(kinds.values(), Counter())
        total["seconds"] = round(time.monotonic() - self.start, 1)
        summary = {name: total[name] for name in FIGURES}
        (TORTURE / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        for path in sorted(TORTURE.glob("*.sites.txt")):
            print(path.read_text(encoding="utf-8"))
        print("".join(f"{name:>14}" for name in ("", *FIGURES)))
        for kind, figures in [*kinds.items(), ("all", total)]:
            print(f"{kind:>14}" + "".join(f"{figures[name]:>14}" for name in FIGURES))
        bad = [name for name in ("reports", "leaked_bytes") if total[name]]
        if total["crimes"] != total["crimes_caught"]:
            bad.append("crimes_caught")
        if bad and not any(result.failed for result in self.results):
            self.fail(SUMMARY, f"{', '.join(bad)}: {summary}")

    # What is left.

    def pytest_sessionfinish(self, exitstatus):
        """Leave what make matrix asks for, if the run came to its end."""
        self.status = exitstatus
        if self.plan.kind != "torture" and exitstatus in (0, 1):
            entries = {}
            for name, row in self.plan.rows.items():
                results = [result for result in self.results if result.row in (None, name)]
                entries[name] = record.entry(row, self.plan.words[name], results,
                                             self.learnt.get(name, {}))
            record.write(self.plan.out, entries)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        """The last line, unless the run was interrupted."""
        if self.status == pytest.ExitCode.INTERRUPTED:
            return
        failed = sum(result.failed for result in self.results) + self.broken
        if self.status == pytest.ExitCode.NO_TESTS_COLLECTED:
            print(f"nothing was run: {' '.join(self.config.invocation_params.args)} selects no "
                  "test")
        print(f"{len(self.results) + self.broken - failed} passed, {failed} failed", flush=True)
