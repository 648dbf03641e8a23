# SPDX-License-Identifier: GPL-2.0
"""What scripts/task.sh has made for which row, with a make that only notes it."""

import pytest

from archive import RUSTC, SNAPSHOT, Archive, Tree
from guest.row import Row

# Names rows one after the other: whoever has seen enough may be gone when the last one comes.
KERNEL = """case "$*" in
names*) echo first; sleep 0.2; echo second || exit ;;
*) echo "$*" >>made; echo {directory} ;;
esac"""


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    """A tree whose rows have a real kernel, and in whose PATH make notes what it is to make."""
    tree = Tree(tmp_path / "tree", [("backports", "1-1", SNAPSHOT, RUSTC)],
                Archive(tmp_path / "archive"), tmp_path / "dated")
    tree.replace("kernel/kernel.sh", KERNEL.format(directory=Row.find("debian").directory))
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\necho "$*" >>{tree.directory}/made\n', encoding="utf-8")
    make.chmod(0o755)
    tree.environment["PATH"] = f"{make.parent}:{tree.environment['PATH']}"
    return tree


@pytest.mark.parametrize("row, kernel, bench", [
    ("first", "modules", True), ("second", "modules", True), ("third", "dir", False),
    ("upstream", "dir", True)])
def test_modules(tree, row, kernel, bench):
    """The driver in C for the rows of make bench, gpio-sim for those with all tests."""
    status, _, said = tree.run("scripts/task.sh", "modules", row)
    assert status == 0, said
    *kernels, modules = (tree.directory / "made").read_text(encoding="utf-8").splitlines()
    assert kernels == [f"{kernel} {row}", f"dir {row}"]
    assert "TESTS=1" in modules and ("BENCH=1" in modules) == bench


@pytest.mark.parametrize("version, said", [
    ("6.18.15-2", "is newer than this tree"), ("6.18.15-1", ""),
    ("6.18.2-1", "is not known to this tree"), ("5.1-1", "is not known to this tree")])
def test_module_that_does_not_build(tree, tmp_path, version, said):
    """What is known to work is of the row's own source, and is newer or not."""
    kernel = tmp_path / "kernel"
    kernel.mkdir()
    (kernel / "build").symlink_to(Row.find("debian").directory / "build")
    (kernel / "row").write_text(f"VERSION={version}\n", encoding="utf-8")
    tree.replace("kernel/kernel.sh", KERNEL.format(directory=kernel))
    tree.name([("backports", "9.1-1", SNAPSHOT, RUSTC), ("6.18", "6.18.15-1", SNAPSHOT, "-"),
               ("6.18", "6.18.3-1", SNAPSHOT, "-")])
    make = tmp_path / "bin/make"
    make.write_text("#!/bin/sh\necho 'error: it is gone'\nexit 1\n", encoding="utf-8")
    status, _, messages = tree.run("scripts/task.sh", "build", "6.18")
    assert status == 1
    sentence = (f"alloclab: kernel {version} {said}, and the module does not build for it. It is "
                "known to work with 6.18.15-1, 6.18.3-1. To take one of these: ")
    assert (sentence in messages) == bool(said), messages
    assert ("It is known to work" in messages) == bool(said), messages
    assert messages.endswith("error: it is gone\n")
