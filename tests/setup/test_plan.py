# SPDX-License-Identifier: GPL-2.0
"""What pytest does with a plan: a copy of this tree with made-up rows, and tests without guests."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from guest.row import CLONE

TABLE = """
one  own    backports  arm64  gcc  kunit,all,torture  kunit,core  -
two  own    backports  arm64  gcc  core,torture       core,wide   -
"""
KERNEL = """#!/bin/sh
mkdir -p rows/$2/build && echo CONFIG_OF=y >rows/$2/build/.config
printf '%s\\n' NAME=$2 KIND=own ARCH=arm64 RELEASE=1 VERSION=1 SOURCE=/ >rows/$2/row
echo $PWD/rows/$2
"""
# Each test says when it begins and ends.
NOTES = """

def note(*words):
    with open("order", "a") as order:
        print(time.monotonic(), *words, file=order)


@pytest.fixture(scope="session")
def stand_in(group):
    # For a guest.
    note("boot", group.name)
    yield
    note("off", group.name)
    assert not os.path.exists(f"left-by-{group.name}")


@pytest.fixture(autouse=True)
def noted(group, request, stand_in):
    note("begin", group.name, request.node.name, os.environ["PYTEST_XDIST_WORKER"])
    yield
    note("end", group.name, request.node.name)


@pytest.fixture
def seed(request):
    with open("seeds", "a") as seeds:
        print(request.config.option.seed, file=seeds)
"""
TESTS = {
    "torture/test_crimes": """
        import time
        from lab import Boot
        RUNS = {"own": 10}
        BOOT = Boot("crimes")
        def test_first(): time.sleep(1)
        def test_last(): pass
        """,
    "torture/test_sweep": """
        from lab import Boot
        RUNS = {"own": 300}
        BOOT = Boot("swept")
        def test_sweep(seed): pass
        """,
    "torture/test_storms": """
        from lab import Boot
        RUNS = {"own": 20}
        BOOT = Boot("storm")
        def test_storm(seed): pass
        """,
    # Not in quick scale.
    "torture/test_slow": """
        from lab import Boot
        RUNS = {"own": None}
        BOOT = Boot("storm")
        def test_slow(): assert False
        """,
    "e2e/test_a": """
        import pytest
        @pytest.mark.core
        def test_a(): pass
        @pytest.mark.parametrize("size", [1, 2])
        def test_b(size): pass
        """,
    "e2e/test_c": """
        import pytest
        pytestmark = pytest.mark.core
        def test_c(): pass
        """,
    "kunit/test_suites": """
        import pytest
        @pytest.mark.parametrize("case", ["lab-first", "lab-second"])
        def test_case(case): pass
        """}
ALL = 16


class Trial:
    """A copy of this tree."""

    def __init__(self, directory):
        self.directory = directory
        self.rows = ["one", "two"]
        self.environment = dict(os.environ)
        without = shutil.ignore_patterns("__pycache__", "test_*.py", "*.rs", "*.c")
        for part in ("scripts", "tests"):
            shutil.copytree(CLONE / part, directory / part, ignore=without)
        shutil.copy(CLONE / "pytest.ini", directory)
        self.write(".gitignore", "/out/\n/rows/\n/order\n/seeds\n")
        self.write("scripts/kernel/table", TABLE)
        self.write("scripts/kernel/kernel.sh", KERNEL)
        for name, text in TESTS.items():
            self.write(f"tests/{name}.py", text)
        (directory / "tests/boards/conftest.py").unlink()
        with open(directory / "tests/conftest.py", "a", encoding="utf-8") as conftest:
            conftest.write(NOTES)

    def write(self, name, text):
        """Write a file."""
        (self.directory / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def start(self, *arguments):
        """Start `make test` without what it builds."""
        return subprocess.Popen(
            [sys.executable, "-B", "-m", "pytest", "--plan", "test", "--scale", "quick",
             *(f"--row={row}" for row in self.rows), *arguments], cwd=self.directory, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={name: value for name, value in self.environment.items()
                 if not name.startswith("PYTEST_")})

    def run(self, *arguments):
        """Do that; return (the status, how many passed, how many failed, what is said)."""
        with self.start(*arguments) as running:
            said = running.communicate()[0]
        last = re.fullmatch(r"(\d+) passed, (\d+) failed", said.splitlines()[-1])
        assert last, said
        passed, failed = map(int, last.groups())
        suite = ElementTree.parse(self.directory / "out/test/junit.xml").getroot()[0]
        assert (int(suite.get("tests")), len(suite.findall("testcase"))) == 2 * (passed + failed,)
        assert int(suite.get("failures")) + int(suite.get("errors")) == failed
        return running.returncode, passed, failed, said

    def noted(self):
        """What the tests have noted, in the order of time: lists of words."""
        lines = (self.directory / "order").read_text(encoding="utf-8").splitlines()
        return [words[1:] for words in sorted((line.split() for line in lines),
                                              key=lambda words: float(words[0]))]


@pytest.fixture(name="trial")
def fixture_trial(tmp_path):
    """A copy of this tree with made-up rows and tests."""
    return Trial(tmp_path / "trial")


def test_all_pass(trial):
    status, passed, failed, said = trial.run()
    assert (status, passed, failed) == (0, ALL, 0)
    noted = trial.noted()
    begun = [words[1] for words in noted if words[0] == "begin"]
    assert len(begun) == ALL
    for group in set(begun):
        # Each group has a guest of its own, which ends with it.
        own = [words[0] for words in noted if words[1] == group]
        assert own == ["boot", *["begin", "end"] * begun.count(group), "off"], group
    # A test in no run is not collected, and one in several is once in each.
    assert {words[1:] for words in map(tuple, noted) if words[0] == "end"} >= {
        ("e2e.one.1", "test_a[e2e.one]"), ("e2e.two", "test_a[e2e.two]"),
        ("e2e.one.1", "test_b[1-e2e.one]")}
    assert "test_b[1-e2e.two]" not in said
    # A line names test and row.
    assert re.search(r"^\[ +\d+\.\d s\] PASSED tests/e2e/test_c.py::test_c\[e2e.two\]$", said, re.M)
    names = {(case.get("classname"), case.get("name"))
             for case in ElementTree.parse(trial.directory / "out/test/junit.xml").iter("testcase")}
    assert len(names) == ALL and names >= {
        ("kunit.one.lab", "first"), ("e2e.one", "tests.e2e.test_a::test_b[1]"),
        ("e2e.two", "tests.e2e.test_c::test_c"),
        ("torture.one", "tests.torture.test_sweep::test_sweep")}
    # All workers have the seed that is printed.
    seeds = set((trial.directory / "seeds").read_text(encoding="utf-8").split())
    assert [f"the fuzzers' new seed is {seed};" in said for seed in seeds] == [True]


@pytest.mark.long
def test_proof_comes_first_on_its_row_and_holds_up_no_other(trial):
    trial.write("tests/torture/test_crimes.py", TESTS["torture/test_crimes"] + """
        def test_other_row(group):
            for _ in range(1000):
                done = " end e2e.two test_a" in open("order").read()
                if done or group.run.row == "two":
                    return
                time.sleep(0.1)
            assert False
        """)
    status, _, failed, said = trial.run()
    assert (status, failed) == (0, 0), said
    for row in ("one", "two"):
        noted = [words for words in trial.noted() if words[1].split(".")[1] == row]
        proof = [words[1] == f"torture.{row}.crimes" for words in noted]
        assert proof == sorted(proof, reverse=True) and proof.count(True) == 8, noted


@pytest.mark.long
def test_torture_fails_unrun_where_a_detector_is_blind(trial):
    trial.write("tests/torture/test_crimes.py", TESTS["torture/test_crimes"].replace(
        "def test_last(): pass", "def test_last(row): assert row.name != 'one'"))
    status, passed, failed, said = trial.run()
    # The proof itself, and what would have been run after it.
    assert (status, passed, failed) == (1, ALL - 3, 3)
    assert said.count("not run: a detector of this kernel is blind, see the crimes") >= 2
    ran = {words[1] for words in trial.noted()}
    assert not {"torture.one.sweep", "torture.one.storms"} & ran
    assert {"torture.two.sweep", "torture.two.storms", "e2e.one.1", "kunit.one"} <= ran


@pytest.mark.long
def test_what_a_guest_leaves_fails_in_its_group(trial):
    (trial.directory / "left-by-torture.one.crimes").touch()
    status, _, failed, said = trial.run("tests/torture")
    assert status == 1 and "FAILED tests/torture/test_crimes.py::test_last[torture.one]" in said
    # The others because their detectors are not proved.
    assert failed == 3 == said.count("\nFAILED tests/torture"), said


# The others get their first tests when the detectors are proved, all at once.
UNTIL_ALL_WORK = """

def pytest_runtest_call(item):
    end = time.monotonic() + 200
    while "crimes" not in item.nodeid and time.monotonic() < end:
        with open("order") as order:
            words = [line.split() for line in order if " begin " in line]
        if len({worker for *_, group, test, worker in words if "crimes" not in group}) == 4:
            break
        time.sleep(0.1)
"""


@pytest.mark.long
def test_all_workers_have_work_once_the_detectors_are_proved(trial):
    trial.rows = ["one"]
    trial.write("tests/torture/test_small.py", """
        from lab import Boot
        RUNS = {"own": 1}
        BOOT = Boot("small")
        def test_small(): pass
        """)
    # With a group of one test a worker takes the next one, too.
    for name in ("torture/test_sweep", "torture/test_storms", "torture/test_small", "e2e/test_c"):
        with open(trial.directory / f"tests/{name}.py", "a", encoding="utf-8") as module:
            module.write("\ndef test_more(): pass\n")
    with open(trial.directory / "tests/conftest.py", "a", encoding="utf-8") as conftest:
        conftest.write(UNTIL_ALL_WORK)
    assert trial.run()[0] == 0
    noted = [words for words in trial.noted() if words[0] in ("begin", "end")]
    assert len({words[3] for words in noted if words[0] == "begin"}) == 4
    # What takes longest begins before anything else has ended.
    rest = [words[:2] for words in noted if "crimes" not in words[1]]
    first = [what for what, _ in rest].index("end")
    assert "torture.one.sweep" in [group for _, group in rest[:first]]


# What a test does that fails, what is said of it, and how many fail.
FAILURES = {
    "skips": ("import pytest\ndef test_c(): pytest.skip('no time')", "a skip is a failure: ", 2),
    "ends badly": ("""
        import pytest
        @pytest.fixture
        def bad():
            yield
            assert False, "left something"
        def test_c(bad): pass
        """, "left something", 2),
    "fails twice": ("""
        import pytest
        @pytest.fixture
        def bad():
            yield
            assert False, "left something"
        def test_c(bad): assert False, "failed first"
        """, "left something", 2),
    # Nothing of it is collected.
    "no module": ("import nothing", "No module named 'nothing'", 1),
    "dies": ("import os\ndef test_c(): os._exit(1)", "crashed while running", 4),
}


MARKED = "\nimport pytest\npytestmark = pytest.mark.core\n"


@pytest.mark.parametrize("text, why, number", FAILURES.values(), ids=FAILURES)
def test_what_is_a_failure(trial, text, why, number):
    trial.write("tests/e2e/test_c.py", textwrap.dedent(text) + MARKED)
    status, passed, failed, said = trial.run()
    assert (status, passed, failed) == (1, ALL - 2, number), said
    assert why in said


@pytest.mark.long
def test_what_has_no_result_is_a_failure(trial):
    """More workers die than are replaced."""
    trial.write("tests/e2e/test_c.py", """
        import os, pytest
        pytestmark = pytest.mark.core
        @pytest.mark.parametrize("number", range(20))
        def test_c(number): os._exit(1)
        """)
    status, passed, failed, said = trial.run()
    assert status != 0 and passed + failed >= ALL - 2 + 40
    assert "was collected, and has no result" in said


@pytest.mark.parametrize("hook, number", [
    ("pytest_runtest_logfinish(nodeid):\n    if 'test_c[e2e.two' not in nodeid: return", 2),
    ("pytest_sessionfinish(session):", 1)], ids=["after a test", "at the end"])
def test_a_worker_that_dies_beside_tests_is_a_failure(trial, hook, number):
    with open(trial.directory / "tests/conftest.py", "a", encoding="utf-8") as conftest:
        conftest.write(f"\n\ndef {hook}\n    if os.environ.get('PYTEST_XDIST_WORKER') == 'gw1' or "
                       "'nodeid' in locals() and 'PYTEST_XDIST_WORKER' in os.environ:\n"
                       "        time.sleep(0.5)\n        os._exit(1)\n")
    status, _, failed, said = trial.run()
    assert (status, failed) == (1, number), said


@pytest.mark.long
def test_without_what_proves_the_detectors_nothing_runs(trial):
    (trial.directory / "tests/torture/test_crimes.py").unlink()
    with trial.start() as running:
        said = running.communicate()[0]
    assert running.returncode == pytest.ExitCode.USAGE_ERROR
    assert "tests/torture has no test_crimes.py, which proves the detectors" in said


@pytest.mark.long
def test_what_make_matrix_takes_over(trial):
    record = trial.directory / "out/test/rows.json"
    assert trial.run("tests/e2e")[0] == 0 and not record.exists()
    # As scripts/task.sh does if everything is to be run.
    trial.environment["ALLOCLAB_TREE"] = subprocess.run(
        ["tests/record.py"], cwd=trial.directory, stdout=subprocess.PIPE, text=True,
        check=True).stdout.strip()
    assert trial.run()[0] == 0
    rows = json.loads(record.read_text(encoding="utf-8"))["rows"]
    assert rows["one"]["kernel"] == "one" and rows["one"]["words"] == ["kunit", "all", "torture"]
    assert rows["one"]["kunit"] == [False] * 2
    assert [rows[name]["e2e"].count({"marks": "core", "failed": False}) for name in rows] == [2, 2]
    assert [len(rows[name]["e2e"]) for name in rows] == [4, 2]


def test_arguments_choose(trial):
    text = TESTS["e2e/test_c"]
    trial.write("tests/e2e/test_c.py", text.replace("pass", "assert False"))
    assert trial.run()[1:3] == (ALL - 2, 2)
    status, passed, failed, said = trial.run("--lf")
    assert (status, passed, failed) == (1, 0, 2), said
    trial.write("tests/e2e/test_c.py", text)
    assert trial.run("--lf")[:3] == (0, 2, 0)
    status, passed, failed, said = trial.run("--lf")
    assert (status, passed, failed) == (pytest.ExitCode.NO_TESTS_COLLECTED, 0, 0)
    assert "--lf selects no test" in said
    assert trial.run("-k", "storm or (lab and first)")[:3] == (0, 3, 0)
    assert trial.run("tests/e2e/test_a.py", "tests/e2e/test_c.py::test_c[e2e.two]")[:3] == (0, 5, 0)


@pytest.mark.long
def test_a_line_at_least_every_ten_seconds(trial):
    trial.write("tests/e2e/test_c.py", TESTS["e2e/test_c"].replace(
        "pass", "\n            import time; time.sleep(29)"))
    last, gaps, silent = time.monotonic(), [], []
    with trial.start("tests/e2e/test_c.py") as running:
        for line in running.stdout:
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
            if "] ... " in line:
                silent.append(gaps[-1])
    # A busy host may let a process wait for seconds, but not each time.
    assert running.returncode == 0 and min(silent) < 10 and max(gaps) < 28
    assert line == "2 passed, 0 failed\n"


def ended(process):
    """Whether a process is no more, or nobody has asked for its status yet."""
    try:
        return "State:\tZ" in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True


@pytest.mark.long
def test_signal_ends_guests(trial):
    # A process that like QEMU ends with the one that has started it.
    trial.write("tests/e2e/test_c.py", TESTS["e2e/test_c"].replace("pass", """
            import subprocess
            guest = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sleep", "1000"])
            open("guest", "w").write(str(guest.pid))
            guest.wait()
        """))
    with trial.start("tests/e2e/test_c.py::test_c[e2e.one]") as running:
        number = trial.directory / "guest"
        while not number.exists() or not number.read_text(encoding="utf-8"):
            assert running.poll() is None
            time.sleep(0.1)
        begun = time.monotonic()
        running.terminate()
        said = running.communicate()[0]
    assert running.returncode == pytest.ExitCode.INTERRUPTED, said
    assert time.monotonic() - begun < 200
    assert ended(number.read_text(encoding="utf-8"))
    assert not re.search(r"^\d+ passed", said.splitlines()[-1])
