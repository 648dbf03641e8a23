# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the fault sweeps: failures to order, and the table of what was failed."""

import pytest

from detectors import unreferenced
from lab import Lab
from sweep import GIVES_UP, Sweep, Table

AUTOPROBE = "/sys/bus/platform/drivers_autoprobe"


@pytest.fixture(scope="module", name="table")
def fixture_table(left_by):
    """The table of a module, left beside the logs."""
    table = Table()
    yield table
    left_by("sites.txt").write_text(str(table), encoding="utf-8")


@pytest.fixture(name="sweep")
def fixture_sweep(guest, table, full, count):
    """Failures to order; afterwards nothing of the driver is left."""
    guest.expected.append(GIVES_UP)
    lab = Lab(guest)
    guest.sh(f"echo 0 >{AUTOPROBE}")
    before = sum(table.failed.values())
    sweep = Sweep(guest, table)
    yield sweep
    count("sites_failed", sum(table.failed.values()) - before)
    if not guest.running:
        return
    sweep.off()
    left = guest.sh("grep -H . /sys/kernel/debug/dma-api/disabled; "
                    r"grep ' \(button\|fast\|slow\|tutorial\|interrupt\|early\|cold[0-9]*\) ' "
                    "/sys/kernel/debug/dma-api/dump; true")
    unbound = left.replace("/sys/kernel/debug/dma-api/disabled:N\n", "")
    lab.finish()
    assert unbound == ""
    if full and sweep.scan:
        assert unreferenced(guest) == ""
