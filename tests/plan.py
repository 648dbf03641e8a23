# SPDX-License-Identifier: GPL-2.0
"""What runs on which row: the words of scripts/kernel/table as groups of tests.

A worker runs a group from its first test to its last, in guests of its own. Two groups share
nothing.
"""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Sequence

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
sys.path[:0] = [str(CLONE / "scripts"),
                *(str(HERE / name) for name in ("e2e", "torture", "setup", "boards"))]

from guest.row import Row, RowError, table  # noqa: E402
from pi import MODELS  # noqa: E402
from record import RUN  # noqa: E402

# The marks of end-to-end tests that are words of scripts/kernel/table too.
MARKS = ["core", "wide", "buses", "storm", "storms"]
SUITES = ["kunit", "setup", "boards", "e2e", "bench", "torture"]
# Where a row runs all end-to-end tests: so many groups, each with its share of the test modules.
SHARES = 2
# About how many seconds the tests of a row take: only for which begins first.
SECONDS = {"all": 300, "core": 90, "wide": 150, "debug": 400, "setup": 400, "kunit": 20,
           "bench": 60, "boards": 180}
# The torture tests that prove a kernel's detectors.
PROOF = "crimes"
TORTURE = CLONE / "out/torture"
SUMMARY = "torture.json"
# How the identifier of a test ends: `[PARAMETERS-RUN]`.
ENDS = re.compile(rf"(.*)([\[-])((?:{'|'.join(SUITES)})\.[\w.-]+)\]")


class Run(NamedTuple):
    """Tests on a row. A test that is in several runs is collected once for each."""

    suite: str
    row: str
    folders: Sequence[str]              # of tests/
    variant: str = ""                   # the board, or the driver
    marks: Sequence[str] = ()           # each test has one of them, if any are named
    but: Sequence[str] = ()             # and none of these
    scale: str = "full"

    @property
    def name(self):
        """What test identifiers end with."""
        return ".".join(filter(None, (self.suite, self.row, self.variant)))

    @property
    def board(self):
        """The model of a board that its guests are; None if they are QEMU's virt machine."""
        return self.variant if self.variant in MODELS else None

    @property
    def driver(self):
        """The module under test."""
        return "alloclab_peer" if self.variant == "peer" else "alloclab"


class Group(NamedTuple):
    """The tests of a run that one worker runs."""

    run: Run
    part: str           # which of the run's groups; empty if it has no other
    seconds: float      # about how long it takes
    logs: Path          # how the names of what is left begin

    @property
    def name(self):
        """A name that no other group has."""
        return f"{self.run.name}.{self.part}".rstrip(".")

    @property
    def tortures(self):
        """Whether its tests are nothing without the kernel's detectors."""
        return self.run.suite == "torture"

    @property
    def proves(self):
        """Whether it proves that the detectors of its row's kernel detect."""
        return self.tortures and self.part == PROOF


def runs(row, words, scale):
    """The runs that words of scripts/kernel/table name; `!MARK`: no end-to-end tests with it."""
    for suite in ("kunit", "bench"):
        if suite in words:
            yield Run(suite, row, [suite])
    if "setup" in words:
        yield Run("setup", row, ["setup"], but=["long"])
    if "long" in words:
        yield Run("setup", row, ["setup"], marks=["long"])
    if "bench" in words:
        # The driver in C that the driver is compared with.
        yield Run("bench", row, ["e2e"], "peer", ["core"])
    if "boards" in words:
        yield Run("boards", row, ["boards"], but=["core"], scale=scale)
        for model in list(MODELS)[:1 if scale == "quick" else None]:
            yield Run("boards", row, ["e2e", "boards"], model, ["core"])
    marks = [word for word in words if word in MARKS]
    if "all" in words or marks:
        yield Run("e2e", row, ["e2e"], marks=() if "all" in words else marks,
                  but=[word[1:] for word in words if word[0] == "!"])
    if "torture" in words:
        yield Run("torture", row, ["torture"], scale=scale)


@functools.cache
def torture_modules():
    """The modules of the torture tests: name -> (variety of the kernel -> about how many seconds in
    quick scale, None if it is for full scale alone; how it wants its guest).
    """
    found = {}
    for path in sorted(HERE.glob("torture/test_*.py")):
        said = {ast.unparse(statement.targets[0]): statement.value
                for statement in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(statement, ast.Assign)}
        for name in ("RUNS", "BOOT"):
            if name not in said:
                raise RowError(f"{path}: has no {name}: on which kernels, and in what guest")
        found[path.stem.removeprefix("test_")] = (ast.literal_eval(said["RUNS"]),
                                                  ast.unparse(said["BOOT"]))
    if PROOF not in found:
        raise RowError(f"tests/torture has no test_{PROOF}.py, which proves the detectors")
    return found


class Plan:
    """The runs of this session, and their groups."""

    # What the targets of make run on a row; None: what the caller says.
    WORDS = {"test": lambda entry: entry.test or entry.matrix, "kunit": lambda _: ["kunit"],
             "torture": lambda _: ["torture"], "matrix": None, "upstream": None}

    def __init__(self, kind, rows, scale, find=Row.find):
        """`rows` are ROW or ROW=WORDS. Without a kind, no runs are planned: see by_hand()."""
        self.kind = kind
        self.words = {}
        for name, _, words in (row.partition("=") for row in rows):
            if name not in table():
                raise RowError(f"no kernel '{name}' in scripts/kernel/table: there are "
                               f"{' '.join(table())}")
            self.words[name] = words.split(",") if words else \
                self.WORDS[kind](table()[name]) if kind else []
        if any("torture" in words for words in self.words.values()):
            torture_modules()
        self.rows = {name: find(name) for name in self.words}
        self.runs = {run.name: run for name, words in self.words.items()
                     for run in runs(name, words, scale)}
        self.out = CLONE / "out" / (kind if kind in ("matrix", "upstream") else "test")
        self.groups = {}

    def by_hand(self, variant, scale):
        """Run all tests that pytest is called for; each directory is a run and a group."""
        self.runs = {run.name: run for run in (
            Run(suite, row, [suite], variant, scale=scale)
            for suite in SUITES for row in self.rows)}

    def of_module(self, path):
        """The runs that the tests of a module may be in."""
        return [run for run in self.runs.values() if path.parent.name in run.folders and (
            run.suite != "torture" or not self.kind or
            path.stem.removeprefix("test_") in self._tortures(run))]

    def _tortures(self, run):
        """The modules of a run of torture tests: name -> (about how many seconds, how it wants its
        guest).
        """
        variety = self.rows[run.row].variety
        return {name: (seconds[variety] or 0, boot)
                for name, (seconds, boot) in torture_modules().items() if variety in seconds
                and (run.scale == "full" or seconds[variety] is not None)}

    def group(self, run, path):
        """The group that the tests of a module are in."""
        part, seconds = self._part(run, path) if self.kind else ("", 0)
        out = TORTURE if run.suite == "torture" and self.kind else self.out
        name = ".".join(filter(None, (run.row, run.variant, part))) if self.kind else "pytest"
        group = Group(run, part, seconds, out / name)
        # pytest compares parameters by identity.
        return self.groups.setdefault(group.name, group)

    def _part(self, run, path):
        """Which of a run's groups a module is in, and about how many seconds that takes."""
        if run.suite == "torture":
            # In quick scale a boot takes as long as the tests: those share one that want the same.
            boots, own = {}, path.stem.removeprefix("test_")
            for name, (seconds, boot) in self._tortures(run).items():
                boot = boot if run.scale == "quick" and name != PROOF else name
                boots.setdefault(boot, {})[name] = seconds
            return next(("+".join(group), sum(group.values()))
                        for group in boots.values() if own in group)
        if run.suite != "e2e":
            return "", SECONDS["core" if run.variant == "peer" else run.suite]
        if run.marks:
            return "", SECONDS["debug" if self.rows[run.row].variety == "debug" else
                               "wide" if "wide" in run.marks else "core"]
        return str(sorted(path.parent.glob("test_*.py")).index(path) % SHARES + 1), SECONDS["all"]

    def find(self, test):
        """The group of a test by its identifier; None if it is no test."""
        ends = ENDS.fullmatch(test)
        run = ends and self.runs.get(ends[3])
        return self.group(run, CLONE / test.partition("::")[0]) if run else None

    def blind(self, group):
        """The file that is there if a detector of the group's kernel is blind."""
        return TORTURE / f"{group.run.row}.blind"


def name_of(test):
    """The test suite and the name of a test by its identifier, as out/test/junit.xml has them."""
    ends = ENDS.fullmatch(test)
    if not ends:
        return "torture" if test == SUMMARY else RUN, test
    rest, bracket, run = ends.groups()
    path, _, function = rest.partition("::")
    suite, row = run.split(".", 1)
    if suite == "kunit":
        return f"{suite}.{row}.{function.partition('[')[2].rpartition('-')[0]}", \
            function.rpartition("-")[2]
    for variant in (*MODELS, "peer"):
        row = row.removesuffix(f".{variant}")
    function += "]" if bracket == "-" else ""
    return f"{suite}.{row}", f"{path.removesuffix('.py').replace('/', '.')}::{function}"


def clear(directory, names):
    """Remove what an earlier run of the same tests has left."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in [path for name in names for path in directory.glob(name)]:
        left.unlink(missing_ok=True)


def run_tests(kind, rows):
    """Have pytest run what the words of rows name; return its status."""
    # It is not to be left running, however this process ends.
    return subprocess.run(
        ["setpriv", "--pdeathsig", "TERM", sys.executable, "-B", "-m", "pytest", "--plan", kind,
         *(f"--row={name}={','.join(words)}" for name, words in rows.items())],
        cwd=CLONE, stdin=subprocess.DEVNULL, check=False).returncode
