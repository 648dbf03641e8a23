# SPDX-License-Identifier: GPL-2.0
"""scripts/doctor in a guest: what it says is true, and one thing less changes one line."""

import json
import re

import pytest

from doctor import BUILDING, CONFIG, MISSING, OK, PRESSING, SECONDS, UNKNOWN, Doctor, changed, truth
from lab import DRIVER, STANDARD

pytestmark = pytest.mark.ours
BOOT = STANDARD


@pytest.fixture(name="doctor")
def fixture_doctor(guest):
    """Doctor in the guest."""
    with Doctor(guest) as doctor:
        yield doctor


def loaded_truth(row):
    """The same where the module is loaded: on PREEMPT_RT it refuses the node for hard context."""
    refuses = row.tree and row.config().get("PREEMPT_RT") == "y"
    return {**truth(row), **({"node": MISSING} if refuses else {})}


# On debug, too, which in make matrix has the tests with the mark buses, and not those with wide.
@pytest.mark.buses
@pytest.mark.wide
@pytest.mark.virt
def test_says_what_is_true_and_sees_a_press(row, guest, lab, doctor):
    assert lab.loaded()
    looked = doctor.look_at_press() if row.tree else doctor.look("")
    assert looked.verdicts == {**loaded_truth(row), "press": OK if row.tree else UNKNOWN}
    found = looked.found
    assert found["kernel"] == looked.said["release"] == row.release
    assert found["architecture"] == guest.sh("uname -m").strip()
    assert found["page-size"] == f"{guest.page_size} bytes"
    assert found["configuration"] == f"/boot/config-{row.release}"
    assert row.config()["RUSTC_VERSION_TEXT"].strip('"') in found["rustc"]
    assert found["module"] == "loaded by hand: depmod knows no alloclab"
    if row.tree:
        assert found["device-tree"] == "linux,dummy-virt"
        lines = {"button": (3, "falling"), "fast": (4, "falling"), "interrupt": (7, "falling"),
                 "slow": (5, "falling"), "tutorial": (6, "rising")}
        nodes = [f"/{name}: line {line} of /pl061@9030000, {edge} edge, bound"
                 for name, (line, edge) in lines.items()]
        if looked.verdicts["node"] == MISSING:
            nodes[2] = "/interrupt: the driver has refused it (alloclab,context: \"hard\" is not " \
                "valid: allowed is thread, as on a PREEMPT_RT kernel no interrupt may allocate)"
        assert sorted(found["node"].split("; ")) == nodes
        before, after = re.fullmatch(r"interrupts before (\d+), after (\d+)",
                                     found["press"]).groups()
        assert int(after) == int(before) + 1
    assert (looked.said["building"], looked.said["loading"], looked.said["pressing"]) == \
        ("not possible", "possible", "possible" if row.tree else "not possible")
    assert looked.said["status"] == BUILDING | (0 if row.tree else PRESSING)


@pytest.mark.wide
def test_without_the_module(row, lab, doctor):
    lab.unload()
    looked = doctor.look("")
    # There is no interrupt to watch, so it does not ask either.
    assert looked.verdicts.pop("press") == UNKNOWN
    assert changed(truth(row), looked.verdicts) == {"module": MISSING}
    assert looked.said["status"] == BUILDING | PRESSING
    assert "bound" not in looked.found["node"]


@pytest.mark.wide
def test_without_debugfs(row, guest, lab, doctor):
    assert lab.loaded()
    guest.sh("umount /sys/kernel/debug")
    try:
        looked = doctor.look()
    finally:
        guest.sh("mount -t debugfs debugfs /sys/kernel/debug")
    assert changed(loaded_truth(row), looked.verdicts) == {"debugfs": MISSING}
    assert looked.found["debugfs"] == "it is not mounted"
    assert looked.said["status"] == BUILDING | (0 if row.tree else PRESSING)


@pytest.mark.wide
@pytest.mark.edges
def test_without_one_of_the_drivers(row, guest, lab, doctor):
    """Who has unbound a button was not refused."""
    assert lab.loaded()
    guest.sh(f"echo fast >{DRIVER}/unbind")
    looked = doctor.look()
    assert changed(truth(row), looked.verdicts) == {"node": MISSING}
    assert "/fast: it is not bound, and waits for nothing" in looked.found["node"]
    assert looked.said["status"] == BUILDING


@pytest.mark.wide
def test_without_overlay_support(row, guest, lab, doctor):
    """Where the kernel has none, one that says that it has.

    No two kernels here differ in this alone, so doctor is handed a configuration that was edited.
    """
    assert lab.loaded()
    line, verdict = ("# CONFIG_OF_OVERLAY is not set", MISSING)
    if truth(row)["overlays"] == MISSING:
        line, verdict = ("CONFIG_OF_OVERLAY=y", OK)
    guest.sh(f"(grep -v OF_OVERLAY /root/config; echo '{line}') >{CONFIG}")
    assert changed(loaded_truth(row), doctor.look().verdicts) == {"overlays": verdict}


@pytest.mark.wide
def test_without_configuration(row, guest, lab, doctor):
    """The kernel's symbols and files tell most of it too."""
    assert lab.loaded()
    guest.sh(f"rm {CONFIG}")
    looked = doctor.look()
    expected = {"configuration": UNKNOWN}
    for name, option in (("lockdown", "SECURITY_LOCKDOWN_LSM"), ("signatures", "MODULE_SIG")):
        if row.config().get(option) != "y":
            expected[name] = UNKNOWN
    assert changed(loaded_truth(row), looked.verdicts) == expected
    assert looked.found["rust"] == "/proc/kallsyms has Rust functions"
    assert "/proc/kallsyms" in looked.found["overlays"]


@pytest.mark.wide
def test_lockdown_where_it_can_be_read(row, guest, lab, doctor):
    assert lab.loaded()
    has = row.config().get("SECURITY_LOCKDOWN_LSM") == "y"
    if has:
        guest.sh("mount -t securityfs securityfs /sys/kernel/security")
    try:
        looked = doctor.look()
    finally:
        if has:
            guest.sh("umount /sys/kernel/security")
    assert changed(loaded_truth(row), looked.verdicts) == ({"lockdown": OK} if has else {})
    assert looked.found["lockdown"] == ("none" if has else "the kernel has none")


@pytest.mark.wide
@pytest.mark.edges
def test_no_press(guest, lab, doctor):
    assert lab.loaded() and doctor
    result = guest.run("/root/doctor --json --wait=1 2>/dev/null", SECONDS)
    said = json.loads(result.output)
    assert said["checks"][-1]["verdict"] == MISSING
    assert result.status == said["status"] == BUILDING | PRESSING
