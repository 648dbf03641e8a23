# SPDX-License-Identifier: GPL-2.0
"""The tests' C programs, compiled for a guest."""

import functools
import hashlib
import os
import subprocess

from guest.row import CLONE


@functools.cache
def compiler(tools):
    """How the tests' C programs are compiled for the guest, and the compiler's version."""
    command = [f"{tools}gcc", "-O2", "-Wall", "-Werror", "-static", "-pthread"]
    version = subprocess.run([command[0], "--version"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    return command, version


def program_for_guest(source, tools):
    """A C program of the tests, compiled for the guest; it stays below what went into it."""
    command, version = compiler(tools)
    digest = hashlib.sha256("\n".join([*command, version]).encode())
    for path in [source, *sorted(source.parent.glob("*.h"))]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    program = CLONE / "out/build/guest" / digest.hexdigest()[:12] / source.stem
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        # Others may do the same now.
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", made, source], check=True)
        made.rename(program)
    return program
