# SPDX-License-Identifier: GPL-2.0
"""The trees that Debian ships, and the schema that nodes are held against."""

import subprocess

import pytest

from board.overlay import trees_in, unpack
from guest.row import CLONE
from readback import Schema


@pytest.fixture(scope="session", name="out")
def fixture_out(group):
    """Where something is left beside the logs."""
    return group.logs.parent


@pytest.fixture(scope="session", name="package")
def fixture_package():
    """Debian's package with the trees."""
    return subprocess.run([CLONE / "scripts/kernel/kernel.sh", "trees", "debian"], cwd=CLONE,
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session", name="unpacked")
def fixture_unpacked(package, tmp_path_factory):
    """Where the package is unpacked."""
    directory = tmp_path_factory.mktemp("trees")
    unpack(package, directory)
    return directory


@pytest.fixture(scope="session", name="trees")
def fixture_trees(unpacked):
    """The trees by board, vendor/name."""
    return trees_in(unpacked)


@pytest.fixture(scope="session", name="schema")
def fixture_schema(tmp_path_factory):
    """The binding's schema."""
    return Schema(tmp_path_factory.mktemp("schema"))
