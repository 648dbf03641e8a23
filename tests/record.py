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
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
RECORD = CLONE / "out/test/rows.json"
# The digest that scripts/task.sh took before anything was built.
STATE = "ALLOCLAB_TREE"
# What stands for a suite and for a mark where the failure is of the run itself.
RUN = "run"


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


def write(out, entries):
    """Record the entries of rows in a directory. Those of make test are no record if the tree has
    changed since anything was built, or if not everything was run: nobody noted its state then.
    """
    if out != RECORD.parent or os.environ.get(STATE) == state():
        (out / RECORD.name).write_text(json.dumps({"state": state(), "rows": entries}, indent=1) +
                                       "\n", encoding="utf-8")


def read(out=None):
    """The entries of the run that has just left them in a directory, or else those of the last make
    test, none where it was of another state. By row.
    """
    try:
        record = json.loads(((out or RECORD.parent) / RECORD.name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return record["rows"] if out or record["state"] == state() else {}


def entry(row, words, results, learnt):
    """What was found on a row by what its words name: everything that make matrix asks for."""
    def of(suite):
        return [result for result in results if result.suite == suite]

    return {
        "kernel": row.directory.name, "words": words,
        "kunit": [result.failed for result in of("kunit")],
        "boards": [result.failed for result in of("boards")],
        "setup": [result.failed for result in of("setup")],
        # What failed beside all tests counts where they do.
        "e2e": [{"marks": result.marks, "failed": result.failed} for result in of("e2e") + of(RUN)],
        "loaded": learnt.get("loaded", False),
        "page_size": learnt.get("page_size"),
        "not_possible": dict(Counter(learnt.get("not_possible", []))),
        "seconds": round(sum(result.seconds for suite in ("kunit", "boards", "setup", "e2e")
                             for result in of(suite)), 1),
    }


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    print(state())
