# SPDX-License-Identifier: GPL-2.0
"""Load and unload, bind and unbind, again and again: in peace, and in a storm with users.

Two users read and write every file that the directories of the devices have.
"""

import re

import pytest

import storm
from storm import BUTTONS, CPUS, DEVICES, emptied, figures_of

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"own": 60, "debug": None}
BOOT = BUTTONS
# Of each kind, over all numbers of CPUs: (quick, full).
CYCLES = {"own": (18, 1000), "debug": (2, 50)}
SECONDS = 3600
# All files are open during an unbind, by the thread that waits for its end. It does wait for what
# is running: one press, an answer to a user, and the kernel's own grace periods in the storm.
UNBIND_US = {"own": 30000000, "debug": 50000000}
# The kernel's own: rmmod takes the module's last reference first and marks the module as going then
# (try_stop_module()), and debugfs finds fault with who opens a file in between. It answers ENXIO.
BETWEEN = r"^WARNING: fs/debugfs/file\.c:\d+ at full_proxy_open_regular"
SAID = r"^cycles \d+ texts \d+ words \d+ gone \d+ refused \d+ slowest_us \d+$"
USED = r"^(\w+) read (\d+) written (\d+)$"
USERS = 2

pytest_generate_tests = storm.for_each_cpus
fixture_boot = storm.fixture_boot


def cycle(guest, what, cycles, users, stormed, devices, before=":", after=":"):
    """Run the program; return its figures, and which files users have read and written."""
    result = guest.run(f"{before} || exit; /root/cycle {what} {cycles} {users} {stormed} "
                       f"{' '.join(devices)}; status=$?; {after}; exit $status", SECONDS)
    assert result.status == 0, result.output
    figures = figures_of(result.output, SAID)
    assert figures["cycles"] == cycles
    return figures, {name: (reads != "0", written != "0")
                     for name, reads, written in re.findall(USED, result.output, re.MULTILINE)}


def files_of(button):
    """A button's files by name: whether they are read, and whether they are written."""
    shown = button.guest.sh(f"cd {button.directory}; stat -c '%n %a' *").split()
    modes = {name: int(mode, 8) for name, mode in zip(shown[::2], shown[1::2])}
    return {name: (bool(mode & 0o400), bool(mode & 0o200)) for name, mode in modes.items()}


def storm_on(irq, cpus):
    """The commands that begin and end a storm from the last CPU."""
    begin = f"insmod /root/alloclab_inject.ko irq={irq} cpus={cpus - 1} ms={SECONDS * 1000}"
    return begin, "rmmod alloclab_inject"


@pytest.mark.parametrize("stormy", [False, True], ids=["quiet", "storm"])
@pytest.mark.parametrize("what", ["load", "bind"])
def test_again_and_again(row, full, count, guest, lab, cpus, what, stormy):
    cycles = -(-CYCLES[row.variety][full] // len(CPUS[row.variety][full]))
    irqs = {name: lab.button(name).irq() for name in DEVICES.values()}
    files = files_of(lab.button(DEVICES["thread"]))
    if what == "load" and stormy:
        guest.expected.append(BETWEEN)
    if what == "load":
        lab.unload()
    # The storm is one button's and then the other one's.
    for number, (name, irq) in enumerate(irqs.items()):
        part = cycles // 2 + cycles % 2 * number
        begin, end = storm_on(irq, cpus) if stormy else (":", ":")
        devices = [name] if what == "bind" else irqs
        got, used = cycle(guest, what, part, USERS if stormy else 0, name if stormy else "-",
                          devices, begin, end)
        assert (got["texts"] > 0, got["words"] > 0) == (stormy, stormy)
        assert used == (files if stormy else {})
        assert got["slowest_us"] < UNBIND_US[row.variety]
        count("cycles", part)
        if what == "load":
            lab.load()
        # It took edges until the storm was over, or kept one from then.
        for button in map(lab.button, irqs):
            emptied(button, button.counters("edges")[0])
        # None is left to a method that only one button can use.
        if what == "load":
            lab.unload()
        else:
            lab.rebind(name)
