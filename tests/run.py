#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make test, make kunit and make torture: KUnit suites, tests of set-up, end-to-end, torture.

What runs on a row is what scripts/kernel/table says; on one that make test does without, what it
says for make matrix. The last line on stdout is `N passed, N failed`. A skipped test has failed.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter

from jobs import (CLONE, Progress, bench_jobs, boards_jobs, clear, e2e_jobs, kunit_jobs, run_jobs,
                  setup_jobs, stop, torture_jobs, torture_modules)

import junit
import record
from guest.devicetree import TreeError
from guest.guest import GuestError
from guest.row import Row, RowError, table
from junit import Case

OUT = CLONE / "out/test"
TORTURE = CLONE / "out/torture"
# What runs leave.
LEFT_BY_KUNIT = ["ktap.log", "*.kunit.serial.log"]
LEFT = [*LEFT_BY_KUNIT, "*.serial.log", "*.json", "*.txt", "*.xml"]
# What the torture tests count, in the order of out/torture/torture.json.
FIGURES = ["crimes", "crimes_caught", "sites_failed", "presses", "cycles", "inputs", "reports",
           "leaked_bytes", "seconds"]


def torture_report(start, failed):
    """Write out/torture/torture.json and print it by kind; return a failure of its own, if any."""
    kinds = {name: Counter() for name in torture_modules()}
    for path in TORTURE.glob("*.figures.json"):
        kinds[path.name.split(".")[-3]].update(json.loads(path.read_text(encoding="utf-8")))
        path.unlink()
    total = sum(kinds.values(), Counter())
    total["seconds"] = round(time.monotonic() - start, 1)
    summary = {name: total[name] for name in FIGURES}
    (TORTURE / "torture.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for path in sorted(TORTURE.glob("*.sites.txt")):
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


def arguments_of_command():
    """The command's arguments."""
    rows = [entry.name for entry in table().values() if entry.test]
    parser = argparse.ArgumentParser(description="The main job of make test, kunit, torture.")
    parser.add_argument("--only", choices=["kunit", "torture"], help="only these tests")
    parser.add_argument("--scale", choices=["quick", "full"], default="quick",
                        help="how much of the torture tests (default: %(default)s)")
    parser.add_argument("--kernel", nargs="+", default=rows, metavar="ROW",
                        help="rows of scripts/kernel/table (default: %(default)s)")
    parser.add_argument("-k", metavar="EXPRESSION",
                        help="of the end-to-end and torture tests only these")
    return parser.parse_args()


def main():
    """Run the tests; return the exit status."""
    arguments = arguments_of_command()
    progress = Progress()
    rows = [Row.find(name) for name in arguments.kernel]
    words = {entry.name: entry.test or entry.matrix for entry in table().values()}
    if arguments.only != "torture":
        clear(OUT, LEFT_BY_KUNIT if arguments.only else LEFT)
    if arguments.only != "kunit":
        clear(TORTURE, LEFT)
    jobs = []
    for row in rows:
        if arguments.only == "kunit":
            jobs += kunit_jobs(row, ["kunit"], OUT)
            continue
        if arguments.only != "torture":
            jobs += kunit_jobs(row, words[row.name], OUT)
            jobs += setup_jobs(row, words[row.name], OUT, arguments.k)
            jobs += boards_jobs(row, words[row.name], OUT, "quick", arguments.k)
            jobs += e2e_jobs(row, words[row.name], OUT, arguments.k)
            jobs += bench_jobs(row, words[row.name], OUT, arguments.k)
        jobs += torture_jobs(row, words[row.name], TORTURE, arguments.scale, arguments.k)
    outcomes = run_jobs(jobs, progress)
    cases = [case for outcome in outcomes for case in outcome.cases]
    if any(outcome.suite == "torture" for outcome in outcomes):
        cases += torture_report(progress.start, any(case.failure for case in cases))
    if not arguments.only:
        junit.write(OUT / "junit.xml", cases)
        if not arguments.k:
            record.write({row.name: record.entry(row, words[row.name], [
                outcome for outcome in outcomes if outcome.row is row
                and outcome.suite in ("kunit", "e2e")]) for row in rows})
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
