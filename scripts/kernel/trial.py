# SPDX-License-Identifier: GPL-2.0
"""A version of the kernel that the tree does not prefer, tried in a copy of the tree."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from guest.row import CLONE

# What runs leave in a tree, and what is not needed to make something of it.
LEFT_OUT = shutil.ignore_patterns("out", "rust-project.json", ".git", "__pycache__", "*.ko", "*.o",
                                  "*.mod*", ".*.cmd")


def say(text):
    """A message; stdout belongs to results."""
    print(text, file=sys.stderr, flush=True)


def now():
    """The time, as the addresses of dated copies of an archive have it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def ask(*command, environment=None):
    """Run a command of the tree; return what it prints, or nothing if it fails."""
    done = subprocess.run(command, cwd=CLONE, env={**os.environ, **(environment or {})},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def step(name, *command, environment=None):
    """Run a command as scripts/setup/lib.sh does a download; whether it succeeded."""
    done = subprocess.run(["bash", "-c", '. scripts/setup/lib.sh; step -s -d "$@"', "step", name,
                           *command], cwd=CLONE, env={**os.environ, **(environment or {})},
                          check=False)
    return done.returncode == 0


def upstream(version):
    """7.3.4 of 7.3.4-1~bpo13+1."""
    return version.rpartition("-")[0]


def newer(version, other):
    """Whether a version is newer than another, as dpkg orders them."""
    return subprocess.run(["dpkg", "--compare-versions", version, "gt", other],
                          check=False).returncode == 0


def tested(tree=CLONE):
    """scripts/kernel/tested of a tree: (source, version, snapshot, rustc, sha256) each."""
    lines = (tree / "scripts/kernel/tested").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split()) for line in lines if line and not line.startswith("#")]


def prefer(tree, source, version, snapshot, rustc, sha256="-", only=False):
    """Make a version the preferred one of a source in a tree, or `only`, the only one."""
    path = tree / "scripts/kernel/tested"
    line = f"{source:<13}  {version:<17}  {snapshot:<16}  {rustc:<6}  {sha256}"
    lines = path.read_text(encoding="utf-8").splitlines()
    mine = [number for number, text in enumerate(lines) if text.split()[:1] == [source]]
    kept = [text for text in lines if text.split()[:1] != [source]
            or not only and text.split()[1] != version]
    kept.insert(mine[0] if mine else len(kept), line)
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")


class Trial:
    """A copy of the working tree, in which commands are run."""

    def __init__(self, directory, environment=None):
        self.directory = Path(directory)
        self.environment = {**os.environ, **(environment or {})}
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        for path in CLONE.iterdir():
            if path.name in LEFT_OUT(CLONE, [path.name]):
                continue
            if path.is_dir():
                shutil.copytree(path, self.directory / path.name, symlinks=True, ignore=LEFT_OUT)
            else:
                shutil.copy2(path, self.directory / path.name)

    def run(self, *command):
        """Run a command, whose output is shown; return (whether it succeeded, its stdout)."""
        output = []
        with subprocess.Popen(command, cwd=self.directory, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            for line in process.stdout:
                output.append(line.rstrip("\n"))
                say(output[-1])
        return process.returncode == 0, output

    def remove(self):
        """Remove the copy."""
        shutil.rmtree(self.directory)
