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

    def __init__(self, guest, bus, parameters=""):
        super().__init__(guest, "alloclab_usb" if bus == "usb" else "alloclab")
        self.clients = f"/sys/bus/{bus}/drivers/{self.driver}"
        self.load(parameters)
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
        """Two read all its files and write its settings meanwhile, and one presses it.

        Each has done so once before, and goes on until the end, when the device may have gone.
        """
        use = (f"cat {self.files}/live {self.files}/pages {self.files}/stats && "
               f"echo method=cycle >{self.files}/settings && "
               f"{{ cat /dev/{self.driver}/{self.device}; true; }}")
        users = [use, use, f"echo 1000 >{self.files}/press"]
        self.guest.sh("touch /tmp/storm; rm -f /tmp/began /tmp/ended; " + " ".join(
            f"({what} && echo >>/tmp/began; while [ -e /tmp/storm ]; do {what}; done; "
            "echo >>/tmp/ended) >/dev/null 2>&1 &" for what in users))
        try:
            self._wait("began", len(users))
            yield
        finally:
            if self.guest.running:
                self.guest.sh("rm /tmp/storm")
                self._wait("ended", len(users))

    def _wait(self, what, users):
        self.guest.sh(f"until [ $(wc -l </tmp/{what}) = {users} ]; do sleep 0.1; done 2>/dev/null",
                      300)


@contextlib.contextmanager
def client_of(guest, bus, parameters=""):
    """A device on a bus; afterwards nothing of its driver is left."""
    client = Client(guest, bus, parameters)
    try:
        yield client
    finally:
        if guest.running:
            client.finish()
