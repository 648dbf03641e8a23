# SPDX-License-Identifier: GPL-2.0
"""What of the cache is kept, and for whom."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from guest.row import CLONE, Row

DAY = 24 * 60 * 60
TIDY = "for part in lib ns cache tidy; do . scripts/setup/$part.sh; done; "


def age(path, days):
    """Make a path so old."""
    then = time.time() - days * DAY
    os.utime(path, (then, then))


class Cache:
    """A made-up cache with clones that use it."""

    def __init__(self, directory):
        self.directory = directory / "cache"
        self.clones = directory

    def _shell(self, clone, script, *arguments):
        subprocess.run(["bash", "-euc", TIDY + script, "bash", *arguments], cwd=clone, check=True,
                       env={**os.environ, "ALLOCLAB_CACHE": str(self.directory)})

    def clone(self, name):
        """A clone of the repository."""
        clone = self.clones / name
        shutil.copytree(CLONE / "scripts", clone / "scripts")
        return clone

    def kernel(self, name, version="1"):
        """A finished kernel, of a source of its own."""
        kernel = self.directory / "kernels" / name
        source = self.directory / "sources" / f"{version}-abc"
        for path in (kernel, source, self.directory / "debs" / version):
            path.mkdir(parents=True, exist_ok=True)
        (kernel / "row").write_text(f"VERSION={version}\nSOURCE={source}\n")
        (kernel / "stamp").touch()
        return kernel

    def use(self, clone, kernel, days, row="debian"):
        """A clone has used a kernel for a row so many days ago, and nobody later."""
        self._shell(clone, 'note_use "$@"', row, kernel)
        for note in self.directory.glob(f"clones/*/rows/{row}/{kernel.name}"):
            if Path((note.parents[2] / "clone").read_text().strip()) == clone:
                age(note, days)
        age(kernel / "stamp", days)

    def tidy(self, times=1):
        """What the next run does that finds the cache unused; return what is left, by kind."""
        for _ in range(times):
            self._shell(CLONE, "tidy")
        return {kind: sorted(path.name for path in (self.directory / kind).glob("*"))
                for kind in ("roots", "kernels", "sources", "debs", "dated", "crates", "commands",
                             "versions", "clones")}


@pytest.fixture(name="cache")
def fixture_cache(tmp_path):
    """An empty cache."""
    cache = Cache(tmp_path)
    cache.directory.mkdir()
    return cache


@pytest.mark.parametrize("days, kept", [(13, True), (15, False)])
def test_used_lately(cache, days, kept):
    """A kernel that a clone used in the last 14 days is not removed, whatever is recorded."""
    kernel = cache.kernel("old")
    cache.use(cache.clone("clone"), kernel, days)
    for name in ("sources/1-abc", "debs/1"):
        age(cache.directory / name, 100)
    left = cache.tidy(2)
    assert left["kernels"] == (["old"] if kept else [])
    assert left["sources"] == (["1-abc"] if kept else [])
    assert left["debs"] == (["1"] if kept else [])
    assert len(left["clones"]) == kept


@pytest.mark.parametrize("booted", [False, True])
def test_replaced(cache, booted):
    """A kernel that is replaced goes only after its successor has booted."""
    clone = cache.clone("clone")
    cache.use(clone, cache.kernel("old"), 30)
    new = cache.kernel("new", "2")
    cache.use(clone, new, 20)
    assert cache.tidy(3)["kernels"] == ["old"]
    new = cache.kernel("new", "2")
    cache.use(clone, new, 1)
    if booted:
        (new / "booted").touch()
    assert cache.tidy()["kernels"] == (["new"] if booted else ["new", "old"])


def test_replaced_lately(cache):
    """Neither does it go at once."""
    clone = cache.clone("clone")
    cache.use(clone, cache.kernel("old"), 5)
    new = cache.kernel("new", "2")
    cache.use(clone, new, 1)
    (new / "booted").touch()
    assert cache.tidy()["kernels"] == ["new", "old"]


def test_another_row_is_no_successor(cache):
    clone = cache.clone("clone")
    cache.use(clone, cache.kernel("old"), 30)
    cache.use(clone, cache.kernel("other", "2"), 1, row="kunit")
    assert cache.tidy()["kernels"] == ["other"]


def test_two_clones(cache):
    """Another clone's successor is none of ours; each keeps its own."""
    mine, other = cache.clone("mine"), cache.clone("other")
    old, new = cache.kernel("old"), cache.kernel("new", "2")
    (new / "booted").touch()
    cache.use(mine, old, 13)
    cache.use(other, old, 20)
    cache.use(other, new, 1)
    assert cache.tidy()["kernels"] == ["new", "old"]
    age(old / "stamp", 20)
    assert cache.tidy()["kernels"] == ["new", "old"]


@pytest.mark.parametrize("days, kept", [(2, True), (5, False)])
def test_clone_is_gone(cache, days, kept):
    """What only clones have used that are gone may go earlier."""
    clone = cache.clone("clone")
    cache.use(clone, cache.kernel("old"), days)
    cache.use(clone, cache.kernel("new", "2"), 1)
    shutil.rmtree(clone)
    assert cache.tidy()["kernels"] == (["new", "old"] if kept else ["new"])


@pytest.mark.parametrize("days, kept", [(13, True), (15, False)])
def test_crates_and_commands(cache, days, kept):
    """What the command is made of, and the command, by their last use."""
    for kind in ("crates", "commands"):
        (cache.directory / kind / "abc").mkdir(parents=True)
        (cache.directory / kind / "abc.lock").touch()
        age(cache.directory / kind / "abc", days)
    left = cache.tidy()
    for kind in ("crates", "commands"):
        assert left[kind] == (["abc", "abc.lock"] if kept else [])


@pytest.mark.parametrize("days, kept", [(13, True), (15, False)])
def test_without_notes(cache, days, kept):
    """States of the repository that write no notes have used it."""
    age(cache.kernel("old") / "stamp", days)
    assert cache.tidy()["kernels"] == (["old"] if kept else [])


def test_half_made(cache):
    """What an ended run has left is of no use, whoever has begun it."""
    clone, half = cache.clone("clone"), cache.kernel("half")
    cache.use(clone, cache.kernel("whole"), 0, row="kunit")
    cache.use(clone, half, 0)
    (half / "stamp").unlink()
    (cache.directory / "sources/2-abc.tmp").mkdir()
    left = cache.tidy(2)
    assert (left["kernels"], left["sources"]) == (["whole"], ["1-abc"])


def test_root_out_of_date(cache):
    """A root that is to be replaced serves until there is the new one."""
    for name in ("abc-0", "other-0"):
        used = cache.directory / "roots" / name / "etc/alloclab-used"
        used.parent.mkdir(parents=True)
        used.touch()
    (cache.directory / "generation").write_text("1\n")
    assert cache.tidy()["roots"] == ["abc-0", "other-0"]
    shutil.copytree(cache.directory / "roots/abc-0", cache.directory / "roots/abc-1")
    assert cache.tidy()["roots"] == ["abc-1", "other-0"]


def test_notes_of_this_run(row):
    """The kernel of these tests is noted, for this clone."""
    cache = row.directory.parent.parent
    notes = [path for path in cache.glob(f"clones/*/rows/{row.name}/{row.directory.name}")
             if (path.parents[2] / "clone").read_text().strip() == str(CLONE)]
    assert len(notes) == 1
    age(notes[0], 2)
    Row.find(row.name)
    assert time.time() - notes[0].stat().st_mtime < DAY
