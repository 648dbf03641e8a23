# SPDX-License-Identifier: GPL-2.0
"""What set-up says when this machine is in the way."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from guest.row import CLONE

NOBODY = 65534
# A step that fills the file system of $1 says what it is told in $2, and fails.
FILL = """
    mount -t tmpfs -o size=4m small "$1"
    . scripts/setup/lib.sh
    fill() { head -c 8m /dev/zero >"$1/filling"; echo "$2: No space left on device"; return 1; }
    step "$3" fill "$@"
"""


@pytest.fixture(name="clone")
def fixture_clone():
    """The scripts in a clone that anybody can enter, which is for root to write."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        clone = Path(directory, "clone")
        shutil.copytree(CLONE / "scripts", clone / "scripts")
        yield clone


def run(clone, *command, **variables):
    """Run a command in the clone; return (its status, its messages)."""
    done = subprocess.run(command, cwd=clone, env={**os.environ, **variables}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stderr


def fill(clone, full, text, name="a step"):
    """Run a step that finds the file system `full` full and says so; return the messages."""
    cache = clone.parent / "cache"
    for path in (clone / "out", cache, full):
        path.mkdir(exist_ok=True)
    status, said = run(clone, "unshare", "--mount", "bash", "-euc", FILL, "bash", full, text, name,
                       ALLOCLAB_CACHE=str(cache))
    assert status == 1
    return said.splitlines()[-1]


@pytest.mark.parametrize("full", ["clone/out", "cache"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_no_space(clone, full, named):
    """The directory is told whose file system is full, also where the message does not."""
    path = clone.parent / full
    said = fill(clone, path, f"write {path}/filling" if named else "write error")
    assert said == (f"alloclab: a step: the disk of {path} is full (0 MB free): make room there "
                    f"and run the same command again; log: out/log/a-step.log")


def test_no_space_that_is_back(clone):
    """What a failed step leaves is often removed by itself: the message still has the place."""
    said = fill(clone, clone.parent / "elsewhere", "cannot write /tmp/ccXyz.s")
    assert "a step: the disk of /tmp is full (" in said


def test_no_space_on_the_host(clone):
    """Packages of the host are not in the cache."""
    said = fill(clone, clone.parent / "elsewhere", "dpkg: unpacking /usr/bin/mmdebstrap",
                "host: mmdebstrap")
    assert "host: mmdebstrap: the disk of /usr is full (" in said


@pytest.mark.parametrize("command", ["lock_clone", "check_owner"])
def test_left_by_root(clone, command):
    """What 'sudo make' left is named, with the command that mends it."""
    command = ["bash", "-euc",
               f'. scripts/setup/lib.sh; . scripts/setup/cache.sh; ALLOCLAB_WHO=me; {command}']
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    os.chown(clone, NOBODY, NOBODY)
    assert run(clone, *user) == (0, "")
    (clone / "out/log").mkdir(parents=True, exist_ok=True)
    (clone / "out/log/left.log").touch()
    assert run(clone, *command) == (0, "")
    status, said = run(clone, *user)
    assert (status, said) == (1, (
        f"alloclab: not everything in {clone}/out belongs to nobody, as 'sudo make' leaves it: "
        f"run: sudo chown -R nobody: {clone}/out\n"))
    mend = said.partition("run: sudo ")[2]
    subprocess.run(["sh", "-c", mend], check=True)
    assert run(clone, *user) == (0, "")


def test_clean_after_root(clone):
    """make clean would end halfway."""
    (clone / "out").mkdir()
    (clone / "alloclab.ko").touch()
    os.chown(clone, NOBODY, NOBODY)
    status, said = run(clone, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                       "--clear-groups", "bash", "scripts/clean.sh", "clean")
    assert status == 1
    assert f"run: sudo chown -R nobody: {clone}/out {clone}/alloclab.ko\n" in said
    assert (clone / "out").exists() and (clone / "alloclab.ko").exists()
