# SPDX-License-Identifier: GPL-2.0
"""A press and a write pass the files of src/ that CONTRIBUTING.md lists, and no others.

QEMU traces each instruction of the module meanwhile. The module's debugging information says of
which functions it is, those that are inlined too.
"""

import re
import subprocess

import pytest

from guest.machine import machine_of
from guest.row import CLONE
from lab import PL061, Lab
from tracing import Traced

pytestmark = [pytest.mark.ours, pytest.mark.virt, pytest.mark.debug_info]
# A line of addr2line, where it knows the number.
PLACE = re.compile(rf"^{re.escape(str(CLONE))}/src/([\w/]+\.rs):\d")
# A file of a table in CONTRIBUTING.md, and what it does there.
STEP = re.compile(r"^\| \d \| `([\w/]+\.rs)` \| (.*) \|$", re.MULTILINE)
# What has no instructions, as the table begins to say it.
DATA = "`RULES`"


@pytest.fixture(scope="module", name="traced")
def fixture_traced(row, group):
    """A guest with the module loaded."""
    with Traced(row, f"{group.logs}.way.serial.log", overlays=[PL061], append="nokaslr",
                files={"root/alloclab.ko": row.product("alloclab.ko")}) as guest:
        Lab(guest).load()
        yield guest
        guest.power_off()


def files_at(row, guest, addresses):
    """The files of src/ that have an instruction at one of the addresses, inlined or not."""
    text = int(guest.sh("cat /sys/module/alloclab/sections/.text"), 16)
    asked = "".join(f"{address - text:#x}\n" for address in sorted(addresses))
    said = subprocess.run([f"{machine_of(row).tools}addr2line", "-i", "-j", ".text", "-e",
                           row.product("alloclab.ko")], input=asked, stdout=subprocess.PIPE,
                          text=True, check=True).stdout
    return {match[1] for match in map(PLACE.match, said.splitlines()) if match}


def listed(title):
    """The files that CONTRIBUTING.md lists under a title, with what each does."""
    text = (CLONE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return STEP.findall(text.partition(f"\n## {title}\n")[2].partition("\n## ")[0])


def check(title, most, method, found):
    """The list has at most so many files, and just these, but for those that are data.

    Methods share instructions of which the debugging information names any one method's file.
    """
    found = {file for file in found if not file.startswith("method/")
             or file in ("method/table.rs", f"method/{method}.rs")}
    steps = listed(title)
    assert 0 < len(steps) == len(dict(steps)) <= most
    assert found == {file for file, what in steps if not what.startswith(DATA)}


def test_press(row, traced):
    lab = Lab(traced)
    button = lab.button()
    button.set(method="kmalloc")
    lines = len(traced.log)

    def press():
        traced.press()
        traced.wait_log("alloclab button: kmalloc: allocated .* \\(press 1\\)", lines)

    check("The way of one press", 9, "kmalloc", files_at(row, traced, traced.traced(press, set)))


def test_write(row, traced):
    button = Lab(traced).button()
    check("The way of one write", 7, "vmalloc", files_at(
        row, traced, traced.traced(lambda: button.set(method="vmalloc"), set)))
