# SPDX-License-Identifier: GPL-2.0
"""The fault sweep of binding a device on I2C, SPI and USB, and of the load of the module for USB;
sweep.py says what a sweep is.
"""

import pytest

from clients import BUSES, CLIENTS, client_of
from sweep import DMA_DEBUG, KINDS, KMEMLEAK, bind_with_an_allocation, told

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None}
BOOT = CLIENTS
pytestmark = [pytest.mark.i2c, pytest.mark.spi, pytest.mark.usb]
USB = "alloclab_usb"
LOAD = f"load /root/{USB}.ko method=kmalloc size=64 gfp=kernel"
REFUSED_LOAD = rf"^{USB}: the USB driver cannot be registered: "


@pytest.mark.parametrize("bus", BUSES)
def test_bind(guest, sweep, bus):
    with client_of(guest, bus) as client:
        guest.sh(f"echo {client.device} >{client.clients}/unbind")
        bind_with_an_allocation(sweep, f"{bus}: bind", client.device, client.driver,
                                client.clients)
        sweep.off()


def for_the_controller(guest):
    """What DMA debugging knows to be the USB controller's."""
    return guest.sh("grep ^xhci_hcd /sys/kernel/debug/dma-api/dump | sort")


@pytest.mark.parametrize("method, size, itself", [
    # Its pool has free blocks since the first one was taken.
    ("usb_coherent", 64, None),
    ("usb_coherent", 4096, "fail_page_alloc"),
    ("coherent", 4096, "fail_page_alloc")])
def test_bind_with_memory_of_the_controller(guest, sweep, method, size, itself):
    with client_of(guest, "usb", f"method={method} size={size}") as client:
        guest.sh(f"echo {client.device} >{client.clients}/unbind")
        before = for_the_controller(guest)
        bind_with_an_allocation(sweep, f"usb: {method} {size}", client.device, client.driver,
                                client.clients, itself=itself, spared=DMA_DEBUG)
        sweep.off()
        assert for_the_controller(guest) == before != ""


def test_load(guest, sweep):
    """What the module itself allocates: the loader is the same as for the other one."""
    guest.sh(f"insmod /root/{USB}.ko && rmmod {USB}")
    absent = [f"absent {path}/{USB}" for path in
              ("/sys/kernel/debug", "/sys/bus/usb/drivers", "/sys/module")]
    for kind in KINDS:
        sweep.arrange(kind, KMEMLEAK, only=sweep.range("do_one_initcall"))
        failed = sweep.run("usb: load", kind, LOAD, after=[f"unload {USB}", *absent])
        for site in failed:
            refused = told(site, REFUSED_LOAD)
            if site.error:
                # Of a directory that cannot be made in sysfs, the driver core makes EINVAL.
                directory = any(line.endswith("registered: EINVAL") for line in site.log)
                assert refused and site.error == ("EINVAL" if directory else "ENOMEM"), site
            else:
                assert not refused, site
            assert site.after[0].error == ("ENOENT" if site.error else None), site
            assert all(entry.error is None for entry in site.after[1:]), site
        sweep.refused("usb: load", kind, sum(bool(site.error) for site in failed))
        assert kind != "failslab" or any(site.error for site in failed), failed
