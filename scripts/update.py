#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Takes the newest kernel of each source, if it proves good: built, and booted through the demo.

Only then is it the preferred one in scripts/kernel/tested. Runs in the build root, after the
archive was asked anew. The status is 0 if nothing newer is left that could have been taken.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from guest.row import CLONE
from kernel.trial import Trial, ask, newer, now, prefer, say, step, tested

DIRECTORY = CLONE / "out/update"


def rustc_of(version, release):
    """The rustc that built one of Debian's kernels; empty if that cannot be found out."""
    with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
        if not step(f"kernel {release}: download headers", "env", "-C", directory, "apt-get", "-q",
                    "download", f"linux-headers-{release}:arm64={version}"):
            return ""
        package = next(Path(directory).glob("*.deb"))
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                              stdout=subprocess.PIPE) as unpack:
            text = subprocess.run(["tar", "-xO", f"./usr/src/linux-headers-{release}/.config"],
                                  stdin=unpack.stdout, stdout=subprocess.PIPE, text=True,
                                  check=False).stdout
    found = re.search(r'^CONFIG_RUSTC_VERSION_TEXT="rustc (\S+)', text, re.M)
    return found[1] if found else ""


def digest_of(version):
    """The SHA-256 of the package with a version's source, where the archive lists it."""
    series = ".".join(version.split(".")[:2])
    said = ask("apt-cache", "show", f"linux-source-{series}={version}")
    found = re.search(r"^SHA256: ([0-9a-f]{64})$", said, re.M)
    return found[1] if found else "-"


def rows():
    """The rows of scripts/kernel/table, as their columns."""
    lines = (CLONE / "scripts/kernel/table").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def row_of(source):
    """The first row of scripts/kernel/table that is made of a source; None if none is."""
    return next((columns[0] for columns in rows() if columns[2] == source), None)


def try_out(source, line):
    """Build the modules for a version and boot it through the demo; whether all of it passed."""
    trial = Trial(DIRECTORY / source)
    prefer(trial.directory, *line)
    row = row_of(source)
    passed = (trial.run("scripts/task.sh", "build", row)[0] and
              trial.run("scripts/demo.py", f"--kernel={row}")[0])
    if passed:
        trial.remove()
    return passed


def note_costs(version):
    """Have what a press costs with a new version recorded; whether that went well."""
    done = subprocess.run(["scripts/task.sh", "record", f"make update took {version}"], cwd=CLONE,
                          stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        say(f"kernel: what a press costs with {version} could not be recorded: "
            "make bench says more")
    else:
        say("kernel: what a press costs there is recorded beside the old record: "
            "see git diff tests/bench/record.json")
    return done.returncode == 0


def update(source):
    """Take the newest version of a source, if there is one and it passes; whether that went well.
    """
    preferred = next(version for name, version, *_ in tested() if name == source)
    version, _, release = ask("scripts/kernel/resolve.sh", "newest", source).partition(" ")
    if not version or not newer(version, preferred):
        say(f"kernel, {source}: the archive has nothing newer than {preferred}")
        return True
    rustc, digest = "-", "-"
    if source.startswith("backports"):
        rustc = rustc_of(version, release)
        here = ask("rustc", "--version").split()[1]
        if rustc != here:
            built = f"with rustc {rustc}" if rustc else "without Rust, as far as its headers say,"
            say(f"kernel, {source}: {version} is not taken: it was built {built} "
                f"and the build root has rustc {here}")
            return False
    else:
        digest = digest_of(version)
    say(f"kernel, {source}: {version} is newer than {preferred}: it is built and booted now")
    line = (source, version, now(), rustc, digest)
    if not try_out(source, line):
        say(f"kernel, {source}: {version} is not taken, scripts/kernel/tested stays as it is; "
            f"what was tried is in {(DIRECTORY / source).relative_to(CLONE)}")
        return False
    prefer(CLONE, *line)
    say(f"kernel, {source}: {version} has booted and is the preferred one now: "
        "see git diff scripts/kernel/tested")
    measured = any(columns[2] == source and "bench" in columns[5].split(",") for columns in rows())
    return note_costs(version) if measured else True


def main():
    """Update every source that a row is made of; return the exit status."""
    sources = dict.fromkeys(source for source, *_ in tested())
    good = [update(source) for source in sources if row_of(source)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
