# SPDX-License-Identifier: GPL-2.0
"""The fault sweep of binding a device on I2C, SPI and USB; sweep.py says what a sweep is."""

import pytest

from clients import BUSES, CLIENTS, client_of
from sweep import bind_with_an_allocation

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None}
BOOT = CLIENTS
pytestmark = [pytest.mark.i2c, pytest.mark.spi, pytest.mark.usb]


@pytest.mark.parametrize("bus", BUSES)
def test_bind(guest, sweep, bus):
    with client_of(guest, bus) as client:
        guest.sh(f"echo {client.device} >{client.clients}/unbind")
        bind_with_an_allocation(sweep, f"{bus}: bind", client.device, client.driver,
                                client.clients)
        sweep.off()
