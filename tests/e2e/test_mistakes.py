# SPDX-License-Identifier: GPL-2.0
"""The mistakes of doc/probes.md: what the kernel answers, and what alloclab has in their place."""

import pytest

from guest.row import CLONE
from lab import PL061, Boot, load_module

MODULES = ["xhci-pci", "i2c-gpio", "gpio-sim", "spi-gpio"]
BOOT = Boot("mistakes", kernel_modules=MODULES,
            overlays=(PL061, CLONE / "dts/virt-i2c.dtso", CLONE / "dts/virt-spi.dtso"),
            devices=("qemu-xhci,id=xhci", "usb-tablet,bus=xhci.0"))
pytestmark = [pytest.mark.buses, pytest.mark.i2c, pytest.mark.spi, pytest.mark.usb,
              pytest.mark.ours]
PAGE = CLONE / "doc/probes.md"


def test_memory_for_dma_of_a_device_that_does_none(guest, row):
    for module in MODULES:
        load_module(guest, row, module)
    usb = guest.wait_log(r"^usb (\S+): SerialNumber: \S+-")[1][1]
    guest.sh(f"until [ -e /sys/bus/usb/devices/{usb}:1.0 ]; do sleep 0.1; done")
    # Once, however often it happens.
    guest.expected += [r"WARNING: kernel/dma/mapping\.c:\d+ at dma_alloc_attrs\+"]
    start = guest.mark()
    guest.sh("insmod /root/alloclab_mistakes.ko; rmmod alloclab_mistakes")
    log = guest.log_since(start)
    assert len([line for line in log if line.startswith("WARNING: ")]) == 1, log
    said = [line for line in log if line.startswith("alloclab_mistakes ")]
    assert sorted(said) == [f"alloclab_mistakes {device}: dma_alloc_coherent: NULL"
                            for device in ("0-0010", f"{usb}:1.0", "spi0.0")]
    # The page has this answer, with the first bus that a kernel has.
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"{line.replace(usb, '1-1')}\n" in page for line in said)
