# SPDX-License-Identifier: GPL-2.0
"""What is in the cache is named after all that made it."""

import os
import re
import shutil
import subprocess

import pytest

from guest.machine import machine_of
from guest.row import CLONE
from programs import program_for_guest

# Functions that only name, choose or call: what comes of them is in the keys. add_trees adds a
# package to a root that lacks it, whatever the root's name.
NO_RECIPES = {"recipes.sh": ["source_key", "patched_key", "recipe", "machine_of"],
              "root.sh": ["root_packages", "more_packages", "root_key", "stamp_download",
                          "make_root", "add_trees"]}
KEYS = {"recipes.sh": "source_key; patched_key /dev/null; recipe stock---arm64; "
                      "recipe own-clang-armhf",
        "root.sh": "generation() { echo 0; }; root_key amd64"}


def script_of(tree, name):
    """A script of a tree, in whatever folder."""
    path, = (tree / "scripts").rglob(name)
    return path


def functions(name):
    """The functions of a script."""
    return re.findall(r"^(\w+)\(\)", script_of(CLONE, name).read_text(encoding="utf-8"), re.M)


def keys(clone, name):
    """What things are named after, as a clone has it."""
    return subprocess.run(
        ["bash", "-euc", ". scripts/setup/lib.sh; . scripts/setup/archive.sh; "
         f". {script_of(clone, name)}; {KEYS[name]}"],
        cwd=clone, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize("name, function", [
    (name, function) for name in KEYS for function in functions(name)
    if function not in NO_RECIPES[name]])
def test_functions(tmp_path, name, function):
    """A changed function makes anew what it had made."""
    shutil.copytree(CLONE / "scripts", tmp_path / "scripts")
    script = script_of(tmp_path, name)
    before = keys(tmp_path, name)
    text = script.read_text(encoding="utf-8")
    script.write_text(re.sub(rf"^({function}\(\) {{)", r"\1 : changed;", text, flags=re.M),
                      encoding="utf-8")
    assert script.read_text(encoding="utf-8") != text
    assert keys(tmp_path, name) != before


def test_guest_programs(row, tmp_path):
    """A program for the guest is compiled anew for another content, not for another time."""
    tools = machine_of(row).tools
    source, header = tmp_path / "made_up.c", tmp_path / "made_up.h"
    source.write_text('#include "made_up.h"\nint main(void) { return STATUS; }\n')
    header.write_text("#define STATUS 1\n")
    first = program_for_guest(source, tools)
    made = first.stat().st_mtime_ns
    os.utime(source)
    assert (program_for_guest(source, tools), first.stat().st_mtime_ns) == (first, made)
    header.write_text("#define STATUS 2\n")
    # Older than what was compiled before, as another branch may leave it.
    os.utime(header, (0, 0))
    os.utime(source, (0, 0))
    assert program_for_guest(source, tools).name == first.name
    assert program_for_guest(source, tools).read_bytes() != first.read_bytes()


def test_parts_of_guest_programs(row, tmp_path):
    """A program has what its headers belong to in it, and is compiled anew when that changes."""
    tools = machine_of(row).tools
    source, part = tmp_path / "made_up.c", tmp_path / "part.c"
    source.write_text('#include "part.h"\nint main(void) { return status(); }\n')
    (tmp_path / "part.h").write_text("int status(void);\n")
    part.write_text("int status(void)\n{\n\treturn 1;\n}\n")
    first = program_for_guest(source, tools)
    part.write_text("int status(void)\n{\n\treturn 2;\n}\n")
    assert program_for_guest(source, tools).read_bytes() != first.read_bytes()
