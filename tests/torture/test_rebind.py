# SPDX-License-Identifier: GPL-2.0
"""Devices on I2C, SPI and USB are unbound and bound, pulled and plugged, while they are used."""

import pytest

from clients import BUSES, CLIENTS, client_of

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"own": None, "debug": None}
BOOT = CLIENTS
pytestmark = [pytest.mark.i2c, pytest.mark.spi, pytest.mark.usb]
CYCLES = {"own": 200, "debug": 25}
PULLS = {"own": 25, "debug": 5}
SECONDS = 600


@pytest.mark.parametrize("bus", BUSES)
def test_unbound_and_bound(guest, row, count, bus):
    cycles = CYCLES[row.variety]
    with client_of(guest, bus) as client:
        with client.stormed():
            guest.sh(f"cd {client.clients}; for n in $(seq {cycles}); do "
                     f"echo {client.device} >unbind && echo {client.device} >bind || exit; done",
                     SECONDS)
        assert client.is_bound()
    count("cycles", cycles)


def test_pulled_and_plugged(guest, row, count):
    pulls = PULLS[row.variety]
    with client_of(guest, "usb") as client:
        for _ in range(pulls):
            with client.stormed():
                start = guest.mark()
                guest.pull("tablet")
                guest.wait_log(r"^usb \S+: USB disconnect, device number ", start)
                guest.plug("usb-tablet", "tablet", bus="xhci.0")
                client.device = client.wait_ready(r"\S+", start)
            assert client.is_bound()
    count("cycles", pulls)
