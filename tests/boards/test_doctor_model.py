# SPDX-License-Identifier: GPL-2.0
"""scripts/doctor on a model of a Raspberry Pi (--board): what it says is true."""

import re

import pytest

from doctor import OK, Doctor, truth
from lab import STANDARD
from test_pi import LINE, NAMES

pytestmark = [pytest.mark.core, pytest.mark.ours]
BOOT = STANDARD


def test_says_what_is_true_and_sees_a_press(row, group, guest, lab):
    assert lab.loaded()
    with Doctor(guest) as doctor:
        looked = doctor.look_at_press()
    assert looked.verdicts == {**truth(row), "press": OK}
    assert looked.found["device-tree"] == NAMES[group.run.board]
    nodes = looked.found["node"].split("; ")
    assert f"/button: line {LINE} of /soc/gpio@7e200000, falling edge, bound" in nodes
    before, after = re.fullmatch(r"interrupts before (\d+), after (\d+)",
                                 looked.found["press"]).groups()
    assert int(after) == int(before) + 1
