# SPDX-License-Identifier: GPL-2.0
"""Devices on an I2C, an SPI and a USB bus, each with the driver that has it."""

import contextlib
import re

from guest.row import CLONE
from lab import PL061, Boot, Lab

BUSES = ["i2c", "spi", "usb"]
CLIENTS = Boot("clients", cpus=2,
               overlays=(PL061, CLONE / "dts/virt-i2c.dtso", CLONE / "dts/virt-spi.dtso"),
               devices=("qemu-xhci,id=xhci", "usb-tablet,bus=xhci.0,id=tablet"))
# The vendor and the product of QEMU's tablet.
TABLET = "0627 0001"


class Client(Lab):
    """The module that a device on a bus needs, loaded, and the device, bound."""

    def __init__(self, guest, bus):
        super().__init__(guest, "alloclab_usb" if bus == "usb" else "alloclab")
        self.clients = f"/sys/bus/{bus}/drivers/{self.driver}"
        self.load()
        self.device = {"i2c": "0-0010", "spi": "spi0.0"}.get(bus)
        if bus == "usb":
            guest.sh(f"echo {TABLET} >{self.clients}/new_id")
            self.device = self.wait_ready(r"\S+", self.start)
        self.wait_ready(re.escape(self.device), self.start)

    def wait_ready(self, name, start):
        """Wait until a device is ready whose name matches; return its name."""
        return self.guest.wait_log(rf"^{self.driver} ({name}): ready: ", start)[1][1]

    @property
    def files(self):
        """The directory of its files."""
        return f"{self.debugfs}/{self.device}"

    def is_bound(self):
        """Whether the driver has the device."""
        return self.guest.run(f"[ -e {self.clients}/{self.device} ]").status == 0

    @contextlib.contextmanager
    def stormed(self):
        """Two read all its files and write its settings meanwhile, and one presses it."""
        use = (f"cat {self.files}/*; echo method=cycle >{self.files}/settings; "
               f"cat /dev/{self.driver}/{self.device}")
        press = f"echo 1000 >{self.files}/press"
        users = (use, use, press)
        self.guest.sh("touch /tmp/storm; rm -f /tmp/ended; " + " ".join(
            f"(while [ -e /tmp/storm ]; do {what}; done >/dev/null 2>&1; echo >>/tmp/ended) &"
            for what in users))
        yield
        self.guest.sh(f"rm /tmp/storm; until [ $(wc -l </tmp/ended) = {len(users)} ]; do "
                      "sleep 0.1; done 2>/dev/null", 60)


@contextlib.contextmanager
def client_of(guest, bus):
    """A device on a bus; afterwards nothing of its driver is left."""
    client = Client(guest, bus)
    yield client
    if guest.running:
        client.finish()
