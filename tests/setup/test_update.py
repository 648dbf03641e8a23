# SPDX-License-Identifier: GPL-2.0
"""make update: the newest kernel is taken if it proves good, against made-up archives."""

import hashlib
import os
import re
import shutil

import pytest

from archive import RUSTC, SNAPSHOT, Archive, Tree, fill
from guest.row import CLONE, Row

V734, V7212, V741 = (f"{version}-1~bpo13+1" for version in ("7.3.4", "7.2.12", "7.4.1"))
OLD = f"5.0.{os.getpid()}-2"
TESTED = [("backports", V734, SNAPSHOT, RUSTC), ("backports", V7212, SNAPSHOT, RUSTC)]
# The arguments of what was called, a line each; and what it makes of its status.
CALLED = 'echo "${0##*/} $*" >>"$PWD/../called"; exit '


@pytest.fixture(name="archive")
def fixture_archive(tmp_path):
    """The archive as it is now; empty."""
    return Archive(tmp_path / "archive")


@pytest.fixture(name="tree")
def fixture_tree(tmp_path, archive):
    """A tree that names 7.3.4 as preferred, and whose kernels are neither built nor booted."""
    tree = Tree(tmp_path / "tree", TESTED, archive, tmp_path / "dated")
    tree.keep_row("debian")
    shutil.copy(tree.directory / "scripts/task.sh", tree.directory / "scripts/real-task.sh")
    tree.replace("task.sh", CALLED + "0")
    tree.replace("demo.py", CALLED + "0")
    return tree


def named(tree):
    """The tree's list of tested versions, with their rustc."""
    lines = (tree.directory / "scripts/kernel/tested").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split()[:2] + line.split()[3:4]) for line in lines if line[0] != "#"]


def called(tree):
    """What was called in the trial."""
    path = tree.directory / "out/update/called"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def update(tree):
    """Run make update; return (its status, the messages)."""
    status, output, said = tree.run("scripts/real-task.sh", "update")
    assert output == ""
    return status, said


def test_newer(tree, archive):
    """Built, booted through the demo, and then named, with when the archive had it and rustc."""
    fill(archive, V7212, V734, V741)
    status, said = update(tree)
    assert status == 0, said
    assert called(tree) == ["task.sh build debian", "demo.py --kernel=debian"]
    assert named(tree) == [("backports", V741, RUSTC), ("backports", V734, RUSTC),
                           ("backports", V7212, RUSTC)]
    line = next(line for line in (tree.directory / "scripts/kernel/tested").read_text().splitlines()
                if V741 in line)
    assert re.fullmatch(r"backports +\S+ +\d{8}T\d{6}Z +\S+ +-", line)
    assert (f"{V741} has booted and is the preferred one now: "
            "see git diff scripts/kernel/tested") in said
    assert tree.resolve()[0]["VERSION"] == V741 and tree.remarks() == ""
    assert not list((tree.directory / "out/update").glob("*/scripts"))


def test_preferred_again(tree, archive):
    """A version that is named already is named once."""
    tree.name(reversed(TESTED))
    fill(archive, V7212, V734)
    assert update(tree)[0] == 0
    assert named(tree) == [("backports", V734, RUSTC), ("backports", V7212, RUSTC)]


@pytest.mark.parametrize("script", ["task.sh", "demo.py"])
def test_fails(tree, archive, script):
    """What is not built or does not boot is not named, and what was tried can be looked at."""
    fill(archive, V734, V741)
    tree.replace(script, CALLED + "3")
    before = (tree.directory / "scripts/kernel/tested").read_bytes()
    status, said = update(tree)
    assert status == 1
    assert called(tree)[-1].startswith(script)
    assert (f"kernel, backports: {V741} is not taken, scripts/kernel/tested stays as it is; "
            "what was tried is in out/update/backports\n") in said
    assert (tree.directory / "scripts/kernel/tested").read_bytes() == before
    assert V741 in (tree.directory / "out/update/backports/scripts/kernel/tested").read_text()


@pytest.mark.parametrize("status", [0, 1], ids=["recorded", "not recorded"])
def test_costs(tree, archive, status):
    """Where make test compares what a press costs, that is recorded for the version taken."""
    fill(archive, V734, V741)
    with open(tree.directory / "scripts/kernel/table", "a", encoding="utf-8") as kernels:
        kernels.write("kunit own backports arm64 gcc kunit,bench - scripts/kernel/kunit.config\n")
    tree.replace("task.sh", f'[ "$1" != build ] || exit 0\n{CALLED}{status}\n')
    said = update(tree)
    assert said[0] == status
    assert (tree.directory.parent / "called").read_text() == (
        f"task.sh record make update took {V741}\n")
    assert named(tree)[0] == ("backports", V741, RUSTC)
    assert ("could not be recorded" in said[1]) == bool(status)


@pytest.mark.parametrize("there", [[V7212, V734], [V7212], []],
                         ids=["preferred", "older", "none of it"])
def test_nothing_newer(tree, archive, there):
    """That is said; a newer source whose image has not arrived is not newer."""
    fill(archive, *there)
    archive.kernel(V741, image=False)
    archive.index()
    status, said = update(tree)
    assert f"kernel, backports: the archive has nothing newer than {V734}\n" in said
    assert (status, called(tree)) == (0 if there else 1, [])
    assert named(tree) == [(source, version, rustc) for source, version, _, rustc in TESTED]


@pytest.mark.parametrize("rustc, built", [
    ("1.99.0", "with rustc 1.99.0"), ("", "without Rust, as far as its headers say,")])
def test_another_rustc(tree, archive, rustc, built):
    """It is said and not taken."""
    fill(archive, V734)
    fill(archive, V741, rustc=rustc)
    status, said = update(tree)
    assert (f"kernel, backports: {V741} is not taken: it was built {built} "
            f"and the build root has rustc {RUSTC}\n") in said
    assert (status, called(tree)) == (1, [])
    assert named(tree)[0] == ("backports", V734, RUSTC)


def test_own(tree, archive):
    """A source of one series stays in it; what was built is booted through the demo too."""
    (tree.directory / "scripts/kernel/table").write_text("6.18 own 6.18 gcc test -\n")
    # No row is made of the other.
    other = ("6.19", "6.19.0-1", SNAPSHOT, "-")
    tree.name([other, ("6.18", "6.18.15-1", SNAPSHOT, "-")])
    for version in ("6.18.15-1", "6.18.20-1", "6.19.1-1"):
        archive.source(version)
    archive.package("linux-source-6.18", "6.18.20-1", "all")
    archive.index()
    assert update(tree)[0] == 0
    package, = archive.pool.glob("linux-source-6.18_*")
    tested = (tree.directory / "scripts/kernel/tested").read_text(encoding="utf-8")
    assert hashlib.sha256(package.read_bytes()).hexdigest() in tested
    assert called(tree) == ["task.sh build 6.18", "demo.py --kernel=6.18"]
    assert named(tree) == [("6.19", "6.19.0-1", "-"), ("6.18", "6.18.20-1", "-"),
                           ("6.18", "6.18.15-1", "-")]


def test_series_of_stock(tree, archive):
    """Debian's kernels of the series before stay in it, and rustc counts."""
    (tree.directory / "scripts/kernel/table").write_text(
        "old stock backports-7.2 arm64 - - core -\n")
    tree.name([("backports-7.2", "7.2.9-1~bpo13+1", SNAPSHOT, RUSTC)])
    fill(archive, "7.2.9-1~bpo13+1", V7212, V734)
    assert update(tree)[0] == 0
    assert called(tree) == ["task.sh build old", "demo.py --kernel=old"]
    assert named(tree)[0] == ("backports-7.2", V7212, RUSTC)
    fill(archive, "7.2.20-1~bpo13+1", rustc="1.99.0")
    assert update(tree)[0] == 1
    assert named(tree)[0] == ("backports-7.2", V7212, RUSTC)


def test_build_root(tree, archive):
    """It is made anew where the archive's packages are newer, each time."""
    (tree.directory.parent / "apt/status").write_text(
        "Package: made-up\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: made up\n")
    generation = tree.cache / "generation"
    fill(archive, V734)
    status, said = update(tree)
    assert (status, generation.exists()) == (0, False)
    assert said.endswith("build root: nothing newer\n")
    archive.package("made-up", "2", "amd64")
    archive.index()
    for number in (1, 2):
        status, said = update(tree)
        assert (status, generation.read_text()) == (0, f"{number}\n")
        assert said.endswith("build root: 1 packages are newer, the next run makes a new one\n")
    key = tree.run("bash", "-c", ". scripts/setup/lib.sh; . scripts/setup/archive.sh; "
                   ". scripts/setup/tidy.sh; . scripts/setup/root.sh; root_key amd64")[1]
    assert key.endswith("-2")


@pytest.mark.parametrize("alive", [True, False], ids=["archive", "no archive"])
def test_make(tree, archive, alive):
    """make passes the status on."""
    fill(archive, V734)
    if not alive:
        shutil.rmtree(archive.directory)
    shutil.copy(CLONE / "Makefile", tree.directory)
    tree.replace("task.sh", 'exec scripts/real-task.sh "$@"')
    status, _, said = tree.run("make", "update")
    assert (status == 0) == alive
    assert f"the archive has nothing newer than {V734}\n" in said or not alive


def test_dead(tree, archive):
    """An archive that does not answer has nothing to say about what is newer."""
    fill(archive, V734, V741)
    assert tree.resolve()[0]["VERSION"] == V734
    shutil.rmtree(archive.directory)
    status, said = update(tree)
    assert status == 1
    assert "alloclab: archive: current versions" in said
    assert "newer" not in said


@pytest.mark.long
def test_real(tmp_path, archive):
    """With a kernel that can be built and booted, in a tree that does not know it."""
    row = Row.find("debian")
    fill(archive, row.version)
    tree = Tree(tmp_path / "tree", [("backports", OLD, SNAPSHOT, RUSTC)], archive,
                tmp_path / "dated", cache=row.directory.parent.parent)
    tree.keep_row("debian")
    tree.add_module()
    try:
        status, said = tree.run("scripts/task.sh", "update")[::2]
        tree.forget()
        assert status == 0, said
        assert "17 methods, 0 bytes leaked" in said
        assert named(tree) == [("backports", row.version, RUSTC), ("backports", OLD, RUSTC)]
    finally:
        tree.name([("backports", OLD, SNAPSHOT, RUSTC)])
        tree.forget()
