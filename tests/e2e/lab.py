# SPDX-License-Identifier: GPL-2.0
"""What the end-to-end tests do with a guest: nodes, files, presses, log lines."""

import re
import time
from typing import NamedTuple, Sequence

from guest.events import PREFIX, Event, parse_all, parse_methods, parse_remark, parse_stats
from guest.guest import COMMAND_SECONDS
from guest.row import CLONE

PL061 = CLONE / "dts/virt-pl061.dtso"
GPIO_SIM = CLONE / "dts/virt-gpio-sim.dtso"
DEBUGFS = "/sys/kernel/debug/alloclab"
READABLE = ("method", "size", "gfp", "context", "settings", "live", "pages", "stats")
WRITABLE = ("method", "size", "gfp", "context", "settings", "press")
KPTR = "/proc/sys/kernel/kptr_restrict"
TRACING = "/sys/kernel/tracing"
HAVE_TRACING = f"{{ [ -d {TRACING}/events ] || mount -t tracefs tracefs {TRACING}; }}"
CHIP = "/sys/devices/platform/gpio-sim/gpiochip*"
DRIVER = "/sys/bus/platform/drivers/alloclab"
# Whatever is bound with it, and however slow the kernel.
LOAD_SECONDS = 120
ERRORS = {
    "Invalid argument": "EINVAL",
    "Argument list too long": "E2BIG",
    "No such device": "ENODEV",
    "Input/output error": "EIO",
    "Device or resource busy": "EBUSY",
    "Resource temporarily unavailable": "EAGAIN",
    "Permission denied": "EACCES",
    "Operation not permitted": "EPERM",
    "Cannot allocate memory": "ENOMEM",
    "Numerical result out of range": "ERANGE",
    "Key was rejected by service": "EKEYREJECTED",
}
DROPPED = re.compile(r"\bburst of events: (\d+) lines dropped$")
# As device trees say it.
RISING, FALLING = 1, 2
LIMIT = re.compile(r"^(\w+) takes 1 to (\d+) bytes \((.+)\), not (\d+)$")
PROBE_FAILED = re.compile(r"^probe with driver alloclab failed with error -(\d+)$")


class Boot(NamedTuple):
    """How a test module wants its guest: the module's variable BOOT.

    Without `cpus`, it has one: a command in it takes two thirds of the host's time then, as
    emulated processors wait for each other whenever one changes the other's address space.
    """

    name: str
    overlays: Sequence = (PL061,)
    memory: int = 512
    cpus: int = 1
    kernel_modules: Sequence[str] = ()
    append: str = ""
    firmware: bool = False
    devices: Sequence[str] = ()     # as QEMU takes them
    terminal: bool = False      # with a serial port more, see terminal.py
    counting: bool = False      # its clock counts instructions, see qemu.COUNTING


def nodes(*bodies):
    """An overlay with nodes on the PL061, to be merged after PL061; a body is `name {...}`."""
    text = "\n".join(f"\t{body};" for body in bodies)
    return f"/dts-v1/;\n/plugin/;\n&{{/}} {{\n{text}\n}};\n"


def node(name, line, *properties, compatible="alloclab,button", trigger=FALLING,
         parent="gpio"):
    """The body of a node on a line of the PL061, or of `bank`; triggers are RISING and FALLING."""
    fixed = [f'compatible = "{compatible}"', f"interrupt-parent = <&{parent}>"]
    if line is not None:
        fixed.append(f"interrupts = <{line} {trigger}>")
    return f"{name} {{ " + " ".join(f"{entry};" for entry in [*fixed, *properties]) + " }"


def bank(lines):
    """The body of a simulated controller with so many lines, called `sim`; see CHIP."""
    # Only a line in use as an input raises edges.
    hogs = " ".join(
        f'hog{line} {{ gpio-hog; gpios = <{line} 0>; input; line-name = "sim{line}"; }};'
        for line in range(lines))
    return ('gpio-sim { compatible = "gpio-simulator"; sim: bank0 { gpio-controller; '
            "#gpio-cells = <2>; interrupt-controller; #interrupt-cells = <2>; "
            f"ngpios = <{lines}>; {hogs} }}; }}")


def load_module(guest, row, module):
    """Load a module of the kernel with what it needs, where it is one."""
    if row.stock:
        for path in row.modules(module):
            name = path.stem.replace("-", "_")
            guest.sh(f"grep -q '^{name} ' /proc/modules || insmod /root/{path.name}")


def load_sim(guest, row):
    """Load gpio-sim, the driver of simulated controllers, where it is a module."""
    load_module(guest, row, "gpio-sim")


def all_cpus(guest):
    """The numbers of the guest's CPUs, as the injector takes them."""
    return ",".join(map(str, range(guest.cpus)))


def without_age(live):
    """The file `live`, but for the age of what is held."""
    return {key: value for key, value in live.items() if key != "age_ns"}


def errno(result):
    """The error that a command printed, by name; None when it succeeded."""
    if result.status == 0:
        return None
    for text, name in ERRORS.items():
        if text in result.output:
            return name
    raise AssertionError(f"status {result.status}, unknown error: {result.output}")


def rebinding(name):
    """What unbinds a button and binds it, in a shell of the guest."""
    return f"cd {DRIVER} && echo {name} >unbind && echo {name} >bind"


# For all tests that need nothing special: they share one guest.
STANDARD = Boot("standard", overlays=(PL061, nodes(
    node("fast", 4, "debounce-interval = <0>"),
    node("slow", 5, "debounce-interval = <5000>"),
    node("tutorial", 6, "debounce-interval = <20>", 'alloclab,method = "vmalloc"',
         "alloclab,size = <12288>", 'alloclab,gfp = "kernel+zero"', 'label = "front door"',
         compatible="yang,mydevice", trigger=RISING),
    node("interrupt", 7, "debounce-interval = <0>", 'alloclab,gfp = "atomic"',
         'alloclab,context = "hard"'))))
# The same for those that race.
SMP = STANDARD._replace(name="smp", cpus=2)
STANDARD_NODES = ["button", "fast", "interrupt", "slow", "tutorial"]


class Lab:
    """The module in a guest, from insmod to rmmod."""

    def __init__(self, guest, name="alloclab"):
        self.guest = guest
        self.start = guest.mark()
        self.leaked_bytes = 0
        self.first = "button" if guest.row.tree else "alloclab.0"
        self.debugfs = f"/sys/kernel/debug/{name}"
        self.clients = DRIVER
        self.driver = guest.driver if name == "alloclab" else name
        self.file = f"/root/{self.driver}.ko"
        self.is_loaded = f"grep -q '^{self.driver} ' /proc/modules"
        self.removal = f"{{ ! {self.is_loaded} || rmmod {self.driver}; }}"

    def bound(self):
        """The buttons that a load binds in a guest that is STANDARD.

        No kernel with PREEMPT_RT gives the hard context that one of them asks for.
        """
        row = self.guest.row
        if not row.tree:
            return [self.first]
        lacks = ["interrupt"] if row.config().get("PREEMPT_RT") == "y" else []
        return [name for name in STANDARD_NODES if name not in lacks]

    def loaded(self):
        """Whether the module is loaded."""
        return self.guest.run(self.is_loaded).status == 0

    def load(self, parameters=""):
        """insmod; where no device tree can have a node, with a button of the module's own."""
        if not self.guest.row.tree:
            parameters = f"button=1 {parameters}"
        self.guest.sh(f"insmod {self.file} {parameters}", LOAD_SECONDS)

    def unload(self):
        """rmmod, unless the test did it."""
        self.guest.sh(self.removal, LOAD_SECONDS)

    def lines(self, device=None):
        """The driver's log lines since the test began, as (device, text)."""
        found = [PREFIX.match(line) for line in self.guest.log_since(self.start)]
        return [(match["device"], match["text"]) for match in found
                if match and device in (None, match["device"])]

    def texts(self, device):
        """The texts of a device's lines."""
        return [text for _, text in self.lines(device)]

    def events(self, device=None):
        """The events since the test began, in their order."""
        return [event for event in parse_all(self.guest.log_since(self.start))
                if device in (None, event.device)]

    def at_probe(self, name, method):
        """What a device has allocated at probe, by this method: its only event."""
        event, = self.events(name)
        assert (event.method, event.what, event.press) == (method, "allocated", None), event
        # Remarks on what a cycle passes over come before it, those on what was got after it.
        texts = self.texts(name)
        where = [number for number, text in enumerate(texts) if "(probe)" in text]
        assert len(where) == 1 and texts[where[0] + 1:][-1].startswith("ready: "), texts
        return event

    def remarks(self, device):
        """The remarks on a device's allocations, as (method, {key: value})."""
        return [remark for remark in map(parse_remark, self.texts(device)) if remark]

    def rebind(self, name=None):
        """Unbind and bind a device: its settings, its counters and its limit begin anew."""
        self.guest.sh(rebinding(name or self.first))

    def button(self, name=None):
        """The button of the node `name`, or that which every kernel has; it must be bound."""
        button = Button(self, name or self.first)
        assert self.guest.run(f"test -d {button.directory}").status == 0, self.lines()
        return button

    def finish(self):
        """Unload, and check that nothing is left of the driver."""
        left = self.guest.run(f"{self.removal} || exit; "
                              f"ls -d {self.debugfs} {self.clients} 2>/dev/null; "
                              "grep -e alloclab -e rust_helper_vrealloc -e kvrealloc_node "
                              "/proc/interrupts /proc/vmallocinfo /proc/slabinfo; "
                              # A caller whose module is gone has no name any more.
                              "grep '^[^ ]* *[0-9]* 0x' /proc/vmallocinfo", LOAD_SECONDS)
        areas = re.findall(r"^0x\S+ +(\d+) ", left.output, re.MULTILINE)
        self.leaked_bytes = sum(map(int, areas))
        assert left.output == "", left.output
        log = self.guest.log_since(self.start)
        if any(DROPPED.search(line) for line in log):
            return
        held = {}
        for event in parse_all(log):
            sign = {"allocated": 1, "freed": -1, "left": -1, "failed": 0}[event.what]
            key = (event.device, event.address)
            held[key] = held.get(key, 0) + sign * event.bytes
        self.leaked_bytes = sum(map(abs, held.values()))
        assert not any(held.values()), log


class Button:
    """One button: its files and its presses."""

    def __init__(self, lab, name):
        self.lab = lab
        self.guest = lab.guest
        self.name = name
        self.directory = f"{lab.debugfs}/{name}"

    def read(self, file):
        """The content of a file."""
        return self.guest.sh(f"cat {self.directory}/{file}")

    def write(self, file, text, newline=True, timeout=COMMAND_SECONDS):
        """Write a file; return the error's name, None when it was accepted."""
        option = "" if newline else "-n"
        quoted = text.replace("'", "'\\''")
        return errno(self.guest.run(f"echo {option} '{quoted}' >{self.directory}/{file}", timeout))

    def set(self, **values):
        """Write files, in this order, that have to accept it."""
        self.guest.sh(self._writing(values))

    def _writing(self, values):
        return f"cd {self.directory} && " + " && ".join(
            f"echo '{value}' >{file}" for file, value in values.items())

    def refused(self, file, value, error, named=None):
        """Write what has to be refused: nothing changes, and the log names the value.

        Of several words it may name the one that is wrong. Returns what the message says after
        that.
        """
        start = self.guest.mark()
        # But for the age of what is held, which goes on, and stands between these two. One program
        # is started for it: that costs more than all else here.
        state = ("state() { now=$(cat method size gfp context pages stats live); "
                 'now="${now%%age_ns: *}${now##*press: }"; }')
        result = self.guest.run(f"cd {self.directory}; {state}; state; before=$now; "
                                f"echo '{value}' >{file}; status=$?; state; "
                                '[ "$before" = "$now" ] || echo "has changed"; exit $status')
        assert "has changed" not in result.output, value
        assert errno(result) == error, value
        said = [match["text"] for match in map(PREFIX.match, self.guest.log_since(start))
                if match]
        assert len(said) == 1, said
        named = value.strip()[:128] if named is None else named
        named = f'{file}: "{named}" is not valid: '
        assert said[0].startswith(named), said
        return said[0].removeprefix(named)

    def limits(self):
        """Each method's largest size and the limit's name, as the refusals say them."""
        start = self.guest.mark()
        methods = self.methods()
        # More than any method takes.
        most = (1 << 8 * self.guest.row.word_bytes) - 1
        self.guest.sh(f"cd {self.directory}; echo default >size; for m in {' '.join(methods)}; "
                      f"do echo $m >method; ! echo {most} >size || exit; done 2>/dev/null; "
                      "echo cycle >method")
        said = [match["text"].partition(" is not valid: ")[2]
                for match in map(PREFIX.match, self.guest.log_since(start)) if match]
        limits = [LIMIT.match(text) for text in said if text]
        assert [limit[1] for limit in limits] == methods, said
        return {limit[1]: (int(limit[2]), limit[3]) for limit in limits}

    def hold(self, **values):
        """Have the next allocation held that `values` ask for; return its event and `live`."""
        self.guest.sh(f"cd {self.directory}; grep -q none live || echo 1 >press")
        self.set(**values, press=1)
        event = self.lab.events(self.name)[-1]
        assert event.what == "allocated", event
        return event, self.live()

    def runs(self):
        """The file `pages`: (first, PFN, pages) of each run; none when nothing is held."""
        text = self.read("pages")
        return [] if text == "none\n" else [
            tuple(map(int, re.fullmatch(r"(\d+) (\d+) (\d+)", line).groups()))
            for line in text.splitlines()]

    def software_press(self, count=1, timeout=60):
        """Press by the file `press`."""
        assert self.write("press", str(count), timeout=timeout) is None

    def burst(self, count, **values):
        """Bind it anew, write files and press by a file, at once: the log's limit begins anew."""
        self.guest.sh(f"{rebinding(self.name)} && {self._writing(values | {'press': count})}")

    def begun(self):
        """What waits in a shell of the guest until presses are carried out."""
        return f"until grep -q '^presses: [1-9]' {self.directory}/stats; do usleep 10000; done"

    def press(self):
        """Press the PL061's line 3 from outside; return the event that came of it.

        Where no button has a line, its file `press` is used.
        """
        start = len(self.guest.log)
        wanted = self.counters("presses")[0] + 1
        if self.guest.row.tree:
            self.guest.press()
        else:
            self.software_press()
        line = self.guest.wait_log(rf"^alloclab {re.escape(self.name)}: .*\(press {wanted}\)(,|$)",
                                   start)[1].string
        event = Event.parse(line)
        assert event, line
        return event

    def inject(self, count, cpus=None, gap_us=0, meanwhile=":", timeout=120):
        """Inject edges into the interrupt, `meanwhile` again and again in the files' directory.

        Every CPU does, unless `cpus` says which. Returns how often that was done.
        """
        irq = self.irq()
        start = self.guest.mark()
        rounds = self.guest.sh(
            f"insmod /root/alloclab_inject.ko irq={irq} count={count} "
            f"cpus={cpus or all_cpus(self.guest)} "
            f"gap_us={gap_us} & injector=$!; cd {self.directory}; rounds=0; "
            f"if [ '{meanwhile}' != : ]; then while kill -0 $injector 2>/dev/null; do "
            f"{meanwhile}; rounds=$((rounds + 1)); done; fi; wait $injector; status=$?; "
            "rmmod alloclab_inject; echo $rounds; exit $status", timeout)
        said = [line for line in self.guest.log_since(start) if "alloclab_inject: inj" in line]
        assert len(said) == 1 and re.fullmatch(
            rf"alloclab_inject: injected {count} edges into irq {irq} in \d+ us", said[0]), said
        return int(rounds)

    def stats(self):
        """The file `stats`: counters of the device, counters of each method."""
        return parse_stats(self.read("stats"))

    def counters(self, *names):
        """Some of the device's counters."""
        counters = self.stats()[0]
        return tuple(counters[name] for name in names)

    def edges_in(self):
        """Where the edges came: hardirq, softirq, thread; they are all that came."""
        edges, edges_in = self.counters("edges", "edges_in")
        assert list(edges_in) == ["hardirq", "softirq", "thread"]
        assert sum(edges_in.values()) == edges
        return tuple(edges_in.values())

    def live(self):
        """The file `live` as a dictionary; None when nothing is held."""
        text = self.read("live")
        if text == "none\n":
            return None
        return dict(line.split(": ", 1) for line in text.splitlines())

    def methods(self):
        """The methods, in the order of the file `method`."""
        return parse_methods(self.read("method"))[0]

    def current(self):
        """The current method, or cycle."""
        return parse_methods(self.read("method"))[1]

    def irq(self):
        """The interrupt, as the ready line names it."""
        ready = [re.match(r"ready: irq (\d+)(?: \(nested\))?,", text)
                 for text in self.lab.texts(self.name)]
        return int([match for match in ready if match][-1][1])

    def wait_counter(self, name, value, timeout=10):
        """Wait until a counter has reached `value`, or has not grown for so long; return it."""
        now = self.counters(name)[0]
        until = time.monotonic() + timeout
        while now < value and time.monotonic() < until:
            time.sleep(0.1)
            before, now = now, self.counters(name)[0]
            if now > before:
                until = time.monotonic() + timeout
        return now
