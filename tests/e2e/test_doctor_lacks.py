# SPDX-License-Identifier: GPL-2.0
"""scripts/doctor where node, line or controller is not there: one line is another one."""

import pytest

from doctor import BUILDING, MISSING, PRESSING, Doctor, changed, truth
from lab import PL061, Boot, node, nodes

pytestmark = [pytest.mark.wide, pytest.mark.edges, pytest.mark.ours]
# The controller alone, as dts/virt-pl061.dtso has it.
NO_NODE = """/dts-v1/;
/plugin/;
&gpio { interrupt-controller; #interrupt-cells = <2>; };
&{/gpio-keys} { status = "disabled"; };
"""
WITHOUT = {
    "node": Boot("doctor-node", overlays=(NO_NODE,)),
    # Only one of the two can have line 3.
    "line": Boot("doctor-line", overlays=(PL061, nodes(node("rival", 3)))),
    "deferred": Boot("doctor-deferred", overlays=(PL061, nodes(
        'nested: controller { compatible = "alloclab,nested"; interrupt-controller; '
        "#interrupt-cells = <2>; }", node("expander", 1, parent="nested")))),
}


@pytest.fixture(scope="module", name="boot", params=list(WITHOUT))
def fixture_boot(request):
    """A guest that lacks something."""
    return WITHOUT[request.param]


@pytest.fixture(name="doctor")
def fixture_doctor(guest):
    """Doctor in the guest."""
    with Doctor(guest) as doctor:
        yield doctor


def test_one_line_is_another(row, lab, boot, doctor):
    what = boot.name.removeprefix("doctor-")
    looked = doctor.look()
    assert changed(truth(row), looked.verdicts) == {what: MISSING}
    said = looked.found[what]
    if what == "node":
        assert said == "there is none in the device tree"
    elif what == "line":
        names = {"button", "rival"}
        winner = next(name for name in names if "ready: " in str(lab.texts(name)))
        loser, = names - {winner}
        assert f"/{loser}: line 3 of /pl061@9030000 belongs to /{winner} (driver alloclab)" in said
    else:
        # The kernel holds it back before the driver is asked, or the driver says what it needs.
        assert said in ("expander: platform: supplier controller not ready",
                        "expander: alloclab: interrupts: waits for the driver of /controller")
    # One node is enough.
    assert looked.said["status"] == BUILDING | (PRESSING if what == "node" else 0)
