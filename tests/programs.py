# SPDX-License-Identifier: GPL-2.0
"""The tests' C programs, compiled for a guest."""

import functools
import hashlib
import os
import re
import subprocess

from guest.row import CLONE


@functools.cache
def compiler(tools):
    """How the tests' C programs are compiled for the guest, and the compiler's version."""
    command = [f"{tools}gcc", "-O2", "-Wall", "-Werror", "-static", "-pthread"]
    version = subprocess.run([command[0], "--version"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    return command, version


def programs():
    """The C programs for guests; what has a header is a part of others."""
    return [path for path in sorted((CLONE / "tests/guest").glob("*.c"))
            if not path.with_suffix(".h").exists()]


def parts_of(source, found=()):
    """What a program is made of: its source, and what belongs to the headers that it names."""
    parts = [*found, source]
    for path in (source, source.with_suffix(".h")):
        for name in re.findall(r'^#include "(\w+)\.h"', path.read_text(encoding="utf-8"),
                               re.MULTILINE) if path.exists() else []:
            part = source.with_name(f"{name}.c")
            if part.exists() and part not in parts:
                parts = parts_of(part, parts)
    return parts


def program_for_guest(source, tools):
    """A C program of the tests, compiled for the guest; it stays below what went into it."""
    command, version = compiler(tools)
    digest = hashlib.sha256("\n".join([*command, version]).encode())
    parts = parts_of(source)
    for path in [*parts, *sorted(source.parent.glob("*.h"))]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    program = CLONE / "out/build/guest" / digest.hexdigest()[:12] / source.stem
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        # Others may do the same now.
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", made, *parts], check=True)
        made.rename(program)
    return program
