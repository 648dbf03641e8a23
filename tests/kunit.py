# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of alloclab_kunit.ko, run in a guest and read by the kernel's parser."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from guest.guest import Guest, GuestError
from guest.row import CLONE
from junit import Case

DECLARED = re.compile(r"^\s*#\[kunit_tests\((\w+)\)\]", re.MULTILINE)
RUN_SECONDS = 300


def declared():
    """The suites that the source declares by name."""
    files = [path for part in ("src", "tests/kunit") for path in (CLONE / part).rglob("*.rs")]
    return sorted({name for path in files
                   for name in DECLARED.findall(path.read_text(encoding="utf-8"))})


def run(row, out, ask):
    """Load the module in a guest; return the kernel log of the suites, and what `ask` answers."""
    files = {"root/alloclab_kunit.ko": row.product("alloclab_kunit.ko")}
    with Guest(row, out / f"{row.name}.kunit.serial.log", files=files) as guest:
        start = guest.mark()
        guest.sh("insmod /root/alloclab_kunit.ko", RUN_SECONDS)
        lines = guest.log_since(start)
        # The module must also come out again.
        guest.sh("rmmod alloclab_kunit")
        wrong = ask(guest)
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


def cases_of(group, suite):
    """The cases of a group of the parser's JSON, those of groups inside it too."""
    found = []
    for case in group["test_cases"]:
        failure = "" if case["status"] == "PASS" else f"{case['status']}, see out/test/ktap.log"
        found.append(Case(suite, case["name"], failure=failure))
    for inner in group["sub_groups"]:
        found += cases_of(inner, f"{suite}.{inner['name']}")
    return found


def suites(row, out, ask):
    """Run everything on one row; return (the cases, what the parser said).

    The log is added to `out`/ktap.log. `ask` is called with the guest before it ends, and answers
    what is wrong with it, in words.
    """
    name = f"kunit.{row.name}"
    wanted = declared()
    if not wanted:
        return [Case(name, "suites", failure="the source declares no KUnit suite")], ""
    try:
        lines, wrong = run(row, out, ask)
        log = "\n".join(lines) + "\n"
        with open(out / "ktap.log", "a", encoding="utf-8") as ktap:
            ktap.write(f"# {name}: {row.release}\n{log}")
        results, said = parse(row, log)
    except GuestError as error:
        return [Case(name, "run", failure=str(error))], ""
    cases = cases_of(results, name)
    ran = {case.suite for case in cases}
    for suite in wanted:
        if f"{name}.{suite}" not in ran:
            cases.append(Case(name, suite, failure="declared in the source, but no case of "
                                                   "it was run"))
    # What the parser itself finds wrong, such as a plan that was not kept.
    if results["misc"]["errors"]:
        cases.append(Case(name, "KTAP", failure=said))
    if wrong:
        cases.append(Case(name, "detectors", failure="\n".join(wrong)))
    return cases, said
