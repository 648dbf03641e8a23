# SPDX-License-Identifier: GPL-2.0
"""A finished kernel of scripts/kernel/table, as scripts/kernel/kernel.sh leaves it."""

import functools
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple, Sequence

CLONE = Path(__file__).resolve().parents[2]


class RowError(Exception):
    """A kernel directory is missing or is not what it should be."""


class Entry(NamedTuple):
    """What scripts/kernel/table says of a row that is not the making of its kernel."""

    name: str
    test: Sequence[str]         # what make test runs on it
    matrix: Sequence[str]       # what make matrix runs on it


def table():
    """The entries of scripts/kernel/table by name; kernel.sh finds what is wrong in them."""
    lines = (CLONE / "scripts/kernel/table").read_text(encoding="utf-8").splitlines()
    columns = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {name: Entry(name, *([] if words == "-" else words.split(",")
                                for words in (test, matrix)))
            for name, _, _, _, _, test, matrix, *_ in columns}


class Row:
    """One row: its files and what is known about them."""

    def __init__(self, directory):
        self.directory = Path(directory)
        try:
            text = (self.directory / "row").read_text(encoding="utf-8")
        except OSError as error:
            raise RowError(f"{self.directory}: not a finished kernel: {error}") from error
        known = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        try:
            self.name = known["NAME"]
            self.kind = known["KIND"]
            self.arch = known["ARCH"]
            self.release = known["RELEASE"]
            self.version = known["VERSION"]
            self.source = Path(known["SOURCE"])
        except KeyError as error:
            raise RowError(f"{self.directory}/row: no {error}") from error
        self.build = self.directory / "build"
        self.image = self.directory / "Image"
        self.package = self.directory / "package.deb"

    @classmethod
    def find(cls, name):
        """The row called `name`; its directory is scripts/kernel/kernel.sh's to know."""
        done = subprocess.run([CLONE / "scripts/kernel/kernel.sh", "dir", name], cwd=CLONE,
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RowError(f"kernel {name}: scripts/kernel/kernel.sh dir {name} failed")
        return cls(done.stdout.strip())

    @property
    def stock(self):
        """Whether this is Debian's own kernel."""
        return self.kind == "stock"

    @property
    def variety(self):
        """What tests may ask of the kernel: stock, own, or debug, an own one with detectors."""
        if self.stock:
            return "stock"
        return "debug" if self.config().get("KASAN") == "y" else "own"

    @property
    def tree(self):
        """Whether it reads device trees: without one no button has a line."""
        return self.config().get("OF") == "y"

    @property
    def tested(self):
        """Whether this tree names the kernel's version as one that it was tested on."""
        text = (CLONE / "scripts/kernel/tested").read_text(encoding="utf-8")
        return self.version in (line.split()[1] for line in text.splitlines()
                                if line.strip() and not line.startswith("#"))

    def note_boot(self):
        """Note that this kernel has booted, for scripts/setup/tidy.sh."""
        (self.directory / "booted").touch()

    @property
    def word_bytes(self):
        """The bytes of an address and of a size."""
        return 8 if self.config().get("64BIT") == "y" else 4

    @functools.cache
    def config(self):
        """The kernel's configuration: option without CONFIG_ -> y, m or text."""
        text = (self.build / ".config").read_text(encoding="utf-8")
        lines = (line.split("=", 1) for line in text.splitlines()
                 if line.startswith("CONFIG_"))
        return {name.removeprefix("CONFIG_"): value for name, value in lines}

    def product(self, name):
        """A module of ours, built for this row."""
        path = CLONE / "out/build" / self.name / name
        if not path.is_file():
            raise RowError(f"{path}: not built")
        return path

    def modules(self, name):
        """The kernel's own module `name` with what it needs, in loading order."""
        path = self.directory / "modules" / f"{name}.ko"
        if not path.is_file():
            raise RowError(f"{path}: missing")
        asked = subprocess.run(["modinfo", "-F", "depends", path],
                               stdout=subprocess.PIPE, text=True, check=True)
        needed = [entry for entry in asked.stdout.strip().split(",") if entry]
        found = [module for entry in needed for module in self.modules(entry)]
        return list(dict.fromkeys(found + [path]))

    def image_is_packaged(self):
        """Whether Image is byte for byte the kernel inside package.deb."""
        if not self.package.is_file():
            return False
        image = self.image.read_bytes()
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", self.package],
                              stdout=subprocess.PIPE) as unpack:
            with tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
                for member in archive:
                    if member.isfile() and Path(member.name).name.startswith("vmlinu"):
                        same = archive.extractfile(member).read() == image
                        unpack.kill()
                        return same
        return False
