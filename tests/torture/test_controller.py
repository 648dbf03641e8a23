# SPDX-License-Identifier: GPL-2.0
"""The GPIO controller goes, with the buttons on it: their teardown is clean, the kernel's is not.

gpiochip_remove() frees the interrupts of its lines before it has the devices unbound that asked for
them. The kernel warns when a driver frees its own then, gpio-keys like ours:
upstream/gpiolib-irq-already-free.txt is the report.
"""

import re

import pytest

from detectors import WARNINGS, complaints
from lab import CHIP, DEBUGFS, DRIVER, PL061, Boot, bank, load_sim, node, nodes

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None, "stock": 18}
# One is pressed in thread context, the other one in hard context.
NAMES = ("sim0", "sim1")
BOOT = Boot("controller", cpus=2, kernel_modules=["gpio-sim"], overlays=(PL061, nodes(
    bank(len(NAMES)), node(NAMES[0], 0, parent="sim"),
    node(NAMES[1], 1, 'alloclab,gfp = "atomic"', 'alloclab,context = "hard"', parent="sim"))))
CONTROLLER = "/sys/bus/platform/drivers/gpio-sim"
PL061_DRIVER, PL061_DEVICE = "/sys/bus/amba/drivers/pl061_gpio", "9030000.pl061"
WARNING = r"^WARNING: kernel/irq/manage\.c:\d+ at free_irq\+"
FREED = "Trying to free already-free IRQ {}"


@pytest.fixture(name="buttons")
def fixture_buttons(guest, row, lab):
    """The buttons on the controller; each holds what an edge has allocated."""
    if guest.run(f"test -e {CONTROLLER}").status != 0:
        load_sim(guest, row)
    guest.sh(f"test -e {CONTROLLER}/gpio-sim || echo gpio-sim >{CONTROLLER}/bind")
    # The driver core tries a device whose controller has come, too, and may be first.
    for name in NAMES:
        bound = f"test -e {DRIVER}/{name}"
        guest.sh(f"{bound} || echo {name} >{DRIVER}/bind || {bound}")
    buttons = [lab.button(name) for name in NAMES]
    for line, button in enumerate(buttons):
        guest.sh(f"cd {CHIP}/sim_gpio{line} && echo pull-up >pull && echo pull-down >pull")
        assert button.wait_counter("presses", 1) == 1
        assert button.counters("edges", "allocs", "frees") == (1, 1, 0)
    return buttons


def warnings(guest):
    """How many warnings the kernel has counted."""
    return int(guest.sh(f"cat {WARNINGS} 2>/dev/null || echo 0"))


def unbound(lab, buttons, how):
    """Have the buttons lose their controller; return the kernel's log of that.

    Each is unbound then, has freed what it held, and has left no interrupt and no thread behind.
    """
    guest = lab.guest
    irqs = [button.irq() for button in buttons]
    start = guest.mark()
    guest.sh(how, 60)
    for button, irq in zip(buttons, irqs):
        last = lab.events(button.name)[-1]
        assert (last.what, last.press) == ("freed", None)
        assert guest.run(f"ls -d {DRIVER}/{button.name} {button.directory}").output.count(
            "No such file") == 2
        assert guest.run(f"grep '^ *{irq}:' /proc/interrupts").output == ""
        assert guest.run(f"grep -l ^irq/{irq}- /proc/[0-9]*/comm 2>/dev/null").output == ""
    return guest.log_since(start)


def test_device_of_the_controllers_own_node(guest, lab, button, count):
    """The driver core unbinds the button before its controller, and binds it after it."""
    button.press()
    before = warnings(guest)
    said = unbound(lab, [button], f"echo {PL061_DEVICE} >{PL061_DRIVER}/unbind")
    assert warnings(guest) == before and not complaints(said)
    start = guest.mark()
    guest.sh(f"echo {PL061_DEVICE} >{PL061_DRIVER}/bind")
    guest.wait_log("^alloclab button: ready: ", start)
    assert button.press().press == 1
    count("cycles")


# The first with these buttons: the kernel makes their links to a controller once.
def test_controller_goes_first(guest, lab, button, buttons, count):
    guest.expected.append(WARNING)
    irqs = [button.irq() for button in buttons]
    before = warnings(guest)
    said = unbound(lab, buttons, f"echo gpio-sim >{CONTROLLER}/unbind")
    # One warning for each interrupt, which the line before it names, and nothing else.
    assert warnings(guest) == before + len(buttons), said
    wrong = complaints(said)
    assert len(wrong) == len(buttons) and all(re.search(WARNING, line) for line in wrong), said
    assert sorted(line for line in said if "already-free" in line) == \
        sorted(map(FREED.format, irqs))
    assert guest.sh(f"ls {DEBUGFS}").split() == [button.name]
    assert button.press().what == "allocated"
    count("cycles")


def test_controller_comes_back(guest, lab, buttons, count):
    for button in buttons:
        button.software_press()
        assert button.counters("presses", "frees") == (2, 1)
    assert lab.loaded()
    count("presses", 2 * len(buttons))
