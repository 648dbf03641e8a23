#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make upstream: the patches of upstream/, on the preferred kernel; out/upstream/upstream.json.

Each must satisfy the kernel's checkpatch. Applied and built they are already: the row `upstream` is
made of them. Its kernel runs the kernel crate's own tests of what is patched, the KUnit suites and
the core of the end-to-end tests. A debugfs file is held open while its module is removed, on it and
on the kernel without the patches, which must oops; and bare pairs of allocate and free are counted
on both. The status is 0 if nothing failed, no pair costs more than before, and those that a patch
is for cost less.
"""

import json
import re
import subprocess
import sys

import record
from bench import BenchError, bench_row, entries, measure
from guest.guest import Guest, GuestError
from guest.row import Row, RowError
from kunit import cases_of, parse
from plan import CLONE, clear, run_tests

OUT = CLONE / "out/upstream"
LEFT = ["*.json", "*.log", "*.xml"]
ROW = "upstream"
# Holds a debugfs file open while its module is removed, and closes it.
HELD = """insmod /root/alloclab_owner.ko && exec 3</sys/kernel/debug/alloclab_owner/file || exit 9
rmmod alloclab_owner && echo "alloclab_owner: removed" >/dev/kmsg
cat <&3
exec 3<&-
rmmod alloclab_owner"""
# What a pair may cost more: the allocator's state is not the same on two kernels.
MOST = 0.01
# The pairs that a patch is there for.
CHEAPER = [("kmalloc", 64), ("kzalloc", 64)]


def checkpatch(source):
    """What checkpatch has against the patches, a line each."""
    patches = sorted((CLONE / "upstream").glob("*.patch"))
    wrong = [] if patches else ["there is no patch in upstream/"]
    for patch in patches:
        done = subprocess.run(["perl", source / "scripts/checkpatch.pl", "--strict", "--no-tree",
                               "--quiet", "--no-summary", "--show-types", patch], cwd=source,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        print(f"checkpatch: {patch.name}: {'FAILED' if done.returncode else 'ok'}", flush=True)
        if done.returncode:
            wrong.append(f"checkpatch: {patch.name}:\n{done.stdout}")
    return wrong


def own_tests(row):
    """Boot a kernel that runs its own KUnit tests; return (what failed, a line each; how many).
    """
    with Guest(row, OUT / "own-tests.serial.log") as guest:
        lines = guest.log_since(0)
        guest.power_off()
    results, said = parse(row, "\n".join(lines) + "\n")
    cases = cases_of(results)
    failed = [f"{suite} {case}: {status}" for (suite, case), status in cases.items()
              if status != "PASS"]
    return failed or ([] if cases else [f"the kernel ran no tests of its own: {said}"]), len(cases)


def held_open(row):
    """Hold a debugfs file open over rmmod; return (what was said or None, the log's lines)."""
    module = "alloclab_owner.ko"
    said = None
    with Guest(row, OUT / f"owner.{row.name}.serial.log",
               files={f"root/{module}": row.product(module)}) as guest:
        try:
            said = guest.sh(HELD)
            guest.power_off()
        except GuestError:
            if guest.running:
                raise
    return said, guest.log.lines()


def owner(plain, patched):
    """Print what comes of an open file without the patches and with them; return what is wrong."""
    wrong = []
    said, lines = held_open(plain)
    oops = [line for line in lines if re.match(r"Unable to handle|pc : ", line)]
    print("rmmod while a debugfs file is open, without the patches:", *oops, sep="\n    ",
          flush=True)
    if said is not None or "alloclab_owner: removed" not in lines \
            or not any("full_proxy_release" in line for line in oops):
        wrong.append("without the patches, closing a file whose module is gone did no harm")
    said, lines = held_open(patched)
    print("and with them:", *(said or "").splitlines(), sep="\n    ", flush=True)
    if said is None or not re.fullmatch(r"rmmod: .*: (Resource temporarily unavailable"
                                        r"|Device or resource busy)\n1\n", said):
        wrong.append(f"with the patches, an open file does not keep its module: {said}")
    return wrong


def pairs(row):
    """(method, size) -> the instructions of a pair in Rust on the kernel of a row."""
    found, wrong = measure(row, OUT)
    if wrong:
        raise BenchError("\n".join(wrong))
    return {(entry["method"], entry["size"]): entry for entry in entries(found, row)
            if entry["what"] == "pair"}


def compare(before, after):
    """Print the figures; return (their list, what costs more than it may)."""
    wrong, result = [], []
    print(f"{'pair':<12} {'bytes':>7}{'before':>9}{'after':>9}{'change':>8}{'C':>9}")
    for (method, size), old in before.items():
        new = after[(method, size)]
        # The state is the same for C.
        grown = new["rust"] - new["c"] - (old["rust"] - old["c"])
        if grown > MOST * old["rust"]:
            wrong.append(f"pair {method} {size}: {grown} more than before")
        elif (method, size) in CHEAPER and grown >= 0:
            wrong.append(f"pair {method} {size}: not less than before")
        print(f"{method:<12} {size:>7}{old['rust']:>9}{new['rust']:>9}{grown:>8}{new['c']:>9}")
        result.append({"method": method, "size": size, "before": old["rust"],
                       "after": new["rust"], "c_before": old["c"], "c_after": new["c"]})
    return result, wrong


def main():
    """Check, run and compare; return the exit status."""
    clear(OUT, LEFT)
    plain, patched = bench_row(), Row.find(ROW)
    wrong = checkpatch(plain.source)
    failed, own = own_tests(patched)
    print(f"the kernel's own tests: {own - len(failed)} passed, {len(failed)} failed", flush=True)
    status = run_tests("upstream", {ROW: ["kunit", "core"]})
    found = record.read(OUT).get(ROW, {"kunit": [], "e2e": []})
    cases = [*found["kunit"], *(case["failed"] for case in found["e2e"])]
    failed += ["a test, see above"] * max(sum(cases), bool(status))
    wrong += owner(plain, patched)
    result, dearer = compare(pairs(plain), pairs(patched))
    (OUT / "upstream.json").write_text(json.dumps(
        {"kernel": patched.version, "tests": own + len(cases), "failed": len(failed),
         "pairs": result}, indent=1) + "\n", encoding="utf-8")
    wrong += failed + dearer
    print("\n".join(f"upstream: {line}" for line in wrong), end="\n" if wrong else "")
    print(f"{own + len(cases)} tests on the patched kernel, {len(failed)} failed; "
          f"{len(dearer)} of {len(result)} pairs cost more than they may")
    return bool(wrong)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchError, GuestError, RowError, OSError) as problem:
        sys.exit(f"upstream: {problem}")
