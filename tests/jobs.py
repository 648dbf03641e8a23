# SPDX-License-Identifier: GPL-2.0
"""What make test and make matrix run: KUnit suites and pytest, several at once, with progress."""

import ast
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Sequence

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
sys.path[:0] = [str(CLONE / "scripts"), str(HERE / "torture")]
sys.dont_write_bytecode = True

import junit  # noqa: E402
import kunit  # noqa: E402
from detectors import look_back  # noqa: E402
from guest.guest import interrupted  # noqa: E402
from guest.row import Row, RowError  # noqa: E402
from junit import Case  # noqa: E402

# The marks of end-to-end tests that are words of scripts/kernel/table too.
MARKS = ["core", "wide", "storm", "storms"]
# The models of boards: see tests/boards/pi.py.
MODELS = ["raspi3b", "raspi4b"]
# What stands for a mark where the failure is of the run itself.
RUN = "run"
# Where a row runs all end-to-end tests: so many guests, each with its share of the test modules.
SHARES = 2
# About how many seconds the tests of a row take: only for which begins first.
SECONDS = {"all": 240, "core": 60, "wide": 150, "debug": 240, "setup": 240, "kunit": 20,
           "bench": 30, "boards": 60}
# One more than the smallest supported machine has processors: a guest often waits.
GUESTS = 3
SILENCE_SECONDS = 8
# pytest's status when it has found none.
NO_TESTS = 5
# The torture tests that prove a kernel's detectors.
PROOF = "crimes"


class Progress:
    """Prints lines, and one of its own when nothing was printed for a while."""

    def __init__(self):
        self.start = time.monotonic()
        self._last = self.start
        self._lock = threading.Lock()
        self._doing = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _print(self, text):
        self._last = time.monotonic()
        print(f"[{self._last - self.start:6.1f} s] {text}", flush=True)

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


class Outcome(NamedTuple):
    """What came of a job."""

    row: Row
    suite: str              # kunit, setup, e2e or torture
    cases: Sequence[Case]
    seconds: float
    learnt: dict            # what the tests have found out about the kernel; see tests/conftest.py


class KUnit(NamedTuple):
    """The KUnit suites on a row."""

    row: Row
    out: Path

    @property
    def expected(self):
        """About how long it takes, in seconds."""
        return SECONDS["kunit"]

    def run(self, progress):
        """Run it; return what came of it."""
        who = f"kunit.{self.row.name}"
        progress.say(who, f"boot {self.row.release}, load alloclab_kunit.ko")
        start = time.monotonic()
        try:
            cases, said = kunit.suites(self.row, self.out,
                                       lambda guest: look_back(guest, rounds=1).wrong)
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
        return Outcome(self.row, "kunit", cases, seconds, {})


class Tests(NamedTuple):
    """One run of pytest: tests of a directory on a row."""

    row: Row
    suite: str          # a directory of tests/
    name: str           # of these tests, among those of the suite on the row; may be empty
    out: Path
    expected: float     # about how long it takes, in seconds
    options: Sequence[str]

    def run(self, progress):
        """Run it; return what came of it."""
        suite = f"{self.suite}.{self.row.name}"
        who = f"{suite}.{self.name}".rstrip(".")
        report, learnt = self.out / f"{who}.pytest.xml", self.out / f"{who}.learnt.json"
        # Not to be left running, however this process ends.
        command = ["setpriv", "--pdeathsig", "TERM",
                   sys.executable, "-B", "-u", "-m", "pytest", "-v", "--no-header", "--tb=short",
                   "--color=no", "-p", "no:cacheprovider", f"--junitxml={report}",
                   f"--row={self.row.name}", f"--logs={self.out / who.partition('.')[2]}",
                   f"--learnt={learnt}", *self.options]
        start = time.monotonic()
        with subprocess.Popen(command, cwd=CLONE, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as pytest:
            RUNNING.append(pytest)
            follow(pytest, who, progress)
            status = pytest.wait()
        progress.done(who)
        cases, known = [], {}
        if report.is_file():
            cases = junit.read(report, suite)
            report.unlink()
        if learnt.is_file():
            known = json.loads(learnt.read_text(encoding="utf-8"))
            learnt.unlink()
        failed = any(case.failure for case in cases)
        if status != NO_TESTS or "-k" not in self.options:
            # 1 is "tests failed", which the cases say; anything else went wrong around them.
            if status not in (0, 1) or (status == 1) != failed:
                cases.append(Case(who, "pytest", marks=RUN,
                                  failure=f"pytest ended with status {status}"))
            elif len(cases) != known.get("collected"):
                cases.append(Case(who, "pytest", marks=RUN,
                                  failure=f"{known.get('collected')} tests were collected, "
                                          f"{len(cases)} have a result"))
        return Outcome(self.row, self.suite, cases, time.monotonic() - start, known)


RUNNING = []


def stop(*_):
    """A signal handler: end pytest too, which then ends its guest."""
    for pytest in RUNNING:
        pytest.terminate()
    interrupted()


def kunit_jobs(row, words, out):
    """The KUnit suites, where the row's words name them."""
    return [KUnit(row, out)] if "kunit" in words else []


def e2e_jobs(row, words, out, expression=None, but=()):
    """The end-to-end tests that a row's words name, `but` those with these marks."""
    options = ["tests/e2e", *(["-k", expression] if expression else [])]
    if "all" in words:
        shares = [()] if expression else [(f"--share={share}/{SHARES}",)
                                          for share in range(1, SHARES + 1)]
        return [Tests(row, "e2e", str(number) if len(shares) > 1 else "", out, SECONDS["all"],
                      [*options, *share]) for number, share in enumerate(shares, 1)]
    marks = [word for word in words if word in MARKS]
    if not marks:
        return []
    chosen = " or ".join(marks)
    if but:
        chosen = f"({chosen}) and not ({' or '.join(but)})"
    seconds = SECONDS["debug" if row.variety == "debug" else "wide" if "wide" in words else "core"]
    return [Tests(row, "e2e", "", out, seconds, [*options, "-m", chosen])]


def setup_jobs(row, words, out, expression=None):
    """The tests of set-up, where the row's words name them."""
    options = ["tests/setup", *(["-k", expression] if expression else [])]
    return [Tests(row, "setup", "", out, SECONDS["setup"], options)] if "setup" in words else []


def boards_jobs(row, words, out, scale, expression=None):
    """The tests of boards and their trees, and the core of the end-to-end tests on the models of
    boards that QEMU has, where the row's words name them; in quick scale on one model.
    """
    if "boards" not in words:
        return []
    chosen = ["-k", expression] if expression else []
    models = MODELS[:1] if scale == "quick" else MODELS
    return [Tests(row, "boards", "", out, SECONDS["boards"],
                  ["tests/boards", "-m", "not core", f"--scale={scale}", *chosen]),
            *(Tests(row, "boards", model, out, SECONDS["boards"],
                    ["tests/e2e", "tests/boards", "-m", "core", f"--board={model}", *chosen])
              for model in models)]


def bench_jobs(row, words, out, expression=None):
    """The cost of a press against its record, where the row's words name it, and the core of the
    end-to-end tests with the driver in C that it is compared with.
    """
    if "bench" not in words:
        return []
    chosen = ["-k", expression] if expression else []
    return [Tests(row, "bench", name, out, SECONDS[seconds], [*options, *chosen])
            for name, seconds, options in (
                ("", "bench", ["tests/bench"]),
                ("peer", "core", ["tests/e2e", "-m", "core", "--driver=alloclab_peer"]))]


class Torture(NamedTuple):
    """A module of the torture tests, as its source says it."""

    runs: dict      # variety of the kernel -> about how many seconds in quick scale
    boot: str       # how it wants its guest


def torture_modules():
    """The modules of the torture tests by name."""
    found = {}
    for path in sorted(HERE.glob("torture/test_*.py")):
        said = {ast.unparse(statement.targets[0]): statement.value
                for statement in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(statement, ast.Assign)}
        for name in ("RUNS", "BOOT"):
            if name not in said:
                raise RowError(f"{path}: has no {name}: on which kernels, and in what guest")
        found[path.stem.removeprefix("test_")] = Torture(ast.literal_eval(said["RUNS"]),
                                                         ast.unparse(said["BOOT"]))
    return found


def torture_jobs(row, words, out, scale, expression=None):
    """The torture tests that are for a row, where its words name them.

    In quick scale, where a boot takes as long as the tests, those share one that want the same.
    """
    if "torture" not in words:
        return []
    groups = {}
    modules = torture_modules()
    if PROOF not in modules:
        raise RowError(f"tests/torture has no test_{PROOF}.py, which proves the detectors")
    for name, module in modules.items():
        if row.variety in module.runs:
            group = module.boot if scale == "quick" and name != PROOF else name
            groups.setdefault(group, {})[name] = module.runs[row.variety]
    options = [f"--scale={scale}", "--figures", *(["-k", expression] if expression else [])]
    return [Tests(row, "torture", "+".join(group), out, sum(group.values()),
                  [*(f"tests/torture/test_{name}.py" for name in group), *options])
            for group in groups.values()]


def tortures(job):
    """Whether the job is torture tests, which are nothing without the kernel's detectors."""
    return isinstance(job, Tests) and job.suite == "torture"


def proves(job):
    """Whether the job proves that the detectors of its row's kernel detect."""
    return tortures(job) and job.name == PROOF


class Queue:
    """The jobs that are left. The proof of a row's detectors is the first of all jobs on it."""

    def __init__(self, jobs):
        self.jobs = sorted(jobs, key=lambda job: (not proves(job), -job.expected))
        self.unproved = {job.row.name for job in jobs if proves(job)}
        self.blind = set()
        self.turn = threading.Condition()

    def take(self):
        """The next job, as soon as there is one that may run; None when none is left."""
        with self.turn:
            while self.jobs:
                for job in self.jobs:
                    if proves(job) or job.row.name not in self.unproved:
                        self.jobs.remove(job)
                        return job
                self.turn.wait()
            return None

    def done(self, job, passed):
        """A job that was taken has ended."""
        if proves(job):
            with self.turn:
                self.unproved.discard(job.row.name)
                self.blind |= set() if passed else {job.row.name}
                self.turn.notify_all()

    def clear(self):
        """Leave nothing."""
        with self.turn:
            self.jobs.clear()
            self.turn.notify_all()


def run_job(job, queue, progress):
    """Run a job; torture tests of a kernel with a blind detector fail unrun."""
    if tortures(job) and job.row.name in queue.blind:
        who = f"torture.{job.row.name}.{job.name}"
        progress.say(who, "FAILED, not run: a detector of this kernel is blind")
        return Outcome(job.row, job.suite, [Case(who, "pytest", marks=RUN, failure=(
            "not run: a detector of this kernel is blind, see the crimes"))], 0.0, {})
    passed = False
    try:
        outcome = job.run(progress)
        passed = not any(case.failure for case in outcome.cases)
        return outcome
    finally:
        queue.done(job, passed)


def run_jobs(jobs, progress):
    """Run the jobs, so many at once as there are to be guests, those that take longest first.

    But a row's detectors are proved first, and where one is blind, its torture tests fail unrun.
    The outcomes are in the order of the jobs.
    """
    queue = Queue(jobs)
    outcomes = {}

    def work():
        while job := queue.take():
            outcomes[jobs.index(job)] = run_job(job, queue, progress)

    with ThreadPoolExecutor(GUESTS) as pool:
        workers = [pool.submit(work) for _ in range(GUESTS)]
        try:
            for worker in workers:
                worker.result()
        finally:
            queue.clear()
    return [outcomes[number] for number in range(len(jobs))]


def clear(directory, names):
    """Remove what an earlier run of the same tests has left."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in [path for name in names for path in directory.glob(name)]:
        left.unlink(missing_ok=True)
