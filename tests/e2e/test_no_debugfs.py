# SPDX-License-Identifier: GPL-2.0
"""Kernels that were told to have no debugfs: the button works, and the log says what happens.

`off` makes no files. `no-mount` makes none either since 7.3; before, it makes them where nobody
can see them.
"""

import pytest

from lab import DRIVER, STANDARD, STANDARD_NODES

OFF = "alloclab: no debugfs (EPERM): the button works without its files"


@pytest.fixture(scope="module", name="boot", params=["off", "no-mount"])
def fixture_boot(request):
    """A guest for each of the two words."""
    return STANDARD._replace(name=f"debugfs-{request.param}",
                             append=f"debugfs={request.param}")


def test_presses_without_files(guest, lab, boot):
    assert guest.run("mount | grep debugfs").status != 0
    said = guest.log_since(lab.start)
    assert OFF in said or "no-mount" in boot.name
    assert sorted(name for name in guest.sh(f"ls {DRIVER}").split() if name in STANDARD_NODES) == \
        STANDARD_NODES
    for number, what in enumerate(["allocated", "freed", "allocated"], 1):
        guest.press()
        guest.wait_log(rf"^alloclab button: \w+: {what} \d+ bytes at .*\(press {number}\)$",
                       lab.start)
    lab.unload()
    assert [(event.what, event.press) for event in lab.events("button")] == [
        ("allocated", 1), ("freed", 2), ("allocated", 3), ("freed", None)]
    assert not any("cannot be made" in line or "no debugfs " in line.removeprefix(OFF)
                   for line in guest.log_since(lab.start))


def test_button_without_a_line_cannot_be_pressed(guest, lab, boot):
    lab.unload()
    lab.load("button=1")
    warned = "alloclab: without debugfs, nothing can press a button that has no line" in \
        guest.log_since(lab.start)
    assert warned == (OFF in guest.log_since(lab.start)) and (warned or "no-mount" in boot.name)
    assert lab.texts("alloclab.0") == ["ready: no line, debounce 5 ms, method cycle"]
