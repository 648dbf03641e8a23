# SPDX-License-Identifier: GPL-2.0
"""Devices on an I2C bus, which have something allocated at probe, and do no DMA."""

import re

import pytest

from guest.events import Event
from lab import DEBUGFS, PL061, PROBE_FAILED, Boot, load_module, nodes
from test_probe_methods import METHODS

# The bus, of two lines of the PL061.
BUS = ('i2c { compatible = "i2c-gpio"; #address-cells = <1>; #size-cells = <0>; '
       "sda-gpios = <&gpio 6 6>; scl-gpios = <&gpio 7 6>; %s }")
CONTROLLER = "/sys/bus/platform/drivers/i2c-gpio"
DRIVER = "/sys/bus/i2c/drivers/alloclab"
FIRST = 0x10
NEED_DMA = ["coherent", "dmapool"]
CAN = [method for method in METHODS if method not in NEED_DMA]
NO_DMA = "is for a device that does DMA itself, and this one leaves it to another"
E2BIG, EBUSY, EINVAL = 7, 16, 22


def client(address, *properties):
    """The body of a node on the bus."""
    return (f"probe@{address:x} {{ " + " ".join(f"{entry};" for entry in (
        'compatible = "alloclab,probe"', f"reg = <{address:#x}>", *properties)) + " };")


def by_method(address, method, *properties):
    """The same, with something allocated by a method."""
    return client(address, f'alloclab,method = "{method}"', *properties)


# What the addresses are of: a node for each method that can, the cycle, sizes, flags.
OF = {method: FIRST + number for number, method in enumerate(CAN)}
REFUSED = {method: 0x40 + number for number, method in enumerate(NEED_DMA)}
CYCLE, SIZED, LARGE, TAKEN = 0x50, 0x51, 0x52, 0x7f - 8
SIZE = 3 << 20
BOOT = Boot("i2c", cpus=2, kernel_modules=["i2c-gpio"], overlays=(PL061, nodes(BUS % " ".join([
    # The last node is bound first. There is one static buffer for all, and another node has it.
    by_method(TAKEN, "static"),
    *(by_method(address, method) for method, address in OF.items()),
    *(by_method(address, method) for method, address in REFUSED.items()),
    client(CYCLE), by_method(SIZED, "vmalloc", f"alloclab,size = <{SIZE}>",
                             'alloclab,gfp = "kernel+zero"', 'label = "sensor"'),
    by_method(LARGE, "slab", "alloclab,size = <1000000>")]))))
pytestmark = pytest.mark.i2c


def name_of(address):
    """The device of an address."""
    return f"0-{address:04x}"


BOUND = [name_of(address) for address in (*OF.values(), CYCLE, SIZED)]


@pytest.fixture(name="bus")
def fixture_bus(guest, row, lab):
    """The lab with the bus and its devices; the bus goes before the module does."""
    load_module(guest, row, "i2c-gpio")
    guest.sh(f"[ -e {CONTROLLER}/i2c ] || echo i2c >{CONTROLLER}/bind")
    for name in BOUND:
        guest.wait_log(rf"^alloclab {name}: ready: ", lab.start)
    yield lab
    if lab.loaded():
        guest.sh(f"! [ -e {CONTROLLER}/i2c ] || echo i2c >{CONTROLLER}/unbind")


def test_each_method_that_can(bus):
    for method, address in OF.items():
        name = name_of(address)
        event = bus.at_probe(name, method)
        button = bus.button(name)
        live = button.live()
        assert (live["method"], live["size"], live["press"]) == (method, str(event.bytes), "0")
        assert "dma_address" not in live
        # Its file presses it.
        button.software_press(2)
        freed, again = bus.events(name)[1:]
        assert freed == Event(name, method, "freed", event.bytes, 1, event.address)
        assert (again.what, again.press) == ("allocated", 2)


def test_cycle_passes_over_what_needs_dma(guest, bus):
    name = name_of(CYCLE)
    assert bus.at_probe(name, METHODS[0])
    over = [text for text in bus.texts(name) if text.startswith("cycle: ")]
    assert over == [f"cycle: passed over, as {method} {NO_DMA}" for method in NEED_DMA]
    button = bus.button(name)
    guest.sh(f"echo {name_of(OF['static'])} >{DRIVER}/unbind")
    # What is held, a press frees; the next ones go once round.
    button.software_press(1 + 2 * len(CAN))
    allocated = [event.method for event in bus.events(name) if event.what == "allocated"]
    assert allocated == [*CAN, CAN[0]]


def test_size_flags_and_label(bus):
    name = name_of(SIZED)
    event = bus.at_probe(name, "vmalloc")
    assert event.bytes == SIZE
    live = bus.button(name).live()
    assert (live["label"], live["gfp"], live["zeroed"]) == ("sensor", "kernel+zero", "asked")


@pytest.mark.parametrize("method", NEED_DMA)
def test_what_needs_dma_is_refused(guest, bus, method):
    name = name_of(REFUSED[method])
    said, end = bus.texts(name)
    assert said == f"alloclab,method: {method} is not valid: {method} {NO_DMA}"
    assert int(PROBE_FAILED.match(end)[1]) == EINVAL
    assert guest.run(f"ls -d {DEBUGFS}/{name} {DRIVER}/{name}").output.count("No such") == 2
    # By the files, too.
    button = bus.button(name_of(CYCLE))
    assert button.refused("method", method, "EINVAL") == f"{method} {NO_DMA}"
    assert button.refused("settings", f"size=64 method={method}", "EINVAL",
                          f"size=64 method={method}") == f"{method} {NO_DMA}"


def test_failures_are_those_of_probe(guest, bus):
    said, end = bus.texts(name_of(LARGE))
    assert said.startswith("alloclab,size: 1000000 is not valid: slab takes 1 to ")
    assert int(PROBE_FAILED.match(end)[1]) == E2BIG
    failed, end = bus.texts(name_of(TAKEN))
    assert re.fullmatch(r"static: allocation of \d+ bytes failed: EBUSY \(probe\)", failed)
    assert int(PROBE_FAILED.match(end)[1]) == EBUSY
    # It can be had once the other has gone.
    guest.sh(f"cd {DRIVER}; echo {name_of(OF['static'])} >unbind; echo {name_of(TAKEN)} >bind")
    assert [event.what for event in bus.events(name_of(TAKEN))] == ["failed", "allocated"]


def ended(bus, name):
    """How what a device had at probe has ended."""
    event, freed = bus.events(name)
    assert freed.address == event.address and freed.press is None
    return freed.what


def expected(name):
    """How it has to end: only devm leaves it to the device."""
    return "left" if name == name_of(OF["devm"]) else "freed"


def test_unbind_and_unload(guest, bus):
    unbound, rest = BOUND[::2], BOUND[1::2]
    for name in unbound:
        guest.sh(f"echo {name} >{DRIVER}/unbind")
        assert ended(bus, name) == expected(name)
    bus.unload()
    assert all(ended(bus, name) == expected(name) for name in rest)


def test_the_controller_goes_while_they_hold(guest, bus):
    first = bus.button(name_of(OF["kmalloc"]))
    with_file = f"exec 9<{first.directory}/stats; exec 8</dev/alloclab/{first.name}"
    guest.sh(f"{with_file}; echo i2c >{CONTROLLER}/unbind; ! cat <&8 2>/dev/null")
    assert guest.run(f"ls {DEBUGFS}").output == "button\n"
    assert all(ended(bus, name) == expected(name) for name in BOUND)
    # It comes again, and so do they.
    guest.sh(f"echo i2c >{CONTROLLER}/bind")
    for name in BOUND:
        assert [event.what for event in bus.events(name)][2:] == ["allocated"]


def test_presses_while_the_controller_goes(guest, bus):
    names = [name_of(OF[method]) for method in ("kmalloc", "vmalloc", "devm")]
    press = " & ".join(f"echo 1000000 >{DEBUGFS}/{name}/press" for name in names)
    said = guest.sh(f"({press} & wait) 2>&1 & sleep 1; echo i2c >{CONTROLLER}/unbind; wait", 120)
    assert said.count("No such device") == len(names), said
    assert guest.run(f"ls {DEBUGFS}").output == "button\n"
