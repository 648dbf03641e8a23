#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which functions make a press, or a bare pair, cost more in Rust than in C.

Runs in the build root. The guest of make bench, at fixed addresses, carries out a few pairs of
presses, in Rust and in C, while QEMU traces each instruction of the kernel and of modules. Of what
lies between two readings of the counter the instructions are counted by function. It prints those
functions that do not take as many on both sides. In `alloclab` and `alloclab_peer` that is each
one; a line sums them up.
"""

import argparse
import itertools
import re
import subprocess
import sys
from bisect import bisect
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
sys.dont_write_bytecode = True

from bench import (APPEND, BEGIN, FUNCTIONS, LIMITS, OUT, PEER, RUST,  # noqa: E402
                   SIZES, USED_UP, bench_row, files_of, name_of, records)
from guest.machine import machine_of  # noqa: E402
from lab import PL061, node, nodes  # noqa: E402
from tracing import Traced  # noqa: E402

# Of so many pairs of presses the median one is shown.
PAIRS = 3
# Longer than any of them takes while it is traced.
SECONDS = 600
# The last pair of the second size: pairs of more bytes differ in what both sides allocate from.
LAST_PAIR = "pair page 4096"
PAIR = re.compile(r"^alloclab_pairs: pair (\w+) (\d+): ")
C_PAIR = "alloclab_pair_"
SYMBOL = re.compile(r"^([0-9a-f]{16}) .{6}F (\S+)\t([0-9a-f]{16}) (?:\.\w+ )?(\S+)$")
READING = re.compile(r"^ +([0-9a-f]+):.*\bpmevcntr0_el0$", re.MULTILINE)
# What c++filt has of a crate besides its name.
HASH = re.compile(r"(?<=\w)\[[0-9a-f]+\]")
# A function with fewer more, or fewer less, is not shown.
FEW = 4


class Counted(Traced):
    """The guest of make bench, which is traced."""

    where = "0xffff800000000000..0xffff8000ffffffff"


def told(*command, text=None):
    """What a command prints."""
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


class Places:
    """Which function is where in a guest that runs."""

    def __init__(self, row, guest):
        self.row, self.guest, self.tools = row, guest, machine_of(row).tools
        lines = (row.build / "System.map").read_text(encoding="utf-8").splitlines()
        self.kernel = [(int(address, 16), name) for address, kind, name in map(str.split, lines)
                       if kind in "tTwW"]
        self.found = []

    def symbols(self, module):
        """The functions of a module, and nothing where one ends."""
        base = self.base(module)
        said = told(f"{self.tools}objdump", "-t", self.row.product(f"{module}.ko"))
        for match in filter(None, map(SYMBOL.match, said.splitlines())):
            if match[2] == ".text":
                start = base + int(match[1], 16)
                yield start, f"{module}: {match[4]}"
                yield start + int(match[3], 16), ""

    def base(self, module):
        """Where the code of a module lies."""
        return int(self.guest.sh(f"cat /sys/module/{module}/sections/.text"), 16)

    def load(self, *modules):
        """Find the functions of the kernel and of modules."""
        found = sorted(itertools.chain(self.kernel, *map(self.symbols, modules)))
        names = told(f"{self.tools}c++filt", text="\n".join(name for _, name in found))
        self.found = list(zip((address for address, _ in found), HASH.sub("", names).split("\n")))

    def at(self, address):
        """The function at an address; of several the last one."""
        return self.found[bisect(self.found, address, key=lambda place: place[0]) - 1][1] or "?"

    def readings(self, module):
        """Where a module reads the counter."""
        base = self.base(module)
        code = told(f"{self.tools}objdump", "-d", "-j", ".text", self.row.product(f"{module}.ko"))
        return {base + int(offset, 16) for offset in READING.findall(code)}

    def by_function(self, counts):
        """Instructions by function of those by address."""
        found = Counter()
        for address, number in counts.items():
            found[self.at(address)] += number
        return found


def stretches(addresses, readings):
    """What was carried out between a reading of the counter and the next one, and so on: where the
    first one is, and how often each address.
    """
    first, counts = None, None
    for address in addresses:
        if first:
            counts[address] += 1
        if address in readings:
            if first:
                yield first, counts
                first = None
            else:
                first, counts = address, Counter()


def show(title, rust, c):
    """Print in which functions two counts differ."""
    # A press is half of a pair.
    recorded = ""
    if title.startswith("press"):
        recorded = "; the record has {:.0f} and {:.0f}".format(
            *(2 * count for count in records()[-1]["costs"][title]))
    print(f"{title}: {rust.total()} in Rust, {c.total()} in C, {rust.total() - c.total():+}"
          f"{recorded}")
    own = [sum(number for name, number in counts.items() if name.startswith("alloclab"))
           for counts in (rust, c)]
    lines = [(own[0] - own[1], *own, "the modules")]
    lines += [(rust[name] - c[name], rust[name], c[name], name) for name in rust.keys() | c.keys()]
    for more, *both, name in sorted(lines, reverse=True):
        if abs(more) >= FEW or name == "the modules":
            print(f"{more:>+10} {both[0]:>9} {both[1]:>9}  {name}")


def measure_presses(guest, places, wanted):
    """Print the functions of presses."""
    def sh(script):
        return guest.sh(FUNCTIONS.format(used_up=USED_UP) + script, SECONDS)

    def median(what, method, size):
        sh(f"set_anew {method} {size}" + (f"\ndrop_lines {size}" if what == "press" else ""))
        found = guest.traced(lambda: sh(f"irq={irq}\npress {PAIRS}"), lambda addresses: [
            counts for _, counts in stretches(addresses, readings)])
        return sorted(found, key=Counter.total)[len(found) // 2]

    found = {}
    readings = places.readings("alloclab_bench")
    for driver in (RUST, PEER):
        irq = sh(f"load_driver {driver}\necho $irq").split()[-1]
        places.load(driver, "alloclab_bench")
        for case in wanted:
            found[driver, case] = places.by_function(median(*case))
        sh(f"unload_driver {driver}")
    for case in wanted:
        show(name_of(*case), found[RUST, case], found[PEER, case])


def measure_pairs(guest, places):
    """Print the functions of bare pairs, of each method those of the least."""
    readings = set()

    def load():
        guest.sh("insmod alloclab_pairs.ko &", SECONDS)
        guest.wait_log(f"alloclab_pairs: {LAST_PAIR}: ", timeout=SECONDS)
        guest.monitor("log none")
        places.load("alloclab_pairs")
        readings.update(places.readings("alloclab_pairs"))

    def read(addresses):
        rounds = stretches(addresses, readings)
        best = []
        # One of each side makes a round, in either order.
        for both in zip(rounds, rounds):
            sides = {}
            for first, counts in both:
                name = places.at(first).removeprefix("alloclab_pairs: ")
                sides["c" if name.startswith(C_PAIR) else "rust"] = counts
                if name.startswith(C_PAIR):
                    method = name.removeprefix(C_PAIR)
            if not best or best[-1][0] != method:
                best.append((method, sides))
            for side, counts in sides.items():
                best[-1][1][side] = min(best[-1][1][side], counts, key=Counter.total)
        return best

    best = guest.traced(load, read)
    named = filter(None, map(PAIR.match, guest.log.lines()))
    for line, (_, sides) in zip(named, best):
        show(f"pair {line[1]} {line[2]}", *(places.by_function(sides[side])
                                            for side in ("rust", "c")))


def main():
    """Boot, trace and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("method", nargs="*", help="trace presses by it (default: bare pairs)")
    parser.add_argument("--what", choices=list(LIMITS), action="append", help="default: both")
    parser.add_argument("--size", type=int, action="append", help="presses of so many bytes "
                        "(default: 64)")
    arguments = parser.parse_args()
    row = bench_row()
    known = records()[-1]["costs"]
    wanted = list(itertools.product(arguments.what or LIMITS, arguments.method,
                                    arguments.size or SIZES[:1]))
    unknown = [name_of(*case) for case in wanted if name_of(*case) not in known]
    if unknown:
        parser.error(f"the record has no {unknown[0]}")
    overlays = [PL061, nodes(node("fast", 4, "debounce-interval = <0>"))]
    with Counted(row, OUT / "functions.serial.log", overlays=overlays, cpus=1, counting=True,
                 append=f"{APPEND} nokaslr", files=files_of(row)) as guest:
        guest.sh(BEGIN, SECONDS)
        places = Places(row, guest)
        if wanted:
            measure_presses(guest, places, wanted)
        else:
            measure_pairs(guest, places)
        guest.power_off()


if __name__ == "__main__":
    main()
