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
