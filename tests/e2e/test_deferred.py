# SPDX-License-Identifier: GPL-2.0
"""A node on a controller whose driver does not come: silent, until the kernel has waited enough."""

from lab import DRIVER, PL061, Boot, node, nodes

TIMEOUT_SECONDS = 30
BOOT = Boot("deferred", append=f"deferred_probe_timeout={TIMEOUT_SECONDS}", overlays=(PL061, nodes(
    'nested: controller { compatible = "alloclab,nested"; interrupt-controller; '
    "#interrupt-cells = <2>; }",
    node("expander", 1, parent="nested"))))
REASON = "alloclab: interrupts: waits for the driver of /controller"


def pending(guest):
    """What the kernel says once, when it has waited long enough."""
    # To load a driver begins the time anew.
    return guest.wait_log("expander: deferred probe pending: ", timeout=4 * TIMEOUT_SECONDS)[1]


def test_kernel_says_what_a_button_waits_for(guest, lab):
    said = pending(guest)
    assert said.string.endswith(f"deferred probe pending: {REASON}")
    assert guest.sh("grep ^expander /sys/kernel/debug/devices_deferred") == f"expander\t{REASON}\n"
    assert lab.texts("expander") == []
    # It is not given up: a driver may still come.
    guest.sh("insmod /root/alloclab_nested.ko")
    guest.wait_log("^alloclab expander: ready: ", lab.start)
    assert guest.sh("cat /sys/kernel/debug/devices_deferred") == ""
    # The kernel does not know any more that the one needs the other.
    lab.unload()
    guest.sh("rmmod alloclab_nested")


def test_silent_where_the_module_comes_later(guest, lab):
    # From then on it only keeps a list.
    pending(guest)
    assert guest.sh("grep ^expander /sys/kernel/debug/devices_deferred") == f"expander\t{REASON}\n"
    assert lab.texts("expander") == [] and guest.run(f"test -e {DRIVER}/expander").status != 0
