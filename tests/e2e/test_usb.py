# SPDX-License-Identifier: GPL-2.0
"""USB devices, plugged and pulled: what they have for DMA, their controller does it with."""

import json
import re
import subprocess

import pytest

from guest.events import Event
from lab import PL061, Boot, Lab, errno, load_module, without_age
from test_probe_methods import METHODS

# Its clock counts instructions: how long it takes to free does not depend on the host.
BOOT = Boot("usb", cpus=2, kernel_modules=["xhci-pci"], devices=("qemu-xhci,id=xhci,p2=8",),
            overlays=(PL061,), counting=True)
pytestmark = [pytest.mark.buses, pytest.mark.usb, pytest.mark.ours]
NAME = "alloclab_usb"
# What the module has beside the other's methods; what a controller's device gets.
ALL = [*METHODS, "usb_coherent"]
FOR_DMA = ["coherent", "dmapool", "usb_coherent"]
CLIENTS = f"/sys/bus/usb/drivers/{NAME}"
CONTROLLERS = "/sys/bus/pci/drivers/xhci_hcd"
# The vendor and the product of QEMU's tablet.
ID = "0627 0001"
# A device of dummy_hcd's, the controller that does no DMA.
GADGET = "/sys/kernel/config/usb_gadget/alloclab"
GADGET_ID = "0525 a4a0"
FAILED = re.compile(rf"^probe with driver {NAME} failed with error -(\d+)$")
GONE_SECONDS = 1
NO_DMA = ("is for a device that does DMA itself, and this one's controller does none, or has "
          "memory of its own for it")
E2BIG, EBUSY, EINVAL = 7, 16, 22
# The command's exit code for what the kernel refuses.
REFUSED = 3


class Usb(Lab):
    """The module for USB devices in a guest, which has a controller."""

    def __init__(self, guest, row):
        super().__init__(guest, NAME)
        self.clients = CLIENTS
        load_module(guest, row, "xhci-pci")
        self.controller, = re.findall(r"^0000:\S+$", guest.sh(f"ls {CONTROLLERS}"), re.MULTILINE)
        self.plugged = []

    def load(self, parameters="", device=ID):
        """insmod, and tell the driver which devices are its."""
        super().load(parameters)
        self.guest.sh(f"echo {device} >{CLIENTS}/new_id")

    def plug(self):
        """Plug a tablet in; return the name of the device that the driver gets, and QEMU's."""
        tablet, start = f"tablet{self.guest.mark()}", self.guest.mark()
        self.plugged.append(tablet)
        self.guest.plug("usb-tablet", tablet, bus="xhci.0")
        return self.wait_interface(r"\S+-", start), tablet

    def wait_interface(self, serial, start):
        """Wait for a device by its serial number; return the name of its interface."""
        found = self.guest.wait_log(rf"^usb (\S+): SerialNumber: {serial}", start)[1]
        name = f"{found[1]}:1.0"
        # It comes later than that line.
        self.guest.sh(f"until [ -e /sys/bus/usb/devices/{name} ]; do sleep 0.1; done")
        return name

    def pull(self, tablet):
        """Pull a tablet out; return where the log ended before."""
        start = self.guest.mark()
        self.guest.pull(tablet)
        self.plugged.remove(tablet)
        return start

    def wait_ready(self, name):
        """Wait until the driver has a device; return its button."""
        self.guest.wait_log(rf"^{NAME} {re.escape(name)}: ready: ", self.start)
        return self.button(name)

    def load_refused(self, parameters, error):
        """Load with parameters that have to be refused; return what the log says."""
        start = self.guest.mark()
        assert errno(self.guest.run(f"insmod {self.file} {parameters}")) == error
        # busybox tries it in two ways.
        said, = {line for line in self.guest.log_since(start) if line.startswith(f"{NAME}: ")}
        assert not self.loaded()
        return said.removeprefix(f"{NAME}: ")

    def times(self, *patterns):
        """When each of the log's last lines came that match, in seconds since the boot."""
        text = self.guest.log.path.read_text(encoding="utf-8", errors="replace")
        return [float(re.findall(rf"^\[ *(\d+\.\d+)\].*{pattern}", text, re.MULTILINE)[-1])
                for pattern in patterns]


@pytest.fixture(name="usb")
def fixture_usb(guest, row, count):
    """The module for USB devices, not loaded yet; no device stays plugged in."""
    usb = Usb(guest, row)
    yield usb
    if guest.running:
        try:
            usb.finish()
        finally:
            count("leaked_bytes", usb.leaked_bytes)
            for tablet in list(usb.plugged):
                usb.pull(tablet)


@pytest.fixture(name="name")
def fixture_name(usb):
    """The name of a device that is plugged in."""
    return usb.plug()[0]


def test_what_the_modules_depend_on(row):
    def needs(module):
        asked = subprocess.run(["modinfo", "-F", "depends", row.product(f"{module}.ko")],
                               stdout=subprocess.PIPE, text=True, check=True)
        return asked.stdout.split()
    assert needs("alloclab") == []
    assert needs(NAME) == (["usbcore"] if row.stock else [])


@pytest.mark.parametrize("method", ALL)
def test_each_method(guest, usb, name, method):
    masks = f"cd {CONTROLLERS}/{usb.controller}; cat dma_mask_bits consistent_dma_mask_bits"
    before = guest.sh(masks)
    usb.load(f"method={method}")
    button = usb.wait_ready(name)
    event = usb.at_probe(name, method)
    live = button.live()
    assert (live["method"], live["size"], live["press"]) == (method, str(event.bytes), "0")
    assert (live["label"], live["controller"]) == (name, usb.controller)
    assert ("dma" in live, event.dma is not None) == (method in FOR_DMA,) * 2
    if method in FOR_DMA:
        assert live["dma"] == event.dma
        assert int(live["dma_mask"], 16).bit_length() == int(before.split()[0])
    assert guest.sh(masks) == before
    # Its file presses it.
    button.software_press(2)
    freed, again = usb.events(name)[1:]
    assert freed == Event(name, method, "freed", event.bytes, 1, event.address)
    assert (again.what, again.press) == ("allocated", 2)
    usb.unload()
    assert usb.events(name)[-1].what == ("left" if method == "devm" else "freed")


def test_cycle(usb, name):
    usb.load()
    button = usb.wait_ready(name)
    assert button.methods() == ALL
    assert usb.at_probe(name, METHODS[0])
    button.software_press(2 * len(ALL))
    assert [event.method for event in usb.events(name) if event.what == "allocated"] == \
        [*ALL, ALL[0]]
    assert not [text for text in usb.texts(name) if text.startswith("cycle: ")]


def test_parameters(usb, name):
    usb.load("method=vmalloc size=12K gfp=kernel+zero")
    button = usb.wait_ready(name)
    assert usb.at_probe(name, "vmalloc").bytes == 12288
    assert button.read("settings") == \
        "method=vmalloc size=12288 gfp=kernel+zero context=thread\n"
    # They are where a device begins: its files change them.
    button.set(settings="method=kmalloc size=64 gfp=atomic", press=2)
    assert usb.events(name)[-1].method == "kmalloc"


def test_parameters_that_are_not_valid(usb):
    assert usb.load_refused("method=malloc", "EINVAL") == \
        f'method: "malloc" is not valid: allowed are {", ".join(["cycle", *ALL])}'
    assert usb.load_refused("size=12X", "EINVAL").startswith(
        'size: "12X" is not valid: allowed are default or bytes in decimal, ')
    assert usb.load_refused("size=99999999999999999999", "E2BIG").startswith(
        'size: "99999999999999999999" is not valid: allowed are numbers up to ')
    assert usb.load_refused("gfp=", "EINVAL").startswith(
        'gfp: "" is not valid: allowed are one of kernel atomic ')


@pytest.mark.parametrize("parameters, error, said", [
    ("method=slab size=1000000", E2BIG, "slab takes 1 to "),
    ("gfp=atomic+nofail", EINVAL, "every method refuses it, as "),
    ("size=0", EINVAL, "every method refuses it, as ")])
def test_failures_are_those_of_probe(usb, name, parameters, error, said):
    usb.load(parameters)
    refusal, end = usb.texts(name)
    words = dict(method="cycle", size="default", gfp="kernel")
    words |= dict(word.split("=") for word in parameters.split())
    named = " ".join(f"{key}={value}" for key, value in words.items())
    assert refusal.startswith(f'parameters: "{named} context=thread" is not valid: {said}'), refusal
    assert int(FAILED.match(end)[1]) == error
    made = usb.guest.run(f"ls -d {usb.debugfs}/{name} {CLIENTS}/{name}")
    assert made.output.count("No such") == 2


def test_failure_of_an_allocator_is_that_of_probe(guest, usb):
    # There is one static buffer for all devices.
    holder, tablet = usb.plug()
    usb.load("method=static")
    usb.wait_ready(holder)
    late, _ = usb.plug()
    guest.wait_log(rf"^{NAME} {re.escape(late)}: probe with driver ", usb.start)
    failed, end = usb.texts(late)
    assert re.fullmatch(r"static: allocation of \d+ bytes failed: EBUSY \(probe\)", failed)
    assert int(FAILED.match(end)[1]) == EBUSY
    assert guest.run(f"ls -d {usb.debugfs}/{late} {CLIENTS}/{late}").output.count("No such") == 2
    # It can be had once the other has gone.
    guest.wait_log(rf"^{NAME} {re.escape(holder)}: static: freed ", usb.pull(tablet))
    guest.sh(f"echo {late} >{CLIENTS}/bind")
    assert [event.what for event in usb.events(late)] == ["failed", "allocated"]


def pool_blocks(usb, pool):
    """How many blocks of a pool are given away; each of the controller's buses has one."""
    text = usb.guest.sh(f"cat {CONTROLLERS}/{usb.controller}/pools")
    return sum(map(int, re.findall(rf"^{pool} +(\d+) ", text, re.MULTILINE)))


def by_itself(row):
    """What `live` says of memory that nobody asked to be zeroed, where the kernel may zero it."""
    return "kernel" if row.config().get("INIT_ON_ALLOC_DEFAULT_ON") == "y" else "no"


@pytest.mark.parametrize("size, usable, pool", [
    (1, 128, "buffer-128"), (128, 128, "buffer-128"), (129, 512, "buffer-512"),
    (512, 512, "buffer-512"), (513, 2048, "buffer-2048"), (2048, 2048, "buffer-2048")])
def test_usb_coherent_from_a_pool(row, usb, name, size, usable, pool):
    before = pool_blocks(usb, pool)
    usb.load(f"method=usb_coherent size={size} gfp=kernel+zero")
    button = usb.wait_ready(name)
    live = button.live()
    assert (live["from"], live["usable"], live["zeroed"]) == ("pool", str(usable), "asked")
    # The kernel counts it, in the pool of this size.
    assert pool_blocks(usb, pool) == before + 1
    assert button.hold(gfp="kernel")[1]["zeroed"] == by_itself(row)
    usb.unload()
    assert pool_blocks(usb, pool) == before


def test_usb_coherent_by_pages(usb, name):
    before = [pool_blocks(usb, f"buffer-{size}") for size in (128, 512, 2048)]
    usb.load("method=usb_coherent size=2049")
    button = usb.wait_ready(name)
    live = button.live()
    assert (live["from"], live["usable"]) == ("coherent", str(usb.guest.page_size))
    assert live["zeroed"] == "asked"
    assert [pool_blocks(usb, f"buffer-{size}") for size in (128, 512, 2048)] == before
    size, limit = button.limits()["usb_coherent"]
    assert (size, limit) == (usb.guest.largest_block, "MAX_PAGE_ORDER")


@pytest.fixture(name="gadget")
def fixture_gadget(guest, usb):
    """The name of a device whose controller does no DMA."""
    vendor, product = GADGET_ID.split()
    start = guest.mark()
    guest.sh(f"""grep -q ' /sys/kernel/config ' /proc/mounts ||
        mount -t configfs none /sys/kernel/config
        mkdir -p {GADGET} && cd {GADGET} && mkdir -p strings/0x409 configs/c.1 functions/Loopback.0
        echo 0x{vendor} >idVendor && echo 0x{product} >idProduct
        echo gadget >strings/0x409/serialnumber && ln -s functions/Loopback.0 configs/c.1
        echo dummy_udc.0 >UDC""")
    yield usb.wait_interface("gadget$", start)
    guest.sh(f"cd {GADGET} && echo >UDC; rm configs/c.1/Loopback.0; "
             "rmdir configs/c.1 functions/Loopback.0 strings/0x409; cd ..; rmdir alloclab")


@pytest.mark.dummy
def test_controller_that_does_no_dma(row, usb, gadget):
    usb.load(device=GADGET_ID)
    button = usb.wait_ready(gadget)
    can = [method for method in ALL if method not in ("coherent", "dmapool")]
    assert [text for text in usb.texts(gadget) if text.startswith("cycle: ")] == \
        [f"cycle: passed over, as {method} {NO_DMA}" for method in ("coherent", "dmapool")]
    button.software_press(2 * len(can))
    assert [event.method for event in usb.events(gadget) if event.what == "allocated"] == \
        [*can, can[0]]
    # No pool is made in its name.
    assert usb.guest.run(f"ls /sys/bus/usb/devices/{gadget}/pools").status != 0
    for method in ("coherent", "dmapool"):
        assert button.refused("method", method, "EINVAL") == f"{method} {NO_DMA}"
    button.set(settings="method=usb_coherent size=3000 gfp=kernel+zero", press=2)
    live = button.live()
    assert (live["from"], live["zeroed"]) == ("kmalloc", "asked") and "dma" not in live
    assert int(live["usable"]) >= 3000 and live["controller"].startswith("dummy_hcd")
    assert button.hold(gfp="kernel")[1]["zeroed"] == by_itself(row)


@pytest.mark.dummy
def test_controller_that_does_no_dma_at_probe(usb, gadget):
    usb.load("method=coherent", device=GADGET_ID)
    refusal, end = usb.texts(gadget)
    assert refusal.endswith(f" is not valid: coherent {NO_DMA}")
    assert int(FAILED.match(end)[1]) == EINVAL


def test_device_file(usb, name):
    usb.load("method=coherent size=4096")
    usb.wait_ready(name)
    path = f"/dev/{NAME}/{name}"
    assert usb.guest.sh(f"stat -c %a {path}; printf ab | dd of={path} 2>/dev/null; "
                        f"od -A n -t x1 -N 4 {path}") == "600\n 61 62 00 00\n"


@pytest.mark.command
def test_the_command(guest, usb, name, command):
    usb.load("method=usb_coherent size=1000")
    button = usb.wait_ready(name)
    live = button.live()
    assert f"\nheld: usb_coherent, 1000 bytes at {live['address']} ({live['usable']} usable), " in \
        command("status")
    state, = json.loads(command("status --json"))["buttons"]
    assert (state["name"], state["held"]["from"]) == (name, "pool")
    assert command("press -n 3") == "3 presses carried out; held: nothing\n"

    # What the kernel's log says, and the device file.
    said = command(f"set {name} size=0", REFUSED)
    assert said == f"alloclab: {name}: {usb.texts(name)[-1].removeprefix('settings: ')}\n"
    path = f"/dev/{NAME}/{name}"
    command("set method=kmalloc size=64")
    command("press")
    said = command("map", REFUSED)
    assert said == f"alloclab: {path}: No such device or address (os error 6): " \
        f"{usb.texts(name)[-1]}\n"
    command("press")
    command("set method=coherent size=4K")
    command("press")
    assert "4096 bytes filled with 0xa5\n" in command("map --fill 0xa5")
    assert guest.sh(f"od -A n -t x1 -N 2 {path}") == " a5 a5\n"
    command("press")

    # What the command does not know of a method, it shows as ?.
    said = command("compare --size 4K --press 2", timeout=120)
    rows = {row[1]: row for row in map(str.split, said.splitlines()) if row[:1] == ["kernel"]}
    assert list(rows) == ALL and "?" not in said
    assert rows["usb_coherent"][-4:] == ["DMA", "asked", "yes", "gfp"]
    assert int(rows["usb_coherent"][2]) == button.stats()[1]["usb_coherent"]["allocs"]


@pytest.mark.command
def test_the_command_has_buttons_of_both_modules(guest, usb, name, command):
    lab = Lab(guest)
    usb.load()
    lab.load()
    usb.wait_ready(name)
    assert re.findall(r"^(\S+)(?: \(.*\))?\nsettings: ", command("status"), re.M) == \
        sorted([name, "button"])
    assert command("press button") and lab.button().counters("presses") == (1,)
    lab.unload()


@pytest.mark.parametrize("method", ["coherent", "devm", "dmapool", "usb_coherent", "vmalloc"])
def test_pulled_while_it_holds(guest, usb, method):
    name, tablet = usb.plug()
    usb.load(f"method={method}")
    event = usb.wait_ready(name) and usb.at_probe(name, method)
    guest.sh(f"exec 7<{usb.debugfs}/{name}/stats 8<>/dev/{NAME}/{name}; "
             "while read -r _ <&7; do :; done; sleep 300 & echo $! >/tmp/holds")
    start = usb.pull(tablet)
    ends = "left" if method == "devm" else "freed"
    guest.wait_log(rf"^{NAME} {re.escape(name)}: {method}: {ends} ", start)
    assert usb.events(name)[1].address == event.address
    pulled, freed = usb.times(r"USB disconnect, device number", rf"{NAME} .*: {ends} ")
    assert 0 <= freed - pulled < GONE_SECONDS
    assert guest.run(f"ls {usb.debugfs} /dev/{NAME}").output.count(name) == 0
    # What is still open keeps the module, and no memory.
    assert errno(guest.run(f"rmmod {NAME}")) == "EAGAIN"
    guest.sh("kill $(cat /tmp/holds)")
    again, _ = usb.plug()
    usb.wait_ready(again)
    usb.at_probe(again, method)


def test_pulled_in_a_storm_of_presses(guest, usb):
    methods = ["kmalloc", "coherent", "usb_coherent", "devm"]
    before = pool_blocks(usb, "buffer-2048")
    plugged = [usb.plug() for _ in methods]
    usb.load()
    for (name, _), method in zip(plugged, methods):
        usb.wait_ready(name).set(method=method)
    press = " & ".join(f"echo 1000000 >{usb.debugfs}/{name}/press" for name, _ in plugged)
    begun = "; ".join(usb.button(name).begun() for name, _ in plugged)
    guest.sh(f"({press} & wait; echo all said) >/tmp/said 2>&1 & {begun}", 60)
    for _, tablet in plugged:
        usb.pull(tablet)
    said = guest.sh(f"while ls {CLIENTS} | grep -q :; do sleep 0.1; done; "
                    "until grep -q 'all said' /tmp/said; do sleep 0.1; done; cat /tmp/said", 120)
    assert said.count("No such device") == len(methods), said
    assert guest.run(f"ls {usb.debugfs}").output == ""
    assert pool_blocks(usb, "buffer-2048") == before
    for (name, _), method in zip(plugged, methods):
        *_, last = usb.events(name)
        # Of what a press has done as the last, no line need be shown.
        if last.press is None:
            ends = "left" if method == "devm" else "freed"
            assert (last.method, last.what) == (method, ends)
            pulled, freed = usb.times(rf" usb {name.partition(':')[0]}: USB disconnect, ",
                                      rf"{NAME} {re.escape(name)}: {method}: {ends} .*unbind")
            assert 0 <= freed - pulled < GONE_SECONDS


def test_one_of_two_is_pulled(guest, usb):
    (first, tablet), (second, _) = usb.plug(), usb.plug()
    usb.load("method=coherent")
    for name in (first, second):
        usb.wait_ready(name)
    start = usb.pull(tablet)
    guest.wait_log(rf"^{NAME} {re.escape(first)}: coherent: freed ", start)
    button = usb.button(second)
    button.software_press(2)
    assert [event.what for event in usb.events(second)] == ["allocated", "freed", "allocated"]
    assert button.live()["controller"] == usb.controller


def test_the_controller_goes_while_they_hold(guest, usb):
    names = [usb.plug()[0] for _ in range(2)]
    usb.load("method=usb_coherent size=100K")
    for name in names:
        usb.wait_ready(name)
    guest.sh(f"echo {usb.controller} >{CONTROLLERS}/unbind")
    for name in names:
        assert [event.what for event in usb.events(name)] == ["allocated", "freed"]
    guest.sh(f"echo {usb.controller} >{CONTROLLERS}/bind")
    for name in names:
        guest.wait_log(rf"^{NAME} {re.escape(name)}: usb_coherent: allocated ",
                       guest.wait_log(r"^xhci_hcd .* remove, state", usb.start)[0])


def test_unbind_and_bind(guest, usb, name):
    usb.load("method=dmapool")
    usb.wait_ready(name)
    guest.sh(f"cd {CLIENTS}; echo {name} >unbind; echo {name} >bind")
    assert [event.what for event in usb.events(name)] == ["allocated", "freed", "allocated"]


def test_stays_while_the_device_is_reset(guest, usb, name):
    usb.load("method=usb_coherent size=100K")
    button = usb.wait_ready(name)
    held, start = button.live(), guest.mark()
    guest.sh(f"cd /sys/bus/usb/devices/{name.partition(':')[0]}; "
             "/root/usb_reset $(printf /dev/bus/usb/%03d/%03d $(cat busnum devnum))")
    guest.wait_log(r"^usb \S+: reset \S+ USB device number", start)
    assert without_age(button.live()) == without_age(held)
    assert [event.what for event in usb.events(name)] == ["allocated"]


@pytest.mark.sleeps
def test_stays_while_the_system_sleeps(guest, usb, name):
    usb.load("method=coherent")
    button = usb.wait_ready(name)
    held, start = button.live(), guest.mark()
    # As far as devices, for a second.
    guest.sh("cd /sys/power; echo 1 >/sys/module/suspend/parameters/pm_test_delay; "
             "echo devices >pm_test; echo freeze >state; echo none >pm_test")
    guest.wait_log("^PM: suspend exit", start)
    assert without_age(button.live()) == without_age(held)
    button.software_press(1)
    assert [event.what for event in usb.events(name)] == ["allocated", "freed"]


def test_unload_while_a_file_is_open(guest, usb, name):
    usb.load()
    usb.wait_ready(name)
    assert errno(guest.run(f"exec 9<{usb.debugfs}/{name}/stats; rmmod {NAME}")) == "EAGAIN"
    assert usb.loaded()


def test_both_modules_at_once(guest, usb, name):
    lab = Lab(guest)
    usb.load()
    lab.load()
    lab.button().software_press(1)
    usb.wait_ready(name).software_press(2)
    lab.unload()
    assert not lab.loaded()
    assert [event.what for event in usb.events(name)] == ["allocated", "freed", "allocated"]
