# SPDX-License-Identifier: GPL-2.0
"""`alloclab map`: what a button holds, mapped into a process."""

import re

import pytest

from lab import DRIVER, STANDARD

BOOT = STANDARD
pytestmark = [pytest.mark.ours, pytest.mark.command]

FAILED, USAGE, REFUSED, GONE = 1, 2, 3, 4
# What keeps whole pages to itself, so that it can be mapped.
MAPPED = ["page", "pages", "vmalloc", "vzalloc", "raw_vmalloc", "coherent"]


@pytest.mark.parametrize("method", MAPPED)
def test_map(button, command, guest, method):
    """What is written through the mapping is read through it, and by read(2)."""
    button.hold(method=method, size=4096, gfp="kernel")
    name = button.name
    assert "4096 bytes filled with 0xa5\n" in command(f"map {name} --fill 0xa5")
    assert "each is 0xa5" in command(f"map {name} --verify 0xa5")
    guest.sh("head -c 100 /dev/urandom >/tmp/written")
    command(f"map {name} --offset 1000 --write /tmp/written")
    command(f"map {name} --offset 1000 --length 100 --read /tmp/read")
    guest.sh("cmp /tmp/written /tmp/read")
    guest.sh(f"dd if=/dev/alloclab/{name} bs=4096 count=1 2>/dev/null | "
             "dd bs=1 skip=1000 count=100 2>/dev/null | cmp - /tmp/written")
    said = command(f"map {name} --verify 0xa5", FAILED)
    assert re.fullmatch(r".*\nalloclab: byte 10\d\d is 0x\w\w, not 0xa5\n", said)
    assert button.live()["mapped"] == "0"


def test_map_shows_bytes(button, command):
    """As hexdump shows them."""
    button.hold(method="vmalloc", size=5000)
    command(f"map {button.name} --fill 65")
    said = command(f"map {button.name}").splitlines()
    assert said == [f"{button.name}: 5000 bytes of vmalloc mapped",
                    "00000000  " + " ".join(["41"] * 8) + "  " + " ".join(["41"] * 8)
                    + "  |" + "A" * 16 + "|", "*", "00000100"]
    assert "allowed are 1 to 5000" in command(f"map {button.name} --length 5001", USAGE)
    assert "5000 bytes are held" in command(f"map {button.name} --offset 5000", USAGE)


def test_map_refused(lab, button, command):
    """Where nothing is held, and where the pages have neighbours."""
    assert "holds nothing" in command(f"map {button.name}", REFUSED)
    button.hold(method="kmalloc", size=64)
    said = command(f"map {button.name}", REFUSED)
    why = [text for text in lab.texts(button.name) if "kmalloc" in text][-1]
    assert said.endswith(f": {why}\n") and "os error 6" in said


@pytest.mark.parametrize("gone", ["press", "unbind"])
def test_map_taken_away(button, guest, gone):
    """SIGBUS is caught and said, when a press frees what is mapped, and when the device goes."""
    button.hold(method="vmalloc", size=8192)
    how = {"press": f"echo 1 >{button.directory}/press",
           "unbind": f"echo {button.name} >{DRIVER}/unbind"}[gone]
    said = guest.run(f"alloclab map {button.name} --hold 6 --verify 0 & map=$!; "
                     f"until grep -q '^mapped: [1-9]' {button.directory}/live; "
                     f"do usleep 50000; done; {how}; wait $map", 60)
    assert said.status == GONE
    assert "alloclab: SIGBUS: " in said.output and "took the mapping away" in said.output
    if gone == "unbind":
        guest.sh(f"echo {button.name} >{DRIVER}/bind")
