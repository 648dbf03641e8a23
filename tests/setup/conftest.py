# SPDX-License-Identifier: GPL-2.0
"""What several modules share."""

import os
import subprocess

import pytest

from clone import Clone
from guest.row import CLONE

# A root inside of ours: the same files, with mounts of its own.
ENTER = """
    . scripts/setup/lib.sh
    . scripts/setup/ns.sh
    mount --bind / "$1"
    in_root "$@"
"""


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    """A copy of this tree."""
    return Clone(tmp_path / "tree")


@pytest.fixture(name="in_root")
def fixture_in_root(tmp_path):
    """A function that runs a command in a root, on a host with these variables.

    It has none of this machine's whose name contains `without`.
    """
    def in_root(without, *command, **variables):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if without not in name}
        return subprocess.run(
            ["unshare", "--mount", "bash", "-euc", ENTER, "bash", root, *command], cwd=CLONE,
            env={**environment, "ALLOCLAB_CACHE": str(tmp_path / "cache"), **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, check=False)
    (tmp_path / "cache").mkdir()
    return in_root
