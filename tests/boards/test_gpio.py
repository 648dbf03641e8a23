# SPDX-License-Identifier: GPL-2.0
"""`alloclab gpio` on a model of a Raspberry Pi (--board), against the kernel's own pinctrl."""

import re

import pytest

from lab import STANDARD
from pi import MODELS

pytestmark = [pytest.mark.core, pytest.mark.ours, pytest.mark.command]
# Drivers keep their registers to themselves otherwise.
BOOT = STANDARD._replace(name="relaxed", append="iomem=relaxed")
USAGE, REFUSED = 2, 3
SOCS = {"raspi3b": ("bcm2837", "0x3f200000", 54), "raspi4b": ("bcm2711", "0xfe200000", 58)}
# The overlay turns the button's pull-up on. With the others, the Raspberry Pi 4 begins.
PULLS = {17: "up", 4: "up", 22: "down", 29: "none"}
UNKNOWN = "unknown: this hardware cannot tell"
# What is free on both boards, and what the button has.
FREE, TAKEN = 22, 17
PINS = "/sys/kernel/debug/pinctrl/*gpio*/pins"


def fields(text):
    """`key: value` lines."""
    return dict(line.split(": ", 1) for line in text.splitlines())


@pytest.fixture(name="soc")
def fixture_soc(group):
    """The board's system on chip: name, address of its registers, pins."""
    assert SOCS.keys() == MODELS.keys()
    return SOCS[group.run.board]


def pinctrl(guest):
    """What the kernel says of each pin: its function and its level."""
    pattern = r"^pin (\d+) \(gpio\1\) .*function (\w+) in (hi|lo);"
    found = re.findall(pattern, guest.sh(f"cat {PINS}"), re.M)
    return {int(pin): (function.removeprefix("gpio_"), "01"[level == "hi"])
            for pin, function, level in found}


def test_every_pin(soc, guest, command):
    """Function and level are what the kernel reads."""
    name, base, pins = soc
    known = pinctrl(guest)
    assert len(known) >= 54
    for pin, (function, level) in known.items():
        said = fields(command(f"gpio {pin}"))
        assert (said["soc"], said["registers"]) == (name, f"{base}, by /dev/mem")
        assert (said["function"], said["level"]) == (function, level), pin
        assert said["pull"] in (("none", "up", "down") if name == "bcm2711" else (UNKNOWN,))
    assert f"allowed are 0 to {pins - 1}" in command(f"gpio {pins}", USAGE)


def test_pulls(soc, button, command):
    """What the driver's node has set up, and what nobody has."""
    assert button.counters("edges") == (0,)
    for pin, pull in PULLS.items():
        said = fields(command(f"gpio {pin}"))
        assert said["pull"] == (pull if soc[0] == "bcm2711" else UNKNOWN), pin


def test_output(guest, command):
    """A free pin becomes an output, and has the level that is set; the kernel sees it."""
    said = fields(command(f"gpio {FREE}"))
    assert said["claimed"] == "no", said
    assert "--force" in command(f"gpio {FREE} --out", USAGE)
    assert "only an output has a level to set" in command(f"gpio {FREE} --set 1 --force", REFUSED)
    for level in ("1", "0"):
        said = command(f"gpio {FREE} --out --set {level} --force")
        assert "written to all the same" not in said
        assert (fields(said)["function"], fields(said)["level"]) == ("out", level)
        assert pinctrl(guest)[FREE] == ("out", level)


def test_claimed(button, command):
    """A line that the kernel has claimed is never written to without a word."""
    assert button.counters("edges") == (0,)
    said = fields(command(f"gpio {TAKEN}"))
    assert said["claimed"] == 'yes, for "button"', said
    said = command(f"gpio {TAKEN} --out --force")
    assert f'alloclab: GPIO{TAKEN}: the kernel has claimed it for "button"; written to' in said


def test_not_root(guest, command):
    """Only root may open the registers."""
    assert command(f"gpio {FREE}")
    result = guest.run(f"su user -c 'alloclab gpio {FREE}'")
    assert result.status == REFUSED and result.output.endswith(": only root may open it\n")
