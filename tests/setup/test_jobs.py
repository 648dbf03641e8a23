# SPDX-License-Identifier: GPL-2.0
"""In which order jobs run, and which do not, with made-up rows and jobs that do nothing."""

import threading
from types import SimpleNamespace

import pytest

import jobs
from jobs import PROOF, RUN, KUnit, Outcome, run_jobs
from junit import Case

ONE, TWO = SimpleNamespace(name="one"), SimpleNamespace(name="two")
PROGRESS = SimpleNamespace(say=lambda *_: None)


def job_of(row, suite, name, expected):
    """A job of pytest's."""
    return jobs.Tests(row, suite, name, None, expected, ())


JOBS = [job_of(ONE, "e2e", "", 300), KUnit(ONE, None), job_of(ONE, "torture", "sweep", 200),
        job_of(ONE, "torture", PROOF, 10), job_of(TWO, "torture", "sweep", 100),
        job_of(TWO, "e2e", "", 50)]


@pytest.fixture(name="run")
def fixture_run(monkeypatch):
    """A function that runs JOBS, and returns the outcomes and in which order the jobs ended.

    Its argument is whether all crimes are caught. The proof ends when all jobs of the other row
    have, which it must not hold up.
    """
    ended, others = [], threading.Semaphore(0)

    def started(job, crimes_are_caught):
        suite, name = ("kunit", "") if isinstance(job, KUnit) else (job.suite, job.name)
        blind = name == PROOF and not crimes_are_caught
        if name == PROOF:
            assert all(others.acquire(timeout=10) for each in JOBS if each.row is TWO)
        ended.append((job.row.name, suite, name))
        if job.row is TWO:
            others.release()
        return Outcome(job.row, suite, [Case(suite, name, failure="blind" if blind else "")], 0, {})

    def run(crimes_are_caught):
        for kind in (jobs.Tests, KUnit):
            monkeypatch.setattr(kind, "run", lambda job, _: started(job, crimes_are_caught))
        return run_jobs(JOBS, PROGRESS), ended

    return run


def test_proof_comes_first_on_its_row(run):
    outcomes, ended = run(True)
    assert [(name, suite) for name, suite, _ in ended if name == "one"][0] == ("one", "torture")
    assert [name for _, _, name in ended if name == PROOF] == [PROOF]
    assert {name for name, _, _ in ended[:2]} == {"two"} and len(ended) == len(JOBS)
    assert [outcome.row for outcome in outcomes] == [job.row for job in JOBS]
    assert not any(case.failure for outcome in outcomes for case in outcome.cases)


def test_torture_fails_unrun_where_a_detector_is_blind(run):
    outcomes, ended = run(False)
    assert ("one", "torture", "sweep") not in ended and len(ended) == len(JOBS) - 1
    failed = [case for outcome in outcomes for case in outcome.cases if case.failure]
    # The proof itself, and what would have been run after it.
    assert [(case.suite, case.marks) for case in failed] == \
        [("torture.one.sweep", RUN), ("torture", "")]


def test_a_job_that_raises_ends_the_run(monkeypatch):
    def broken(job, _):
        if jobs.proves(job):
            raise OSError("no such kernel")
        return Outcome(job.row, job.suite, [], 0, {})

    monkeypatch.setattr(jobs.Tests, "run", broken)
    monkeypatch.setattr(KUnit, "run", lambda job, _: Outcome(job.row, "kunit", [], 0, {}))
    with pytest.raises(OSError):
        run_jobs(JOBS, PROGRESS)
