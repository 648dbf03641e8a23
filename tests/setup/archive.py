# SPDX-License-Identifier: GPL-2.0
"""Made-up package archives, indexed by apt's own tools, and trees that take kernels from them."""

import hashlib
import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

from guest.row import CLONE

RUSTC = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True,
                       check=True).stdout.split()[1]
SUITE = "trixie"
BACKPORTS = "trixie-backports"
# When the dated copies were made that trees name here.
SNAPSHOT = "20260102T030405Z"


def run(*command, **options):
    """Run a command that has to succeed; return what it prints."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def upstream(version):
    """7.3.4 of 7.3.4-1~bpo13+1."""
    return version.partition("-")[0]


def series(version):
    """7.3 of 7.3.4-1~bpo13+1."""
    return ".".join(version.split(".")[:2])


class Archive:
    """A suite of an archive below a directory."""

    def __init__(self, directory, suite=BACKPORTS):
        self.directory = directory
        self.suite = suite
        self.pool = directory / f"pool-{suite}"
        self.pool.mkdir(parents=True)

    def package(self, name, version, architecture, files=None):
        """Add a binary package; `files` are name -> text."""
        tree = self.directory / "tree"
        for path, text in (files or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: made up\n")
        run("dpkg-deb", "--build", "-Znone", tree, self.pool)
        shutil.rmtree(tree)

    def source(self, version):
        """Add the kernel's source package."""
        tar = self.pool / f"linux_{upstream(version)}.orig.tar.xz"
        tar.write_text(f"made up, {version}\n")
        data = tar.read_bytes()
        (self.pool / f"linux_{version}.dsc").write_text(textwrap.dedent(f"""\
            Format: 3.0 (quilt)
            Source: linux
            Binary: linux-source-{series(version)}
            Architecture: any
            Version: {version}
            Maintainer: Nobody <nobody@example.org>
            Checksums-Sha256:
             {hashlib.sha256(data).hexdigest()} {len(data)} {tar.name}
            Files:
             {hashlib.md5(data).hexdigest()} {len(data)} {tar.name}
            """))

    def kernel(self, version, *, image=True, rustc=RUSTC):
        """Add a version of the kernel; without its image, as when it has just been uploaded."""
        release = f"{upstream(version)}+deb13-arm64"
        config = f'CONFIG_RUSTC_VERSION_TEXT="rustc {rustc} (made up)"\n' if rustc else ""
        self.source(version)
        self.package(f"linux-source-{series(version)}", version, "all")
        for name in ("linux-binary", "linux-headers", "linux-modules") if image else ():
            self.package(f"{name}-{release}", version, "arm64",
                         {f"usr/src/linux-headers-{release}/.config": config})

    def index(self, valid_days=7):
        """Write the lists; return self. They are valid for so many days from now."""
        dists = self.directory / "dists" / self.suite
        pool = self.pool.name
        shutil.rmtree(dists, ignore_errors=True)
        for part, command in {"binary-amd64/Packages": ["--arch", "amd64", "packages", pool],
                              "binary-arm64/Packages": ["--arch", "arm64", "packages", pool],
                              "source/Sources": ["sources", pool]}.items():
            path = dists / "main" / part
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(run("apt-ftparchive", *command, cwd=self.directory))
        release = run("apt-ftparchive", "-o", f"APT::FTPArchive::Release::Suite={self.suite}",
                      "-o", f"APT::FTPArchive::Release::Codename={self.suite}",
                      "-o", "APT::FTPArchive::Release::Architectures=amd64 arm64",
                      "-o", "APT::FTPArchive::Release::Components=main", "release", dists)
        until = run("date", "-uR", "-d", f"{valid_days} days").strip()
        made = run("date", "-uR", "-d", f"{valid_days} days 8 days ago").strip()
        release = re.sub("^Date:.*", f"Date: {made}\nValid-Until: {until}", release, flags=re.M)
        (dists / "Release").write_text(release)
        return self

    def remove(self, version):
        """Take a version out again."""
        for path in [*self.pool.glob(f"*_{version}*"), *self.pool.glob(f"*_{upstream(version)}.*")]:
            path.unlink()


def fill(archive, *versions, rustc=RUSTC):
    """Add versions of the kernel and index them."""
    for version in versions:
        archive.kernel(version, rustc=rustc)
    return archive.index()


class Tree:
    """A copy of this tree with its own list of tested versions, and an apt of its own.

    `archive` is the archive as it is now; dated copies are looked for in `dated`, a directory
    of directories.
    """

    def __init__(self, directory, tested, archive, dated, cache=None):
        self.directory = directory
        shutil.copytree(CLONE / "scripts", directory / "scripts",
                        ignore=shutil.ignore_patterns("__pycache__"))
        self.cache = cache or directory.parent / "cache"
        self.cache.mkdir(exist_ok=True)
        self.name(tested)
        self.environment = {**os.environ, "ALLOCLAB_CACHE": str(self.cache),
                            "PYTHONDONTWRITEBYTECODE": "1",
                            "ALLOCLAB_RUN": str(directory / "out/run"),
                            "APT_CONFIG": str(self._apt(directory.parent / "apt", archive, dated))}
        (directory / "out/run").mkdir(parents=True)

    @staticmethod
    def _apt(directory, archive, dated):
        """Make an apt that knows this archive only; return its configuration."""
        configuration = directory / "apt.conf"
        if not configuration.exists():
            for part in ("etc/apt/sources.list.d", "var/lib/apt/lists/partial",
                         "var/cache/apt/archives/partial", "var/log/apt"):
                (directory / part).mkdir(parents=True)
            (directory / "status").touch()
            entry = f"copy:{archive.directory} {archive.suite} main\n"
            (directory / "etc/apt/sources.list").write_text(f"deb {entry}deb-src {entry}")
            configuration.write_text(textwrap.dedent(f"""\
                Dir "{directory}";
                Dir::State::status "{directory}/status";
                APT::Architecture "amd64";
                APT::Architectures {{ "amd64"; "arm64"; }};
                APT::Sandbox::User "root";
                APT::Get::AllowUnauthenticated "true";
                Acquire::AllowInsecureRepositories "true";
                Acquire::Languages "none";
                Acquire::Snapshots::URI::Origin::Debian "copy:{dated}/@SNAPSHOTID@";
                """))
        return configuration

    def name(self, tested):
        """Name these as the tested versions: (source, version, snapshot, rustc) each."""
        (self.directory / "scripts/kernel/tested").write_text(
            "# made up\n" + "".join(" ".join(line) + "\n" for line in tested))

    def keep_row(self, name):
        """Have no other rows in scripts/kernel/table."""
        path = self.directory / "scripts/kernel/table"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines
                                if line.startswith("#") or line.split()[:1] == [name]))

    def replace(self, script, text):
        """Put another script in the place of one."""
        path = self.directory / "scripts" / script
        path.unlink()
        path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def add_module(self):
        """Add what the module is made of, for real kernels."""
        for part in ("src", "rust", "dts", "user", "Kbuild", "Makefile"):
            copy = shutil.copytree if (CLONE / part).is_dir() else shutil.copy
            copy(CLONE / part, self.directory / part)

    def forget(self, source="backports"):
        """Remove the record of a source, which is in the real cache."""
        Path(self.run("scripts/kernel/resolve.sh", source)[1].strip()).unlink()

    def run(self, *command, **variables):
        """Run a command in the tree; return (its status, its output, its messages)."""
        done = subprocess.run(command, cwd=self.directory, env={**self.environment, **variables},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def resolve(self, source="backports"):
        """Have a source resolved; return (what is recorded, the messages)."""
        status, output, said = self.run("scripts/kernel/resolve.sh", source)
        assert status == 0, said
        lines = Path(output.strip()).read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines), said

    def remarks(self, source="backports"):
        """What is said of a source in every run."""
        status, output, said = self.run("scripts/kernel/resolve.sh", "remarks", source)
        assert (status, said) == (0, "")
        return output
