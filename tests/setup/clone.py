# SPDX-License-Identifier: GPL-2.0
"""A copy of this tree, and builds in it for any kernel's tree."""

import re
import shutil
import subprocess

from guest.row import CLONE
from kernel.trial import Trial

# The root of a module that does nothing: its build leaves the same files, and is quick.
SMALL = """//! Small.
use kernel::prelude::*;

module! {
    type: Small,
    name: "alloclab",
    description: "Nothing",
    license: "GPL",
}

struct Small;

impl kernel::Module for Small {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Small)
    }
}
"""


class Clone:
    """What of this tree a build reads, in a directory of its own."""

    def __init__(self, directory):
        self.directory = directory
        ignore = shutil.ignore_patterns("__pycache__")
        for part in ("src", "rust", "scripts", "tests"):
            shutil.copytree(CLONE / part, directory / part, ignore=ignore)
        for part in ("Kbuild", "Makefile"):
            shutil.copy(CLONE / part, directory)
        self.out = directory / "out/build/kdir"
        self.module = directory / "alloclab.ko"

    def shrink(self):
        """Have them be small modules, where only what a build leaves is asked for."""
        for name in ("alloclab", "alloclab_usb"):
            (self.directory / f"src/{name}.rs").write_text(
                SMALL.replace('"alloclab"', f'"{name}"'), encoding="utf-8")

    def files(self):
        """What is in it, without what is in out/."""
        paths = [path.relative_to(self.directory) for path in self.directory.rglob("*")]
        return {str(path) for path in paths if path.parts[0] != "out"}

    def build(self, kernel, *arguments):
        """Have the module built for a kernel's tree; return (the status, the messages)."""
        done = subprocess.run(["make", f"KDIR={kernel}", *arguments], cwd=self.directory,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stderr


class Copy(Trial):
    """A whole copy of this tree, in which make uses this run's cache."""

    def __init__(self, directory):
        super().__init__(directory, {"ALLOCLAB_RUN": str(directory / "out/run"),
                                     "PYTHONDONTWRITEBYTECODE": "1"})

    def make(self, *arguments):
        """Call make without a terminal; return (its status, its output, the messages)."""
        done = subprocess.run(["make", *arguments], cwd=self.directory, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def made(self, *arguments):
        """Call make, which has to succeed; return its output."""
        status, output, said = self.make(*arguments)
        assert status == 0, said
        return output


def ours(said):
    """Of what was said the lines that are ours."""
    return [line for line in said.splitlines() if line.startswith("alloclab: ")]


def replace(path, pattern, replacement):
    """Replace a pattern in a file, or in a copy of what the link there leads to."""
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.M)
    assert count, f"{path}: {pattern}"
    path.unlink()
    path.write_text(text, encoding="utf-8")
