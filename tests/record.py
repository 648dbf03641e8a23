#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the last make test has found, for make matrix: out/test/rows.json.

A result is of a state of the tree and of a kernel. The state is a digest of every file of the
clone that is not a product; the kernel's is in the name of its directory in the cache.
"""

import fnmatch
import hashlib
import json
import os
import sys
from collections import Counter

from jobs import CLONE

RECORD = CLONE / "out/test/rows.json"
# The digest that scripts/task.sh took before anything was built.
STATE = "ALLOCLAB_TREE"


def products():
    """What .gitignore names: the names of directories, and patterns of files."""
    lines = (CLONE / ".gitignore").read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return ({name.strip("/") for name in names if name.endswith("/")},
            [name.lstrip("/") for name in names if not name.endswith("/")])


def state():
    """The digest of the tree's files: their names, whether they can be run, their content."""
    directories, patterns = products()
    digest = hashlib.sha256()
    for directory, inner, files in os.walk(CLONE):
        inner[:] = sorted(name for name in inner if name not in directories | {".git"})
        for name in sorted(files):
            if name == ".git" or any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                continue
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            digest.update(f"{os.path.relpath(path, CLONE)}\0{os.access(path, os.X_OK)}\0"
                          f"{content}\n".encode())
    return digest.hexdigest()


def write(entries):
    """Record the entries of rows, unless the tree has changed since anything was built."""
    if os.environ.get(STATE) == state():
        RECORD.write_text(json.dumps({"state": state(), "rows": entries}, indent=1) + "\n",
                          encoding="utf-8")


def read():
    """The entries of the last make test, by row; none where it was of another state."""
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return record["rows"] if record["state"] == state() else {}


def entry(row, words, outcomes):
    """What was found on a row by what its words name: everything that make matrix asks for."""
    cases = {suite: [case for outcome in outcomes if outcome.suite == suite
                     for case in outcome.cases] for suite in ("kunit", "e2e")}
    reasons = Counter(why for outcome in outcomes
                      for why in outcome.learnt.get("not_possible", []))
    learnt = [outcome.learnt for outcome in outcomes if outcome.learnt]
    return {
        "kernel": row.directory.name if row else None, "words": words,
        "kunit": [bool(case.failure) for case in cases["kunit"]],
        "e2e": [{"marks": case.marks, "failed": bool(case.failure)} for case in cases["e2e"]],
        "loaded": any(known.get("loaded") for known in learnt),
        "page_size": next((known["page_size"] for known in learnt if "page_size" in known), None),
        "not_possible": dict(reasons),
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
    }


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    print(state())
