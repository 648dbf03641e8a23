#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make test, make kunit and make torture: KUnit suites, tests of set-up, end-to-end, torture.

Of the end-to-end tests, rows beyond those of WHOLE run the ones that are marked as core. The
torture tests run on the rows that TORTURE says, those of set-up with the row SETUP.
The last line on stdout is `N passed, N failed`. A skipped test has failed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Sequence

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
sys.path.insert(0, str(CLONE / "scripts"))
sys.dont_write_bytecode = True

import junit  # noqa: E402
import kunit  # noqa: E402
from devicetree import TreeError  # noqa: E402
from guest import GuestError, interrupted  # noqa: E402
from junit import Case  # noqa: E402
from row import Row, RowError  # noqa: E402

OUT = CLONE / "out/test"
OUTS = {"e2e": OUT, "setup": OUT, "torture": CLONE / "out/torture"}
ROWS = ["debian", "kunit", "6.18", "debug"]
WHOLE = ["debian", "kunit"]
# Their detectors keep memory that other tests count: rows for torture tests alone.
DETECTORS = ["debug"]
SETUP = "debian"
# The tests of a row of WHOLE run in so many guests, each its share of the test modules.
SHARES = 2
# The modules of tests/torture and the row each runs on, those that take longest first.
TORTURE = [
    ("kunit", "storms"), ("debug", "sweep"), ("kunit", "cycles"), ("debug", "sweep_press"),
    ("kunit", "fuzz"),
    ("debug", "cycles"), ("debug", "storms"), ("debug", "fuzz"), ("debug", "crimes"),
    ("debug", "suspend"), ("debug", "nodes"), ("kunit", "pressure"), ("debug", "slack"),
    ("debug", "many"), ("debug", "failed_load"), ("kunit", "many"), ("debian", "suspend"),
    ("kunit", "fairness"), ("debian", "fairness"), ("kunit", "security"), ("debian", "security"),
    ("debian", "lockdown"),
]
# One more than the smallest supported machine has processors: a guest often waits.
GUESTS = 3
SILENCE_SECONDS = 8
# What runs leave.
LEFT_BY_KUNIT = ["ktap.log", "*.kunit.serial.log"]
LEFT = [*LEFT_BY_KUNIT, "*.serial.log", "*.json", "*.txt", "*.xml"]
# What the torture tests count, in the order of out/torture/torture.json.
FIGURES = ["crimes", "crimes_caught", "sites_failed", "presses", "cycles", "inputs", "reports",
           "leaked_bytes", "seconds"]
# pytest's status when it has found none.
NO_TESTS = 5


class Progress:
    """Prints lines, and one of its own when nothing was printed for a while."""

    def __init__(self):
        self.start = time.monotonic()
        self._last = self.start
        self._lock = threading.Lock()
        self._doing = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _print(self, text):
        self._last = time.monotonic()
        print(f"[{self._last - self.start:6.1f} s] {text}", flush=True)

    def say(self, who, text):
        """Print a line of `who`, which is what it does until its next one."""
        with self._lock:
            self._doing[who] = text
            self._print(f"{who}: {text}")

    def doing(self, who, text):
        """Note what `who` does, printed only when it takes long."""
        with self._lock:
            self._doing[who] = text

    def done(self, who):
        """`who` does nothing more."""
        with self._lock:
            self._doing.pop(who, None)

    def _watch(self):
        while True:
            time.sleep(0.5)
            with self._lock:
                if self._doing and time.monotonic() - self._last > SILENCE_SECONDS:
                    doing = "; ".join(f"{who}: {what}" for who, what in self._doing.items())
                    self._print(f"... {doing}")


def run_kunit(row, progress):
    """Run the KUnit suites on a row; return the cases."""
    who = f"kunit.{row.name}"
    progress.say(who, f"boot {row.release}, load alloclab_kunit.ko")
    start = time.monotonic()
    try:
        cases, said = kunit.suites(row, OUT)
    except (RowError, OSError) as error:
        cases, said = [Case(who, "run", failure=str(error))], ""
    failed = [case for case in cases if case.failure]
    if failed:
        progress.say(who, f"the kernel's parser says\n{said}")
    for case in failed:
        progress.say(who, f"FAILED {case.suite} {case.name}: {case.failure}")
    seconds = time.monotonic() - start
    progress.say(who, f"{len(cases)} cases, {len(failed)} failed, {seconds:.1f} s")
    progress.done(who)
    return cases


def follow(pytest, who, progress):
    """Print pytest's lines; the one it has begun says what it is doing."""
    begun = b""
    while True:
        data = os.read(pytest.stdout.fileno(), 65536)
        if not data:
            break
        *lines, begun = (begun + data).split(b"\n")
        for line in lines:
            if line.strip():
                progress.say(who, line.decode("utf-8", "replace").rstrip())
        if begun.strip():
            progress.doing(who, begun.decode("utf-8", "replace").strip())


class Job(NamedTuple):
    """One run of pytest: tests of a directory on a row."""

    row: Row
    suite: str          # a directory of tests/
    name: str           # of these tests, among those of the suite on the row; may be empty
    options: Sequence[str]

    def run(self, progress):
        """Run it; return the cases."""
        STARTED.setdefault(self.suite, time.monotonic())
        suite = f"{self.suite}.{self.row.name}"
        who = f"{suite}.{self.name}".rstrip(".")
        out = OUTS[self.suite]
        report = out / f"{who}.pytest.xml"
        # Not to be left running, however this process ends.
        command = ["setpriv", "--pdeathsig", "TERM",
                   sys.executable, "-B", "-u", "-m", "pytest", "-v", "--no-header", "--tb=short",
                   "--color=no", "-p", "no:cacheprovider", f"--junitxml={report}",
                   f"--row={self.row.name}", f"--logs={out / who.partition('.')[2]}",
                   *self.options]
        with subprocess.Popen(command, cwd=CLONE, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as pytest:
            RUNNING.append(pytest)
            follow(pytest, who, progress)
            status = pytest.wait()
        progress.done(who)
        cases = []
        if report.is_file():
            cases = junit.read(report, suite)
            report.unlink()
        if status == NO_TESTS and "-k" in self.options:
            return cases
        # 1 is "tests failed", which the cases say; anything else went wrong around them.
        if status not in (0, 1) or (status == 1) != any(case.failure for case in cases):
            cases.append(Case(who, "pytest", failure=f"pytest ended with status {status}"))
        return cases


def e2e_jobs(rows, expression):
    """The end-to-end tests on these rows, the rows with many tests in shares."""
    options = ["tests/e2e", *(["-k", expression] if expression else [])]
    jobs = []
    for row in rows:
        if row.name not in WHOLE:
            jobs.append(Job(row, "e2e", "", [*options, "-m", "core"]))
        elif expression:
            jobs.append(Job(row, "e2e", "", options))
        else:
            jobs += [Job(row, "e2e", str(share), [*options, f"--share={share}/{SHARES}"])
                     for share in range(1, SHARES + 1)]
    return jobs


# suite -> when its first job was started.
STARTED = {}
RUNNING = []


def stop(*_):
    """A signal handler: end pytest too, which then ends its guest."""
    for pytest in RUNNING:
        pytest.terminate()
    interrupted()


def torture_jobs(rows, scale, expression):
    """The torture tests on those of these rows that have some."""
    found = sorted(path.stem.removeprefix("test_") for path in HERE.glob("torture/test_*.py"))
    if found != sorted({name for _, name in TORTURE}):
        raise RowError(f"tests/run.py: TORTURE has not all of {' '.join(found)}, or others")
    options = [f"--scale={scale}", "--figures", *(["-k", expression] if expression else [])]
    rows = {row.name: row for row in rows}
    return [Job(rows[row], "torture", name, [f"tests/torture/test_{name}.py", *options])
            for row, name in TORTURE if row in rows]


def torture_report(failed):
    """Write out/torture/torture.json and print it by kind; return a failure of its own, if any."""
    out = OUTS["torture"]
    kinds = {name: Counter() for name in sorted({name for _, name in TORTURE})}
    for path in out.glob("*.figures.json"):
        kinds[path.name.split(".")[-3]].update(json.loads(path.read_text(encoding="utf-8")))
        path.unlink()
    total = sum(kinds.values(), Counter())
    total["seconds"] = round(time.monotonic() - STARTED["torture"], 1)
    summary = {name: total[name] for name in FIGURES}
    (out / "torture.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for path in sorted(out.glob("*.sites.txt")):
        print(path.read_text(encoding="utf-8"))
    print("".join(f"{name:>14}" for name in ("", *FIGURES)))
    for kind, figures in [*kinds.items(), ("all", total)]:
        print(f"{kind:>14}" + "".join(f"{figures[name]:>14}" for name in FIGURES))
    bad = [name for name in ("reports", "leaked_bytes") if total[name]]
    if total["crimes"] != total["crimes_caught"]:
        bad.append("crimes_caught")
    if bad and not failed:
        return [Case("torture", "torture.json", failure=f"{', '.join(bad)}: {summary}")]
    return []


def run_jobs(jobs, progress):
    """Run the jobs, so many at once as there are to be guests; return the cases."""
    with ThreadPoolExecutor(GUESTS) as pool:
        return [case for cases in pool.map(lambda job: job.run(progress), jobs) for case in cases]


def arguments_of_command():
    """The command's arguments."""
    parser = argparse.ArgumentParser(description="The main job of make test, kunit, torture.")
    parser.add_argument("--only", choices=["kunit", "torture"], help="only these tests")
    parser.add_argument("--scale", choices=["quick", "full"], default="quick",
                        help="how much of the torture tests (default: %(default)s)")
    parser.add_argument("--kernel", nargs="+", default=ROWS, metavar="ROW",
                        help="rows of scripts/kernels (default: %(default)s)")
    parser.add_argument("-k", metavar="EXPRESSION",
                        help="of the end-to-end and torture tests only these")
    return parser.parse_args()


def clear(directory, names):
    """Remove what an earlier run of the same tests has left."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in [path for name in names for path in directory.glob(name)]:
        left.unlink(missing_ok=True)


def main():
    """Run the tests; return the exit status."""
    arguments = arguments_of_command()
    rows = [Row.find(name) for name in arguments.kernel]
    ordinary = [row for row in rows if row.name not in DETECTORS]
    progress = Progress()
    cases, e2e, torture = [], [], []
    if arguments.only != "torture":
        clear(OUT, LEFT_BY_KUNIT if arguments.only else LEFT)
        for row in ordinary:
            if not row.stock and row.config().get("KUNIT") == "y":
                cases += run_kunit(row, progress)
    if not arguments.only:
        options = ["tests/setup", *(["-k", arguments.k] if arguments.k else [])]
        e2e = [Job(row, "setup", "", options) for row in ordinary if row.name == SETUP]
        e2e += e2e_jobs(ordinary, arguments.k)
    if arguments.only != "kunit":
        clear(OUTS["torture"], LEFT)
        torture = torture_jobs(rows, arguments.scale, arguments.k)
    cases += run_jobs([*e2e, *torture], progress)
    if torture:
        cases += torture_report(any(case.failure for case in cases))
    if not arguments.only:
        junit.write(OUT / "junit.xml", cases)
    failed = sum(bool(case.failure) for case in cases)
    for case in cases:
        if case.failure:
            print(f"FAILED {case.suite} {case.name}")
    print(f"{len(cases) - failed} passed, {failed} failed", flush=True)
    return 0 if cases and not failed else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main())
    except (GuestError, RowError, TreeError) as problem:
        sys.exit(f"test: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
