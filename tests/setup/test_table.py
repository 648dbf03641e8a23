# SPDX-License-Identifier: GPL-2.0
"""The table of kernels: a row that is not right is refused, and what is allowed is said."""

import shutil
import subprocess

import pytest

from guest.row import CLONE, table

GOOD = "one stock backports arm64 - core core -"
# What is wrong in a row -> what is said of it.
BAD = {
    "one odd backports arm64 - core core -": "there is no kind 'odd' from 'backports'; allowed are",
    "one stock 6.18 arm64 - core core -": "there is no kind 'stock' from '6.18'; allowed are",
    "one stock backports armhf - core core -":
        "there is no kind 'stock' of flavour 'armhf'; allowed are",
    "one own backports rt-arm64 gcc core core scripts/kernel/kunit.config":
        "there is no kind 'own' of flavour 'rt-arm64'; allowed are",
    "one stock backports arm64 gcc core core -": "there is no kind 'stock' by 'gcc'; allowed are",
    "one own backports arm64 tcc core core scripts/kernel/kunit.config":
        "there is no kind 'own' by 'tcc'; allowed are",
    "one stock backports arm64 - cores core -": "there is no tests 'cores'; allowed are kunit, all",
    "one stock backports arm64 - core storn -": "there is no tests 'storn'; allowed are kunit, all",
    "one own backports arm64 gcc core core -": "there is no kind 'own' with the config '-'",
    "one stock backports arm64 - core core": "there is no kind 'stock' with the config ''",
}


def missing(directory, line):
    """What kernel.sh says of the only row of a table."""
    shutil.copytree(CLONE / "scripts", directory / "scripts")
    (directory / "scripts/kernel/table").write_text(f"# a comment\n{line}\n", encoding="utf-8")
    return subprocess.run(["scripts/kernel/kernel.sh", "missing", "one"], cwd=directory, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


@pytest.mark.parametrize("line", BAD)
def test_row_that_is_not_right(tmp_path, line):
    done = missing(tmp_path, line)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("alloclab: scripts/kernel/table: one: " + BAD[line]), done.stderr


def test_row_that_there_is_not(tmp_path):
    done = missing(tmp_path, GOOD.replace("one", "two"))
    assert done.returncode == 1
    assert done.stderr == "alloclab: no kernel 'one' in scripts/kernel/table: there are two\n"


def test_the_same_rows_for_all_who_read_it():
    names = subprocess.run(["scripts/kernel/kernel.sh", "names"], cwd=CLONE, text=True,
                           stdout=subprocess.PIPE, check=True).stdout
    assert names.split() == list(table())
