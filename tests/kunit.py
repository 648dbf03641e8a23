# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of alloclab_kunit.ko, run in a guest and read by the kernel's parser."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from detectors import look_back
from guest.guest import Guest, GuestError
from guest.row import CLONE

SUITE = re.compile(r"^\s*#\[kunit_tests\((\w+)\)\]", re.MULTILINE)
CASE = re.compile(r"^\s*#\[test\]\s*fn (\w+)\(", re.MULTILINE)
RUN_SECONDS = 300
HUNG = "/proc/sys/kernel/hung_task_timeout_secs"


def declared():
    """The cases that the source declares, as (suite, case)."""
    found = []
    for path in sorted(path for part in ("src", "tests/kunit")
                       for path in (CLONE / part).rglob("*.rs")):
        _, *suites = SUITE.split(path.read_text(encoding="utf-8"))
        found += [(suite, case) for suite, text in zip(suites[::2], suites[1::2])
                  for case in CASE.findall(text)]
    return found


def run(row, log):
    """Load the module in a guest; return the kernel log of the suites, and what is wrong then."""
    files = {"root/alloclab_kunit.ko": row.product("alloclab_kunit.ko")}
    with Guest(row, log, files=files) as guest:
        # As long as a case takes, insmod waits for it, and is no hung task.
        guest.sh(f"! [ -e {HUNG} ] || echo {RUN_SECONDS} >{HUNG}")
        start = guest.mark()
        guest.sh("insmod /root/alloclab_kunit.ko", RUN_SECONDS)
        lines = guest.log_since(start)
        # The module must also come out again.
        guest.sh("rmmod alloclab_kunit")
        wrong = look_back(guest, rounds=1).wrong
        guest.power_off()
    return lines, wrong


def parse(row, log):
    """Parse a log with the parser of the kernel's source; return (its JSON, what it said)."""
    tool = row.source / "tools/testing/kunit/kunit.py"
    with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
        answer, ktap = Path(directory) / "json", Path(directory) / "ktap"
        ktap.write_text(log, encoding="utf-8")
        done = subprocess.run(["python3", "-B", tool, "parse", f"--json={answer}", ktap],
                              cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)
        # Its status is 1 when a test failed; it then answers all the same.
        if not answer.is_file():
            raise GuestError(f"{tool}: status {done.returncode}\n{done.stdout}")
        return json.loads(answer.read_text(encoding="utf-8")), done.stdout


def cases_of(group, suite=""):
    """The cases of a group of the parser's JSON, of groups inside it too: (suite, case) -> status.
    """
    found = {(suite, case["name"]): case["status"] for case in group["test_cases"]}
    for inner in group["sub_groups"]:
        found |= cases_of(inner, f"{suite}.{inner['name']}".lstrip("."))
    return found


def suites(row, out):
    """Run everything on one row; return (the cases as above, what else is wrong).

    The log is added to ktap.log in the directory `out`.
    """
    lines, wrong = run(row, out / f"{row.name}.kunit.serial.log")
    log = "\n".join(lines) + "\n"
    with open(out / "ktap.log", "a", encoding="utf-8") as ktap:
        ktap.write(f"# kunit.{row.name}: {row.release}\n{log}")
    results, said = parse(row, log)
    cases = cases_of(results)
    unknown = cases.keys() - set(declared())
    # What the parser itself finds wrong, such as a plan that was not kept.
    return cases, [*wrong, *([said] if results["misc"]["errors"] else []),
                   *(f"not declared in the source: {suite} {case}" for suite, case in unknown)]
