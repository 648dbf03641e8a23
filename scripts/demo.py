#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make demo: Debian's own kernel, the module, the button, and what the kernel says.

With BUS, a device on such a bus is in the button's place: the first method is
carried out at probe, and its file `press` presses it.

Leaves out/demo/serial.log and out/demo/summary.json; fails unless every method
was allocated once and freed once and nothing is left.
"""

import argparse
import json
import re
import signal
import sys
import time
from typing import NamedTuple, Sequence

from guest.command import command_files
from guest.devicetree import TreeError
from guest.events import PREFIX, READY, Event, parse_all, parse_methods, parse_stats
from guest.guest import Guest, GuestError, interrupted
from guest.row import CLONE, Row, RowError

OUT = CLONE / "out/demo"
# The two that do the same, and what /proc/vmallocinfo shows of each.
BY_ADDRESS, BY_NAME = "vmalloc", "raw_vmalloc"
WHY = (f"{BY_ADDRESS} is the kernel's VBox: the kernel's own helper is the caller, and only the "
       f"address finds it; {BY_NAME} is called from the module, which the line names")


class Bus(NamedTuple):
    """Where the device is: the button's, or one in its place, which has something at probe."""

    what: str
    overlay: str                        # in dts/
    modules: Sequence[str] = ()         # what drives its controller
    ours: str = "alloclab"              # the module that drives the device
    plugged: Sequence[str] = ()         # what QEMU has in the machine for it
    tell: str = ":"                     # how the driver is told of the device


BUSES = {
    "": Bus("button on the PL061", "virt-pl061.dtso"),
    "i2c": Bus("a device on an I2C bus", "virt-i2c.dtso", ["i2c-gpio"]),
    "spi": Bus("a device on an SPI bus", "virt-spi.dtso", ["gpio-sim", "spi-gpio"]),
    # A tablet of QEMU's, by its vendor and product.
    "usb": Bus("a USB device", "virt-pl061.dtso", ["xhci-pci"], "alloclab_usb",
               ["qemu-xhci,id=xhci", "usb-tablet,bus=xhci.0"],
               "echo 0627 0001 >/sys/bus/usb/drivers/alloclab_usb/new_id"),
}


class Demo:
    """One run: what it prints, and what it finds out on the way."""

    def __init__(self, row, bus):
        self.row = row
        self.has_button = not bus
        self.bus = BUSES[bus]
        self.ours = self.bus.ours
        # What two of them need is loaded once.
        self.modules = list(dict.fromkeys(
            path for module in self.bus.modules for path in row.modules(module)))
        self.start = time.monotonic()
        self.guest = None
        self.shown = 0
        self.device = None
        self.held = {}      # method -> vmallocinfo lines seen while it was held
        self.problems = []

    @property
    def files(self):
        """The directory of the device's files."""
        return f"/sys/kernel/debug/{self.ours}/{self.device}"

    def seconds(self):
        """Seconds since the run began."""
        return time.monotonic() - self.start

    def step(self, text):
        """Print a step and when it began."""
        print(f"[{self.seconds():6.1f} s] {text}", flush=True)

    def show(self, text):
        """Print something that the guest said."""
        print(f"             {text}", flush=True)

    def expect(self, holds, problem):
        """Note a problem unless it `holds`."""
        if not holds:
            self.problems.append(problem)

    def wait(self, pattern):
        """Wait for a line in the kernel log, showing the driver's as they come."""
        end, match = self.guest.wait_log(pattern, self.shown)
        self.show_log(end + 1)
        return match

    def show_log(self, end):
        """Show the lines about the driver up to line number `end`."""
        for line in self.guest.log.lines()[self.shown:end]:
            if line.startswith((f"{self.ours} ", f"{self.ours}: ")):
                self.show(line)
        self.shown = end

    def banner(self):
        """Find out whether the booted kernel is the one that Debian shipped."""
        version = self.guest.wait_log(r"^Linux version (\S+) (.*)")[1]
        # Who built it and with what stands in between.
        self.show(f"Linux version {version[1]} ... {version[2].rpartition(') ')[2]}")
        same = self.row.image_is_packaged()
        named = "Debian" in version[2] and version[1] == self.row.release
        if same and named:
            self.show("unmodified: byte for byte the image in Debian's package "
                      f"({self.row.version})")
        elif self.row.stock:
            self.problems.append("the image is not the one in Debian's package" if not same
                                 else "the boot banner does not name Debian's kernel")
        return version[1], not (same and named)

    def load(self):
        """Load the module and wait until the device is ready."""
        self.step(f"insmod {self.ours}.ko")
        self.shown = len(self.guest.log)
        for path in self.modules:
            self.guest.sh(f"insmod /root/{path.name}")
        self.guest.sh(f"insmod /root/{self.ours}.ko; {self.bus.tell}")
        ready = PREFIX.match(self.wait(rf"^{self.ours} \S+: ready: ").string)
        self.device = ready["device"]
        wired = READY.match(ready["text"]) if self.has_button else \
            ready["text"].startswith("ready: no line, ")
        self.expect(wired, f"not as specified: {ready.string}")

    def press(self):
        """Press once; return the event that came of it."""
        if self.has_button:
            self.guest.press()
        else:
            self.guest.sh(f"echo 1 >{self.files}/press")
        line = self.wait(rf"^{self.ours} {re.escape(self.device)}: .*\(press \d+\)").string
        # With what some methods remark after it.
        self.show_log(self.guest.mark() - 1)
        event = Event.parse(line)
        if not event:
            raise GuestError(f"not as specified: {line}")
        if event.what == "allocated":
            name = self.ours if event.method == BY_NAME else f"^0x{event.address}-"
            seen = self.guest.run(f"grep {name} /proc/vmallocinfo").output
            for entry in seen.splitlines():
                self.show(f"/proc/vmallocinfo: {entry}")
                self.held.setdefault(event.method, []).append(entry)
        return event

    def press_all(self, methods):
        """Press until every method of the cycle was carried out; return the presses."""
        # Without a button the first one was allocated at probe.
        wanted = (["allocated", "freed"] * len(methods))[not self.has_button:]
        for presses, what in enumerate(wanted, 1):
            self.step(f"press {presses}")
            event = self.press()
            self.expect(event.what == what, f"press {presses}: {event.what}")
            # A method that refuses the request is passed over.
            if what == "freed" and self.stats()[0]["next"] == methods[0]:
                break
        return presses

    def compare(self):
        """Show why /proc/vmallocinfo names the module for one of two methods only."""
        shown = {method: self.held.get(method, []) for method in (BY_ADDRESS, BY_NAME)}
        self.step("two callers in /proc/vmallocinfo")
        for method, entries in shown.items():
            self.expect(len(entries) == 1, f"{method}: /proc/vmallocinfo has {entries}")
            for entry in entries:
                self.show(f"{method}: {entry}")
                self.expect((f"[{self.ours}]" in entry) == (method == BY_NAME),
                            f"{method}: not the caller that was expected: {entry}")
        self.show(WHY)

    def stats(self):
        """The file `stats`, parsed."""
        return parse_stats(self.guest.sh(f"cat {self.files}/stats"))

    def shown_entries(self):
        """The lines of /proc/vmallocinfo that were shown."""
        return [entry for entries in self.held.values() for entry in entries]

    def left(self, log):
        """Bytes that are still allocated after rmmod."""
        bytes_left = 0
        for event in parse_all(log):
            bytes_left += {"allocated": event.bytes, "freed": -event.bytes}.get(event.what, 0)
        places = [entry.split()[:2] for entry in self.shown_entries()]
        for entry in self.guest.sh("cat /proc/vmallocinfo").splitlines():
            # The same address with another caller is somebody else's by now; a caller whose
            # module is gone has no name.
            if entry in self.shown_entries() or f"[{self.ours}]" in entry or (
                    entry.split()[:2] in places and entry.split()[2].startswith("0x")):
                self.show(f"still there: {entry}")
                bytes_left += int(entry.split()[1])
        return bytes_left

    def run(self):
        """Do all of it; return the summary."""
        self.step(f"boot {self.row.release} in QEMU, {self.bus.what} of its virt machine")
        ours = f"{self.ours}.ko"
        files = {f"root/{ours}": self.row.product(ours), **command_files(self.row),
                 **{f"root/{path.name}": path for path in self.modules}}
        with Guest(self.row, OUT / "serial.log", files=files, devices=self.bus.plugged,
                   overlays=[CLONE / "dts" / self.bus.overlay]) as self.guest:
            kernel, modified = self.banner()
            begin = len(self.guest.log)
            self.load()
            methods, _ = parse_methods(self.guest.sh(f"cat {self.files}/method"))
            how = (f"{2 * len(methods)} presses from the host" if self.has_button else
                   f"presses by {self.files}/press")
            self.step(f"{how}: " + ", ".join(methods))
            presses = self.press_all(methods)
            self.compare()
            counted = {name: {key: stats[key] for key in ("allocs", "frees", "failures")}
                       for name, stats in self.stats()[1].items()}
            carried_out = {name: counts for name, counts in counted.items()
                           if any(counts.values())}
            self.step(f"rmmod {self.ours}")
            self.guest.sh(f"rmmod {self.ours}")
            log = self.guest.log_since(begin)
            leaked = self.left(log)
            self.check(methods, carried_out, log, presses, leaked)
            self.step("power off")
            self.guest.power_off()
        return {"kernel": kernel, "modified_kernel": modified, "tested": self.row.tested,
                "presses": presses, "methods": carried_out, "vmallocinfo": self.shown_entries(),
                "leaked_bytes": leaked, "seconds": round(self.seconds(), 1)}

    def check(self, methods, carried_out, log, presses, leaked):
        """Note what is not as a demo has to end."""
        events = parse_all(log)
        passed_over = [name for name in methods if name not in carried_out]
        for name in passed_over:
            said = any(PREFIX.match(line) and re.search(rf"\b{name}\b", line) for line in log)
            self.expect(said, f"{name}: not carried out, and the log does not say why")
        for name, counts in carried_out.items():
            self.expect(counts == {"allocs": 1, "frees": 1, "failures": 0},
                        f"{name}: {counts}")
            done = [event.what for event in events if event.method == name]
            self.expect(done == ["allocated", "freed"], f"{name}: the log says {done}")
        self.expect(carried_out and presses == 2 * len(carried_out) - (not self.has_button),
                    f"{presses} presses for {len(carried_out)} methods")
        self.expect(self.held, "/proc/vmallocinfo has shown no allocation of the run")
        self.expect(leaked == 0, f"{leaked} bytes leaked")


def main():
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description="The main job of `make demo`.")
    parser.add_argument("--kernel", default="debian", help="a row of scripts/kernel/table")
    parser.add_argument("--bus", default="", choices=[bus for bus in BUSES if bus],
                        help="a device on this bus in place of the button")
    arguments = parser.parse_args()
    row = Row.find(arguments.kernel)
    OUT.mkdir(parents=True, exist_ok=True)
    summary_file = OUT / "summary.json"
    summary_file.unlink(missing_ok=True)
    demo = Demo(row, arguments.bus)
    summary = demo.run()
    summary_file.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    demo.step(f"{summary['presses']} presses, {len(summary['methods'])} methods, "
              f"{summary['leaked_bytes']} bytes leaked; see out/demo/summary.json "
              "and out/demo/serial.log")
    for problem in demo.problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if demo.problems else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    try:
        sys.exit(main())
    except (GuestError, RowError, TreeError) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
