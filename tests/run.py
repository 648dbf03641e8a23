#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make test and make kunit: the KUnit suites, then the end-to-end tests, on every row.

Rows beyond those of WHOLE run the tests that are marked as core.
The last line on stdout is `N passed, N failed`. A skipped test has failed.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CLONE / "scripts"))
sys.dont_write_bytecode = True

import junit  # noqa: E402
import kunit  # noqa: E402
from devicetree import TreeError  # noqa: E402
from guest import GuestError, interrupted  # noqa: E402
from junit import Case  # noqa: E402
from row import Row, RowError  # noqa: E402

OUT = CLONE / "out/test"
ROWS = ["debian", "kunit", "6.18"]
WHOLE = ["debian", "kunit"]
# The tests of a row of WHOLE run in so many guests, each its share of the test modules.
SHARES = 2
# One more than the smallest supported machine has processors: a guest often waits.
GUESTS = 3
SILENCE_SECONDS = 8


class Progress:
    """Prints lines, and one of its own when nothing was printed for a while."""

    def __init__(self):
        self._start = time.monotonic()
        self._last = self._start
        self._lock = threading.Lock()
        self._doing = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _print(self, text):
        self._last = time.monotonic()
        print(f"[{self._last - self._start:6.1f} s] {text}", flush=True)

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


def run_pytest(row, share, shares, arguments, progress):
    """Run a share of the end-to-end tests on a row; return the cases."""
    suite = f"e2e.{row.name}"
    who = suite if shares == 1 else f"{suite}.{share}"
    report = OUT / f"{who}.pytest.xml"
    # Not to be left running, however this process ends.
    command = ["setpriv", "--pdeathsig", "TERM",
               sys.executable, "-B", "-u", "-m", "pytest", "-v", "--no-header", "--tb=short",
               "--color=no", "-p", "no:cacheprovider", f"--junitxml={report}",
               f"--row={row.name}", f"--share={share}/{shares}", *arguments, "tests/e2e"]
    if row.name not in WHOLE:
        command[-1:-1] = ["-m", "core"]
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
    # 1 is "tests failed", which the cases say; anything else went wrong around them.
    if status not in (0, 1) or (status == 1) != any(case.failure for case in cases):
        cases.append(Case(who, "pytest", failure=f"pytest ended with status {status}"))
    return cases


RUNNING = []


def stop(*_):
    """A signal handler: end pytest too, which then ends its guest."""
    for pytest in RUNNING:
        pytest.terminate()
    interrupted()


def main():
    """Run the tests; return the exit status."""
    parser = argparse.ArgumentParser(description="The main job of `make test`.")
    parser.add_argument("--kunit-only", action="store_true", help="no end-to-end tests")
    parser.add_argument("--kernel", nargs="+", default=ROWS, metavar="ROW",
                        help="rows of scripts/kernels (default: %(default)s)")
    parser.add_argument("-k", metavar="EXPRESSION", help="only these end-to-end tests")
    arguments = parser.parse_args()
    rows = [Row.find(name) for name in arguments.kernel]
    OUT.mkdir(parents=True, exist_ok=True)
    patterns = ["ktap.log", "*.kunit.serial.log"]
    if not arguments.kunit_only:
        patterns += ["*.serial.log", "*.xml"]
    for left in [path for pattern in patterns for path in OUT.glob(pattern)]:
        left.unlink(missing_ok=True)
    progress = Progress()
    cases = []
    for row in rows:
        if not row.stock and row.config().get("KUNIT") == "y":
            cases += run_kunit(row, progress)
    if not arguments.kunit_only:
        options = ["-k", arguments.k] if arguments.k else []
        jobs = []
        for row in rows:
            shares = SHARES if row.name in WHOLE and not arguments.k else 1
            jobs += [(row, share, shares) for share in range(1, shares + 1)]
        with ThreadPoolExecutor(GUESTS) as pool:
            for done in pool.map(lambda job: run_pytest(*job, options, progress), jobs):
                cases += done
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
