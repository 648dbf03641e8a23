# SPDX-License-Identifier: GPL-2.0
"""make clean and make distclean: what goes, and what stays."""

import contextlib
import fnmatch
import os
import re
import subprocess
from pathlib import Path

import pytest

from clone import Copy
from guest.row import CLONE

NOBODY = 65534
# What make, the kernel's make in place, Python, checkpatch and Cargo leave.
LEFT = ["out/build/debian/alloclab.ko", "alloclab.ko", "alloclab_usb.ko", "rust-project.json",
        "src/alloclab.o", "src/.alloclab.o.cmd", "src/.alloclab.o.d", "alloclab.mod",
        "alloclab.mod.c", "rust/liballoclab.rmeta", "src/alloclab.long-type-1.txt",
        "Module.symvers", "interfaces.log", "interfaces.rsp", "modules.order",
        "scripts/__pycache__/row.pyc", "tests/.pytest_cache/README.md",
        ".checkpatch-camelcase.git.0", "user/target/debug/alloclab"]
# What others have put there.
OTHERS = [".git/objects/pack.o", "notes.txt", "src/mod.txt", "my.out/alloclab.ko.txt"]


def put(directory, *names, size=1):
    """Make files of a size."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


def files(directory):
    """The files of a directory: name -> content."""
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in directory.rglob("*") if path.is_file()}


@contextlib.contextmanager
def held(directory, how):
    """Another process has the lock of a directory; yields its number."""
    command = f"exec 9<. && flock {how} 9 && echo held && exec sleep 600"
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "bash", "-c", command],
                          cwd=directory, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        try:
            yield process.pid
        finally:
            process.kill()


class Used(Copy):
    """A copy of this tree that was used, and a cache of its own, in a directory with others'."""

    def __init__(self, directory):
        super().__init__(directory / "tree")
        self.home = directory / "home"
        self.caches = self.home / ".cache"
        self.cache = self.caches / "alloclab"
        self.environment = {name: value for name, value in self.environment.items()
                            if name != "XDG_CACHE_HOME"} | {"HOME": str(self.home)}
        put(self.directory, *OTHERS)
        self.sources = files(self.directory)
        put(self.directory, *LEFT)
        put(self.cache, "kernels/debian/Image", size=5 << 20)
        put(self.caches, "alloclab.txt", "other/kernels/debian/Image")

    def everything(self):
        """All files, of the tree and of the caches."""
        return files(self.directory.parent)


@pytest.fixture(name="used")
def fixture_used(tmp_path):
    """Such a copy."""
    return Used(tmp_path)


def test_clean(used):
    """What git ignores goes; the sources, what others have put there and the cache stay."""
    ignored = [line.strip("/") for line in (CLONE / ".gitignore").read_text().splitlines()
               if line and not line.startswith("#")]
    for pattern in ignored:
        assert any(fnmatch.fnmatch(part, pattern) for name in LEFT for part in Path(name).parts), (
            f"no example of {pattern}")
    caches = files(used.home)
    assert used.made("clean") == ""
    assert files(used.directory) == used.sources
    assert files(used.home) == caches
    assert used.made("clean") == ""


@pytest.mark.parametrize("target", ["clean", "distclean"])
def test_clean_in_use(used, target):
    """While a command runs in the clone, its files stay."""
    (used.directory / "out/owner").write_text("make test in another terminal\n")
    before = used.everything()
    if target == "distclean":
        # The cache is another matter.
        before = {name: data for name, data in before.items() if ".cache/alloclab/" not in name}
    with held(used.directory, "-x"):
        status, _, said = used.make(target)
    assert status != 0
    assert ("alloclab: this clone is in use: make test in another terminal; end that first.\n"
            in said)
    assert used.everything() == before


@pytest.mark.parametrize("where", ["home", "variable", "link"])
def test_distclean(used, tmp_path, where):
    """The cache goes too, wherever it is, and nothing beside it."""
    if where == "variable":
        used.caches = used.caches.rename(tmp_path / "elsewhere")
        used.environment["XDG_CACHE_HOME"] = str(used.caches)
    others = files(used.caches)
    cache = used.caches / "alloclab"
    if where == "link":
        disk = cache.rename(tmp_path / "disk")
        cache.symlink_to(disk)
    (cache / "others").symlink_to(used.caches / "other")
    status, output, said = used.make("distclean")
    assert (status, output) == (0, ""), said
    megabytes, = re.fullmatch(rf"{cache}: (\d+) MB given back\n", said).groups()
    assert 5 <= int(megabytes) <= 6
    assert not cache.exists() and not cache.is_symlink() and not (tmp_path / "disk").exists()
    assert files(used.caches) == {name: data for name, data in others.items()
                                  if not name.startswith("alloclab/")}
    assert files(used.directory) == used.sources
    # There is nothing left to remove.
    assert used.make("distclean") == (0, "", "")


def test_distclean_cache_in_use(used):
    """A run that uses the cache keeps it, and is named."""
    with held(used.cache, "-s") as process:
        put(used.cache, f"users/{process}", f"users/{os.getpid() + (1 << 22)}")
        (used.cache / f"users/{process}").write_text("make demo in /elsewhere\n")
        before = used.everything()
        status, _, said = used.make("distclean")
    assert status != 0
    assert said.startswith("alloclab: the cache is in use, so nothing is removed:\n"
                           "make demo in /elsewhere\nmake: ")
    assert used.everything() == before


def test_distclean_of_another(used):
    """A cache that is somebody else's is not removed."""
    os.chown(used.cache, NOBODY, NOBODY)
    before = used.everything()
    status, _, said = used.make("distclean")
    assert status != 0
    assert f"alloclab: {used.cache} belongs to nobody, not to root: run without sudo" in said
    assert used.everything() == before


def test_distclean_spares_what_is_mounted(used):
    """What is mounted in the cache is not ours."""
    (used.cache / "disk").mkdir()
    script = ("mount -t tmpfs disk \"$1\" && : >\"$1/file\" && "
              "{ make distclean || true; } && test -e \"$1/file\"")
    subprocess.run(["unshare", "--mount", "bash", "-c", script, "bash", used.cache / "disk"],
                   cwd=used.directory, env=used.environment, stdin=subprocess.DEVNULL, check=True)
