# SPDX-License-Identifier: GPL-2.0
"""Devices on an I2C and on an SPI bus, which have something allocated at probe, and do no DMA."""

import re
from typing import NamedTuple

import pytest

from guest.events import Event
from lab import DEBUGFS, HAVE_TRACING, PL061, PROBE_FAILED, TRACING, Boot, load_module, nodes
from test_probe_methods import METHODS

NEED_DMA = ["coherent", "dmapool"]
CAN = [method for method in METHODS if method not in NEED_DMA]
NO_DMA = "is for a device that does DMA itself, and this one leaves it to another"
E2BIG, EBUSY, EINVAL = 7, 16, 22
SIZE = 3 << 20
# The devices of a bus, by their numbers on it: one for each method; by cycle; with all properties;
# with a size that is too large; another driver's; with the static buffer, which there is once. The
# last node is bound first.
TAKEN, *NUMBERS = range(len(METHODS) + 5)
BY = dict(zip([*METHODS, "cycle", "sized", "large", "foreign"], NUMBERS))
FIRST_ADDRESS = 0x10
SIM_LINES = 32


class Bus(NamedTuple):
    """A bus of two or three lines of a simulated GPIO controller."""

    name: str           # of its node, too
    driver: str         # of its controller
    module: str
    node: str           # what is in the node beside the devices
    device: str         # a device's name, of its address
    first: int          # the first address

    @property
    def controller(self):
        """The directory of the controller's driver."""
        return f"/sys/bus/platform/drivers/{self.driver}"

    @property
    def clients(self):
        """The directory of our driver."""
        return f"/sys/bus/{self.name}/drivers/alloclab"

    def name_of(self, what):
        """The device that has something by a method, or is of one of the other kinds."""
        return self.device.format(self.first + BY.get(what, TAKEN))

    @property
    def bound(self):
        """The devices that can be bound."""
        return [self.name_of(what) for what in (*CAN, "cycle", "sized")]

    def body(self):
        """The body of its node."""
        properties = {
            TAKEN: ['alloclab,method = "static"'],
            **{BY[method]: [f'alloclab,method = "{method}"'] for method in METHODS},
            BY["cycle"]: [],
            BY["sized"]: ['alloclab,method = "vmalloc"', f"alloclab,size = <{SIZE}>",
                          'alloclab,gfp = "kernel+zero"', 'label = "sensor"',
                          # It is for buttons, and not read.
                          'alloclab,context = "hard"'],
            BY["large"]: ['alloclab,method = "slab"', "alloclab,size = <1000000>"],
            BY["foreign"]: []}
        devices = []
        for number, own in properties.items():
            maker = "another" if number == BY["foreign"] else "alloclab"
            entries = [f'compatible = "{maker},probe"', f"reg = <{self.first + number}>", *own]
            devices.append(f"probe@{self.first + number:x} {{ "
                           + " ".join(f"{entry};" for entry in entries) + " };")
        return (f"{self.name} {{ #address-cells = <1>; #size-cells = <0>; {self.node} "
                + " ".join(devices) + " }")


CHIP_SELECTS = ", ".join(f"<&sim {number} 1>" for number in (TAKEN, *NUMBERS))
BUSES = {bus.name: bus for bus in (
    Bus("i2c", "i2c-gpio", "i2c-gpio", 'compatible = "i2c-gpio"; '
        "sda-gpios = <&sim 28 6>; scl-gpios = <&sim 29 6>;", "0-{:04x}", FIRST_ADDRESS),
    Bus("spi", "spi_gpio", "spi-gpio", 'compatible = "spi-gpio"; sck-gpios = <&sim 30 0>; '
        f"mosi-gpios = <&sim 31 0>; num-chipselects = <{1 + len(NUMBERS)}>; "
        f"cs-gpios = {CHIP_SELECTS};", "spi0.{}", 0))}
SIM = ('gpio-sim { compatible = "gpio-simulator"; sim: bank0 { gpio-controller; '
       f"#gpio-cells = <2>; ngpios = <{SIM_LINES}>; }}; }}")
pytestmark = pytest.mark.buses
BOOT = Boot("buses", cpus=2, kernel_modules=["gpio-sim", *(bus.module for bus in BUSES.values())],
            overlays=(PL061, nodes(SIM, *(bus.body() for bus in BUSES.values()))))


@pytest.fixture(name="bus", params=[pytest.param(name, marks=getattr(pytest.mark, name))
                                    for name in BUSES])
def fixture_bus(request):
    """The bus."""
    return BUSES[request.param]


@pytest.fixture(name="devices")
def fixture_devices(guest, row, lab, bus):
    """The lab with the devices of the bus, which go before the module does."""
    for module in ("gpio-sim", bus.module):
        load_module(guest, row, module)
    guest.sh(f"[ -e {bus.controller}/{bus.name} ] || echo {bus.name} >{bus.controller}/bind")
    for name in bus.bound:
        guest.wait_log(rf"^alloclab {re.escape(name)}: ready: ", lab.start)
    yield lab
    guest.sh(f"! [ -e {bus.controller}/{bus.name} ] || echo {bus.name} >{bus.controller}/unbind")


def test_each_method_that_can(bus, devices):
    for method in CAN:
        name = bus.name_of(method)
        event = devices.at_probe(name, method)
        button = devices.button(name)
        live = button.live()
        assert (live["method"], live["size"], live["press"]) == (method, str(event.bytes), "0")
        assert live["controller"] == bus.name and "dma" not in live
        # Its file presses it.
        button.software_press(2)
        freed, again = devices.events(name)[1:]
        assert freed == Event(name, method, "freed", event.bytes, 1, event.address)
        assert (again.what, again.press) == ("allocated", 2)


def test_cycle_passes_over_what_needs_dma(guest, bus, devices):
    name = bus.name_of("cycle")
    assert devices.at_probe(name, METHODS[0])
    over = [text for text in devices.texts(name) if text.startswith("cycle: ")]
    assert over == [f"cycle: passed over, as {method} {NO_DMA}" for method in NEED_DMA]
    button = devices.button(name)
    guest.sh(f"echo {bus.name_of('static')} >{bus.clients}/unbind")
    # What is held, a press frees; the next ones go once round.
    button.software_press(1 + 2 * len(CAN))
    allocated = [event.method for event in devices.events(name) if event.what == "allocated"]
    assert allocated == [*CAN, CAN[0]]


def test_size_flags_and_label(bus, devices):
    name = bus.name_of("sized")
    event = devices.at_probe(name, "vmalloc")
    assert event.bytes == SIZE
    button = devices.button(name)
    live = button.live()
    assert (live["label"], live["gfp"], live["zeroed"]) == ("sensor", "kernel+zero", "asked")
    assert (live["context"], button.read("context")) == ("thread", "thread\n")


def test_no_pool_is_made_in_their_name(guest, bus, devices):
    assert devices.loaded()
    # A device that has one of its own has this file.
    assert guest.run(f"ls /sys/bus/{bus.name}/devices/*/pools").status != 0


@pytest.mark.parametrize("method", NEED_DMA)
def test_what_needs_dma_is_refused(guest, bus, devices, method):
    name = bus.name_of(method)
    said, end = devices.texts(name)
    assert said == f"alloclab,method: {method} is not valid: {method} {NO_DMA}"
    assert int(PROBE_FAILED.match(end)[1]) == EINVAL
    assert guest.run(f"ls -d {DEBUGFS}/{name} {bus.clients}/{name}").output.count("No such") == 2
    # By the files, too.
    button = devices.button(bus.name_of("cycle"))
    assert button.refused("method", method, "EINVAL") == f"{method} {NO_DMA}"
    assert button.refused("settings", f"size=64 method={method}", "EINVAL",
                          f"size=64 method={method}") == f"{method} {NO_DMA}"


def test_failures_are_those_of_probe(guest, bus, devices):
    said, end = devices.texts(bus.name_of("large"))
    assert said.startswith("alloclab,size: 1000000 is not valid: slab takes 1 to ")
    assert int(PROBE_FAILED.match(end)[1]) == E2BIG
    taken = bus.name_of("taken")
    failed, end = devices.texts(taken)
    assert re.fullmatch(r"static: allocation of \d+ bytes failed: EBUSY \(probe\)", failed)
    assert int(PROBE_FAILED.match(end)[1]) == EBUSY
    # It can be had once the other has gone.
    guest.sh(f"cd {bus.clients}; echo {bus.name_of('static')} >unbind; echo {taken} >bind")
    assert [event.what for event in devices.events(taken)] == ["failed", "allocated"]


def test_device_of_another_driver_is_left_alone(guest, bus, devices):
    # SPI compares names without the vendor, too.
    name = bus.name_of("foreign")
    assert guest.sh(f"cat /sys/bus/{bus.name}/devices/{name}/modalias").endswith("probe\n")
    assert guest.run(f"ls -d {bus.clients}/{name}").status != 0
    assert devices.texts(name) == []


@pytest.mark.i2c
@pytest.mark.parametrize("bus", ["i2c"], indirect=True)
def test_device_without_a_node(guest, devices):
    adapter, name = "/sys/bus/i2c/devices/i2c-0", "0-0060"
    guest.sh(f"echo probe 0x60 >{adapter}/new_device")
    event = devices.at_probe(name, METHODS[0])
    guest.sh(f"echo 0x60 >{adapter}/delete_device")
    assert devices.events(name)[1].address == event.address


def ended(devices, name):
    """How what a device had at probe has ended."""
    event, freed = devices.events(name)
    assert freed.address == event.address and freed.press is None
    return freed.what


def expected(bus, name):
    """How it has to end: only devm leaves it to the device."""
    return "left" if name == bus.name_of("devm") else "freed"


def test_unbind_and_unload(guest, bus, devices):
    unbound, rest = bus.bound[::2], bus.bound[1::2]
    for name in unbound:
        guest.sh(f"echo {name} >{bus.clients}/unbind")
        assert ended(devices, name) == expected(bus, name)
    devices.unload()
    assert all(ended(devices, name) == expected(bus, name) for name in rest)


@pytest.mark.traced
def test_all_is_taken_out_before_devres_is_released(guest, bus, devices):
    name = bus.name_of("devm")
    assert devices.at_probe(name, "devm")
    # The kernel's log is among what is traced.
    events = "dev/devres_log printk/console"
    set_events = f"for event in {events}; do echo $on >{TRACING}/events/$event/enable; done"
    said = guest.sh(f"{HAVE_TRACING}; echo >{TRACING}/trace; on=1; {set_events}; "
                    f"echo {name} >{bus.clients}/unbind; on=0; {set_events}; cat {TRACING}/trace")
    steps = re.findall(rf"alloclab {re.escape(name)}: (devm: left) |"
                       rf"devres_log: {re.escape(name)} (REL) \S+ devm_kzalloc_release ", said)
    assert steps == [("devm: left", ""), ("", "REL")], said


def test_the_controller_goes_while_they_hold(guest, bus, devices):
    first = devices.button(bus.name_of("kmalloc"))
    with_file = f"exec 9<{first.directory}/stats; exec 8</dev/alloclab/{first.name}"
    guest.sh(f"{with_file}; echo {bus.name} >{bus.controller}/unbind; ! cat <&8 2>/dev/null")
    assert guest.run(f"ls {DEBUGFS}").output == "button\n"
    assert all(ended(devices, name) == expected(bus, name) for name in bus.bound)
    # It comes again, and so do they.
    guest.sh(f"echo {bus.name} >{bus.controller}/bind")
    for name in bus.bound:
        assert [event.what for event in devices.events(name)][2:] == ["allocated"]


def test_presses_while_the_controller_goes(guest, bus, devices):
    names = [bus.name_of(method) for method in ("kmalloc", "vmalloc", "devm")]
    press = " & ".join(f"echo 1000000 >{DEBUGFS}/{name}/press" for name in names)
    begun = "; ".join(devices.button(name).begun() for name in names)
    said = guest.sh(f"({press} & wait) 2>&1 & {begun}; "
                    f"echo {bus.name} >{bus.controller}/unbind; wait", 120)
    assert said.count("No such device") == len(names), said
    assert devices.guest.run(f"ls {DEBUGFS}").output == "button\n"
