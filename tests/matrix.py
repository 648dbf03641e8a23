#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make matrix: every row of scripts/kernel/table built, loaded and tested; out/matrix/matrix.json.

What the last make test has found on a row, with the same state of the tree and the same kernel,
is not done again. The status is 0 only when every row was built and loaded and no test failed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter

import record
from plan import CLONE, MARKS, clear, run_tests
from guest.row import Row, RowError, table

OUT = CLONE / "out/matrix"
LEFT = ["*.json", "*.log", "*.txt", "*.xml"]
NOTHING = {"words": [], "kunit": [], "boards": [], "setup": [], "e2e": [], "loaded": False,
           "page_size": None, "not_possible": {}, "seconds": 0}
# Words that make test never covers, and their suites: it tries thirty boards, and no long test.
BEYOND = {"boards": "boards", "long": "setup"}
CACHE = "ALLOCLAB_CACHE"
# How many minutes it takes to make a row's kernel, by its kind, and to test it; on two processors.
MAKE_MINUTES = {"stock": 2, "own": 6}
TEST_MINUTES = 2
# How many MB a row's kernel takes, and a source, which rows may share.
KERNEL_MB = 350
SOURCE_MB = 1100
COLUMNS = ["row", "kernel", "rustc", "page size", "", "KUnit", "end to end", "not possible"]


def wanted(entry, words):
    """Of what a row has run, the cases that the words of make matrix name."""
    marks = {record.RUN, *(word for word in words if word in MARKS)}
    return [case for case in entry["e2e"]
            if "all" in words or marks & set(case["marks"].split())]


def missing(words, had):
    """The words of make matrix that what a row has run does not cover."""
    if "all" in had:
        had = [*MARKS, *had]
    return [word for word in words if word in BEYOND or word not in had]


def to_run(words, had):
    """The same, with `!` before marks whose tests were run, for tests/plan.py."""
    left = missing(words, had)
    ran = [f"!{word}" for word in had if word in MARKS]
    return [*left, *ran] if set(left) & {"all", *MARKS} else left


def announce(rows, had):
    """Say how much time and room it takes, before it begins."""
    said = subprocess.run([CLONE / "scripts/kernel/kernel.sh", "missing", *rows], cwd=CLONE,
                          text=True, stdout=subprocess.PIPE, check=True).stdout
    to_make = {name: kind for name, kind, _ in map(str.split, said.splitlines())}
    sources = {line.split()[2] for line in said.splitlines()}
    to_test = [name for name, words in rows.items()
               if missing(words, had[name]["words"] if name in had else [])]
    minutes = (sum(MAKE_MINUTES[kind] for kind in to_make.values()) +
               TEST_MINUTES * len(to_test))
    megabytes = (KERNEL_MB * len(to_make) +
                 SOURCE_MB * sum(not os.path.isdir(source) for source in sources))
    print(f"make matrix: {len(rows)} rows of scripts/kernel/table; of the last make test: "
          f"{' '.join(sorted(had)) or 'nothing'}; kernels to make: "
          f"{' '.join(to_make) or 'none'}; rows to test: {' '.join(to_test) or 'none'}.\n"
          f"On two idle processors it takes about {minutes + 1} minutes and "
          f"{megabytes} MB of disk.", flush=True)
    cache = os.environ[CACHE]
    free = shutil.disk_usage(cache).free >> 20
    if free < megabytes:
        raise RowError(f"the disk of {cache} has {free} MB free: make room, or set XDG_CACHE_HOME "
                       "to a larger disk")


def build(name):
    """Make a row's kernel and modules; return (the row or None, seconds)."""
    start = time.monotonic()
    done = subprocess.run(["scripts/task.sh", "modules", name], cwd=CLONE, check=False)
    row = Row.find(name) if done.returncode == 0 else None
    return row, time.monotonic() - start


def known_of(name, row, had):
    """What the last make test has found on a row with this kernel, or that it found nothing."""
    found = had.get(name)
    if found and row and found["kernel"] == row.directory.name:
        return found
    return NOTHING


def counts(results):
    """The figures of a suite."""
    return {"passed": results.count(False), "failed": results.count(True)}


def result(name, words, row, seconds, known, new):
    """The entry of matrix.json: what was known of a row, and what is new."""
    cases = [*known["e2e"], *new["e2e"]]
    kunit = [*known["kunit"], *new["kunit"]] if "kunit" in words else []
    e2e = [case["failed"] for case in wanted({"e2e": cases}, words)]
    reasons = Counter(known["not_possible"]) + Counter(new["not_possible"])
    config = row.config() if row else {}
    rustc = re.search(r"rustc (\S+)", config.get("RUSTC_VERSION_TEXT", ""))
    return {
        "row": name,
        "kind": row.kind if row else None,
        "release": row.release if row else None,
        "tested": bool(row and row.tested),
        "rustc": rustc[1] if rustc else None,
        "page_size": new["page_size"] or known["page_size"],
        "built": row is not None,
        "loaded": bool(known["loaded"] or new["loaded"]),
        "kunit": counts(kunit),
        "e2e": counts(e2e),
        "not_possible": [f"{why} ({number} {'tests' if number > 1 else 'test'})"
                         for why, number in sorted(reasons.items())],
        "seconds": round(seconds + known["seconds"] + new["seconds"], 1),
    }


def wrong(entry, words):
    """What is wrong with the entry of a row, in words; none if nothing is."""
    found = []
    if not entry["built"]:
        return ["was not built"]
    if not entry["loaded"]:
        found.append("was not loaded")
    for suite, asked in (("kunit", "kunit" in words), ("e2e", set(words) - {"kunit"})):
        figures = entry[suite]
        if figures["failed"]:
            found.append(f"{figures['failed']} tests of {suite} failed")
        if asked and not figures["passed"]:
            found.append(f"no test of {suite} passed")
    return found


def wrong_beyond(new, words):
    """What is wrong with what make test never runs, in words."""
    found = []
    for suite in [suite for word, suite in BEYOND.items() if word in words]:
        if not new[suite]:
            found.append(f"no test of {suite} was run")
        elif any(new[suite]):
            found.append(f"{sum(new[suite])} tests of {suite} failed")
    return found


def lines(entries):
    """The table of the README."""
    def of(figures):
        total = sum(figures.values())
        return f"{figures['passed']} of {total}" if total else "–"

    def cells(entry):
        yes = " and ".join(what for what in ("built", "loaded") if entry[what]) or "no"
        return [entry["row"], entry["release"] or "–", entry["rustc"] or "–",
                str(entry["page_size"] or "–"), yes, of(entry["kunit"]), of(entry["e2e"]),
                "; ".join(entry["not_possible"]) or "–"]

    rows = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, entries)]
    return ["| " + " | ".join(row) + " |" for row in rows]


def main():
    """Build and test every row; return the exit status."""
    entries = {entry.name: entry.matrix for entry in table().values() if entry.matrix}
    had = {name: found for name, found in record.read().items() if name in entries}
    clear(OUT, LEFT)
    announce(entries, had)
    built = {name: build(name) for name in entries}
    known = {name: known_of(name, row, had) for name, (row, _) in built.items()}
    left = {name: to_run(words, known[name]["words"]) for name, words in entries.items()
            if built[name][0]}
    left = {name: words for name, words in left.items() if words}
    status = run_tests("matrix", left) if left else 0
    found = record.read(OUT)
    results, problems = [], []
    for name, words in entries.items():
        row, seconds = built[name]
        new = found.get(name, NOTHING)
        results.append(result(name, words, row, seconds, known[name], new))
        problems += [f"matrix: {name} {what}" for what in wrong(results[-1], words)]
        problems += [f"matrix: {name} {what}" for what in wrong_beyond(new, words) if row]
    if status and not problems:
        problems.append(f"matrix: pytest ended with status {status}")
    (OUT / "matrix.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    boards = OUT / "boards.txt"
    if boards.exists():
        print(f"{boards.read_text(encoding='utf-8').splitlines()[0]}; see {boards.name}")
    print("\n".join([*lines(results), *problems]), flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RowError as problem:
        sys.exit(f"matrix: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
