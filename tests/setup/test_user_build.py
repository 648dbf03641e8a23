# SPDX-License-Identifier: GPL-2.0
"""The command's own tests, its crates, and how it is built."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from guest.row import CLONE

CACHE = Path(os.environ["ALLOCLAB_CACHE"])
# What a host may have in cargo's configuration, and what of that the build root gets.
HOST = """
[build]
rustc-wrapper = "sccache"
[source.crates-io]
replace-with = "near"
[source.near]
registry = "sparse+https://crates.example/index/"
[registries.near]
index = "sparse+https://crates.example/index/"
token = "secret"
[net]
retry = 5
git-fetch-with-cli = true
[http]
cainfo = "/home/someone/ca.pem"
proxy = "proxy.example:3128"
"""
TAKEN = {
    "source": {"crates-io": {"replace-with": "near"},
               "near": {"registry": "sparse+https://crates.example/index/"}},
    "registries": {"near": {"index": "sparse+https://crates.example/index/"}},
    "net": {"retry": 5, "git-fetch-with-cli": True},
    "http": {"proxy": "proxy.example:3128"},
}


def user(*arguments, clone=CLONE, **variables):
    """scripts/user.sh; return (status, what it printed, what it said)."""
    done = subprocess.run(["scripts/user.sh", *arguments], cwd=clone,
                          env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_unit_tests():
    """The unit and property tests of the command."""
    status, printed, said = user("test")
    assert status == 0, printed + said
    assert re.search(r"^test result: ok\. [1-9]\d+ passed; 0 failed; 0 ignored", printed, re.M)


@pytest.mark.long
def test_own_machine():
    """The program for this machine runs here; a machine that it is not for is refused."""
    arch = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()
    status, printed, said = user("program", arch)
    assert status == 0, said
    version = subprocess.run([printed.strip(), "--version"], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    assert version.startswith("alloclab ")
    # No path of this machine is in it.
    assert str(CACHE).encode() not in Path(printed.strip()).read_bytes()
    assert user("program", "armhf")[2] == (
        "alloclab: the command is for amd64 and arm64, not for armhf\n")


def copy(tmp_path):
    """A copy of what the command is built of."""
    clone = tmp_path / "clone"
    for name in ("user", "scripts"):
        shutil.copytree(CLONE / name, clone / name, ignore=shutil.ignore_patterns("target"))
    return clone


@pytest.mark.long
def test_crates_are_compared_with_their_checksums(tmp_path):
    """A crate that is not the one of Cargo.lock is refused."""
    def crates(clone):
        key = subprocess.run(["bash", "-c", ". scripts/setup/lib.sh; digest <user/Cargo.lock"],
                             cwd=clone, stdout=subprocess.PIPE, text=True, check=True).stdout
        return Path("crates") / key.strip()
    clone = copy(tmp_path)
    assert user("program", "arm64")[0] == 0
    # As if the registry had another one: that of the lock is the one that is known.
    lock = clone / "user/Cargo.lock"
    text, changed = re.subn(r'(name = "roff"\n.*\n.*\nchecksum = ")(?:0|[^0])',
                            r"\g<1>0", lock.read_text(encoding="utf-8"))
    assert changed == 1 and text != lock.read_text(encoding="utf-8")
    lock.write_text(text, encoding="utf-8")
    cache = tmp_path / "cache"
    shutil.copytree(CACHE / crates(CLONE), cache / crates(clone))
    (cache / crates(clone) / "complete").unlink()
    status, _, said = user("program", "arm64", clone=clone, ALLOCLAB_CACHE=str(cache),
                           CARGO_NET_OFFLINE="true")
    assert status != 0 and "checksum for `roff" in said, said
    assert not (cache / crates(clone) / "complete").exists()


def test_program_is_named_after_what_it_is_made_of(tmp_path):
    """A change of a source makes another one; another time or place does not."""
    def key(clone):
        # Up to where the task is looked at, the script only defines.
        text = (clone / "scripts/user.sh").read_text(encoding="utf-8").partition("\ntask=")[0]
        return subprocess.run(["bash", "-euc", f"{text}\nprogram_key some-target"], cwd=clone,
                              stdout=subprocess.PIPE, text=True, check=True).stdout
    clone = copy(tmp_path)
    os.utime(clone / "user/src/main.rs", (0, 0))
    before = key(clone)
    assert before == key(CLONE)
    for name in ("src/main.rs", "Cargo.toml", "Cargo.lock"):
        path = clone / "user" / name
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        after = key(clone)
        assert after != before
        before = after


@pytest.fixture(name="inside")
def fixture_inside(in_root):
    """A function that runs a command in a root, on a host with these variables."""
    def inside(*command, **variables):
        done = in_root("CARGO", *command, **variables)
        return done.returncode, done.stdout
    return inside


def test_registry_of_the_host(inside, tmp_path):
    """Where the host's cargo takes crates from, the build root's does; no secret gets in."""
    home = tmp_path / "cargo"
    home.mkdir()
    (home / "config.toml").write_text(HOST, encoding="utf-8")
    configuration = "/run/alloclab-cargo.toml"
    status, text = inside("scripts/setup/registry.py", configuration, CARGO_HOME=str(home))
    assert status == 0 and tomllib.loads(text) == TAKEN
    assert inside("test", "-e", configuration, CARGO_HOME=str(tmp_path))[0] == 1


def test_variables_of_the_host(inside):
    """Variables that tell cargo of registries and of the network; no secret, no file."""
    taken = {"CARGO_NET_RETRY": "5", "CARGO_HTTP_PROXY": "proxy.example:3128",
             "CARGO_REGISTRIES_NEAR_INDEX": "sparse+https://crates.example/index/"}
    left = {"CARGO_REGISTRIES_NEAR_TOKEN": "secret", "CARGO_HTTP_CAINFO": "/home/someone/ca.pem",
            "CARGO_TARGET_DIR": "/home/someone/target"}
    status, text = inside("env", **taken, **left)
    assert status == 0
    got = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CARGO"))
    assert got == taken
