#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make bench: what a press costs in Rust and in C, in instructions; out/bench/bench.json.

An emulator that counts instructions runs the driver and its peer in one boot, in both orders. A
second boot must give the same figures: what differs is named, and the status is 1.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLONE = HERE.parent
sys.path[:0] = [str(CLONE / "scripts"), str(HERE), str(HERE / "e2e")]
sys.dont_write_bytecode = True

import initramfs  # noqa: E402
from guest import Log, kernel_command_line, merged_tree  # noqa: E402
from lab import PL061, node, nodes  # noqa: E402
from machine import busybox_of, machine_of  # noqa: E402
from programs import program_for_guest  # noqa: E402
from row import Row, RowError, table as kernels  # noqa: E402

OUT = CLONE / "out/bench"
RECORD = HERE / "bench/record.json"
# What may not grow unless the record does.
RECORDED = ["press", "press-shown", "pair", "text"]
RUST, PEER = "alloclab", "alloclab_peer"
SIZES = [64, 4 << 10, 64 << 10, 1 << 20]
# One instruction a nanosecond; while the guest waits, its clock runs ahead.
COUNTING = ["-icount", "shift=0,sleep=off,align=off", "-seed", "1",
            "-rtc", "base=2026-01-01,clock=vm"]
APPEND = "kunit.enable=0 dma_debug=off"
MEMORY_MB = 512
BOOT_SECONDS = 600
# As many as the lines that are shown, and more presses than that.
SHOWN_PAIRS, USED_UP = 40, 120
PAIRS = 100
BATCH = initramfs.COMMON + "sh /root/batch\npoweroff -f\n"
# The guest is never idle: when it waits, QEMU would run its clock ahead, not always by the same.
SCRIPT = """
nice -n 19 sh -c 'while :; do :; done' &
say() {{ echo "bench: $*" >/dev/kmsg; }}
press() {{ echo "$irq $1" >/sys/module/alloclab_bench/parameters/run; }}
# Bound anew, the limit of lines is too.
rebind() {{
    cd /sys/bus/platform/drivers/alloclab
    echo fast >unbind
    echo fast >bind
    cd /sys/kernel/debug/alloclab/fast
}}
measure() {{
    say load $1
    say took $(./load /root/$1.ko) || return
    irq=$(dmesg | tail -n 9 | sed -n 's/.*alloclab fast: ready: irq \\([0-9]*\\),.*/\\1/p')
    cd /sys/kernel/debug/alloclab/fast
    for method in $(tr -d '[]' <method); do
        [ $method != cycle ] || continue
        for size in {sizes}; do
            rebind
            echo $method >method
            echo $size >size || continue
            say press-shown $method $size
            press {shown_pairs}
            # Small ones, which take less time.
            echo 64 >size
            echo {used_up} >press
            echo $size >size
            say press $method $size
            press {pairs}
        done
    done 2>/dev/null
    cd /root
    rmmod $1
}}
chmod +x load
insmod alloclab_bench.ko
measure {rust}
measure {peer}
measure {peer}
measure {rust}
say pairs
insmod alloclab_pairs.ko
say end
"""
SAID = re.compile(r"^bench: (\S+) ?(.*)$")
COUNTED = re.compile(r"^alloclab_bench: (\d+) pairs, median (\d+), least (\d+)$")
PAIR = re.compile(r"^alloclab_pairs: pair (\w+) (\d+): rust (\d+) c (\d+)$")
SECTIONS = {"text": r"\.(text|init\.text|exit\.text)", "rodata": r"\.rodata", "data": r"\.data"}


class BenchError(Exception):
    """What keeps the figures from being had."""


def boot(row, out, number, files):
    """Run the script in a fresh guest; return the lines of its kernel log."""
    log = out / f"bench.{number}.serial.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    machine = machine_of(row)
    options = machine.options(MEMORY_MB, cpus=1)
    overlays = [PL061, nodes(node("fast", 4, "debounce-interval = <0>"))]
    with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
        directory = Path(directory)
        tree = merged_tree(options, overlays, directory)
        initramfs.build(directory / "initrd", BATCH, busybox_of(row), files)
        command = ["setpriv", "--pdeathsig", "KILL", *options, *COUNTING,
                   "-serial", f"file:{log}", "-serial", "null", "-kernel", str(row.image),
                   "-initrd", str(directory / "initrd"), "-dtb", str(tree), "-no-reboot",
                   "-append", kernel_command_line(machine, APPEND)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=BOOT_SECONDS,
                                  check=False)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"the guest has not ended in {BOOT_SECONDS} s, see {log}") from error
        if done.returncode:
            raise BenchError(f"QEMU: status {done.returncode}: {done.stdout}")
    return Log(log).lines()


def figures(lines):
    """What a boot has counted: (what, method, size) -> {rust: [counts], c: [counts]}."""
    found, side, key, ended = {}, None, None, False

    def note(key, side, count):
        found.setdefault(key, {"rust": [], "c": []})[side].append(count)

    for line in lines:
        said, counted, pair = SAID.match(line), COUNTED.match(line), PAIR.match(line)
        if said:
            what, words = said[1], said[2].split()
            ended = ended or what == "end"
            if what == "load":
                side, key = "rust" if words == [RUST] else "c", ("load", "", 0)
            elif what == "took":
                note(key, side, int(words[0]))
            elif what.startswith("press"):
                key = (what, words[0], int(words[1]))
        elif counted:
            # A pair is two presses.
            note(key, side, int(counted[2]) / 2)
        elif pair:
            key = ("pair", pair[1], int(pair[2]))
            note(key, "rust", int(pair[3]))
            note(key, "c", int(pair[4]))
    if not ended:
        raise BenchError("the guest's script did not come to its end")
    return found


def section_sizes(path):
    """The bytes of a module's sections by kind."""
    said = subprocess.run(["size", "-A", path], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    sizes = dict.fromkeys(SECTIONS, 0)
    for line in said.splitlines():
        words = line.split()
        for kind, name in SECTIONS.items():
            if len(words) == 3 and re.match(rf"{name}(\..*)?$", words[0]):
                sizes[kind] += int(words[1])
    return sizes


def entries(found, row):
    """The list that bench.json is."""
    nothing = found.pop(("pair", "nothing", 0))
    result = []
    for (what, method, size), sides in found.items():
        rust, c = (min(sides[side]) for side in ("rust", "c"))
        if what == "pair":
            # Less what counting costs.
            rust, c = rust - nothing["rust"][0], c - nothing["c"][0]
        result.append({"what": what, "method": method, "size": size, "rust": rust, "c": c})
    sizes = {name: section_sizes(row.product(f"{name}.ko")) for name in (RUST, PEER)}
    for kind in SECTIONS:
        result.append({"what": kind, "method": "", "size": 0,
                       "rust": sizes[RUST][kind], "c": sizes[PEER][kind]})
    for entry in result:
        entry["ratio"] = round(entry["rust"] / entry["c"], 4) if entry["c"] else None
    return result


def table(result):
    """Print the figures: a line for each method and size, then what the module costs."""
    whats = ["press", "press-shown", "pair"]
    by_place = {(entry["what"], entry["method"], entry["size"]): entry for entry in result}
    print(f"{'instructions':<20}" + "".join(f"{what:>28}" for what in whats))
    print(f"{'method':<12} {'bytes':>7}" + f"{'Rust':>11}{'C':>10}{'ratio':>7}" * len(whats))
    for method, size in dict.fromkeys((entry["method"], entry["size"]) for entry in result
                                      if entry["what"] in whats):
        line = f"{method:<12} {size:>7}"
        for what in whats:
            entry = by_place.get((what, method, size))
            line += (f"{entry['rust']:>11.9g}{entry['c']:>10.9g}{entry['ratio']:>7.3f}" if entry
                     else " " * 28)
        print(line.rstrip())
    for what in whats:
        ratios = {(entry["method"], entry["size"]): entry["ratio"] for entry in result
                  if entry["what"] == what}
        worst = max(ratios, key=ratios.get)
        print(f"{what}: mean ratio {sum(ratios.values()) / len(ratios):.3f}, highest "
              f"{ratios[worst]:.3f} ({worst[0]}, {worst[1]} bytes)")
    for what in ("load", *SECTIONS):
        entry = by_place[(what, "", 0)]
        unit = "instructions" if what == "load" else "bytes"
        print(f"{what}: {entry['rust']} {unit}, in C {entry['c']}")


def files_of(row):
    """What the guest of a row needs."""
    program = program_for_guest(HERE / "bench/load.c", machine_of(row).tools)
    files = {f"root/{name}.ko": row.product(f"{name}.ko")
             for name in (RUST, PEER, "alloclab_bench", "alloclab_pairs")}
    return files | {"root/load": program, "root/batch": SCRIPT.format(
        sizes=" ".join(map(str, SIZES)), used_up=USED_UP, pairs=PAIRS,
        shown_pairs=SHOWN_PAIRS, rust=RUST, peer=PEER)}


def surroundings(row):
    """What the counts depend on beside the driver."""
    def first_line(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.splitlines()[0]

    machine = machine_of(row)
    config = (row.build / ".config").read_bytes()
    return {"kernel": row.version, "configuration": hashlib.sha256(config).hexdigest()[:12],
            "rustc": first_line("rustc", "--version"),
            "compiler": first_line(f"{machine.tools}gcc", "--version"),
            "qemu": first_line(machine.qemu[0], "--version")}


def costs(result):
    """What the record keeps of the figures, of both drivers."""
    return {" ".join(filter(None, [entry["what"], entry["method"], str(entry["size"] or "")])):
            [entry["rust"], entry["c"]] for entry in result if entry["what"] in RECORDED}


def write_record(row, result, reason):
    """Write the record anew, and print what has changed in it."""
    old = json.loads(RECORD.read_text(encoding="utf-8"))["costs"] if RECORD.is_file() else {}
    new = costs(result)
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            print(f"record: {name}: {old.get(name)} before, {new.get(name)} now")
    RECORD.write_text(json.dumps({"reason": reason, "surroundings": surroundings(row),
                                  "costs": new}, indent=1) + "\n", encoding="utf-8")


def main():
    """Measure twice, compare, write and print."""
    parser = argparse.ArgumentParser(description="The main job of make bench.")
    parser.add_argument("--record", metavar="REASON",
                        help="write tests/bench/record.json anew, for this reason")
    arguments = parser.parse_args()
    try:
        # The one on which make test compares with the record.
        row = Row.find(next(entry.name for entry in kernels().values() if "bench" in entry.test))
        files = files_of(row)
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda number: figures(boot(row, OUT, number, files)), (1, 2))
        differing = [key for key in first.keys() | second.keys()
                     if first.get(key) != second.get(key)]
        result = entries(first, row)
    except (BenchError, RowError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    (OUT / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table(result)
    for key in sorted(differing):
        print(f"differs between two boots: {' '.join(map(str, key))}: "
              f"{first.get(key)} and {second.get(key)}")
    if arguments.record and not differing:
        write_record(row, result, arguments.record)
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
