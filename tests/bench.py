#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make bench: what a press costs in Rust and in C, in instructions; out/bench/bench.json.

An emulator that counts instructions runs the driver and its peer in one boot, in both orders.
Another boot binds many buttons. A second boot of each must give the same figures. What differs, and
what costs more than it may, is named, and the status is 1. The last boot is of a kernel that
inlines the helpers of the kernel crate; its figures are only shown.
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
sys.path[:0] = [str(CLONE / "scripts"), str(HERE), str(HERE / "e2e"), str(HERE / "torture")]
sys.dont_write_bytecode = True

from detectors import complaints  # noqa: E402
from guest import initramfs, qemu  # noqa: E402
from guest.log import Log  # noqa: E402
from guest.machine import machine_of  # noqa: E402
from guest.row import Row, RowError, table as kernels  # noqa: E402
from lab import PL061, bank, node, nodes  # noqa: E402
from programs import program_for_guest  # noqa: E402

OUT = CLONE / "out/bench"
RECORD = HERE / "bench/record.json"
# The row whose kernel inlines helpers.
INLINE = "inline"
# What a press may cost in Rust where it costs 1 in C: the mean over methods and sizes, and each.
LIMITS = {"press": (1.02, 1.05), "press-shown": (1.02, 1.05)}
# What the bare pair of a method that is the C function itself may.
LIMIT_RAW = 1.01
# So much more of a press may be beyond C when more buttons are bound or more pages asked for: what
# an allocator costs then, it costs both. A list has more allocations, not more pages.
LIMIT_FLAT = 0.02
NOT_OF_PAGES = ["list"]
# What may not grow unless the record does.
RECORDED = ["press", "press-shown", "pair", "text"]
# What a configuration says of versions. Those of rustc and of the compiler are compared by
# themselves; those of other tools cost no press anything.
TOOLS = re.compile(rb"^CONFIG_\w+_VERSION(_TEXT)?=.*\n", re.MULTILINE)
RUST, PEER = "alloclab", "alloclab_peer"
SIZES = [64, 4 << 10, 64 << 10, 1 << 20]
BUTTONS = 64
MANY = f"press-{BUTTONS}-buttons"
MANY_METHODS = ["kmalloc", "raw_kmalloc", "vmalloc", "coherent", "list"]
APPEND = "kunit.enable=0 dma_debug=off"
BOOT_SECONDS = 600
# As many as the lines that are shown, and more presses than that.
SHOWN_PAIRS, USED_UP = 40, 120
PAIRS = 100
BATCH = initramfs.COMMON + "sh /root/batch\npoweroff -f\n"
FUNCTIONS = """
say() {{ echo "bench: $*" >/dev/kmsg; }}
press() {{ echo "$irq $1" >/sys/module/alloclab_bench/parameters/run; }}
load_driver() {{
    say load $1
    say took $(./load /root/$1.ko) || return
    irq=$(dmesg | sed -n 's/.*alloclab fast: ready: irq \\([0-9]*\\),.*/\\1/p' | tail -n 1)
    cd /sys/kernel/debug/alloclab/fast
}}
# Bound anew, the limit of lines is too.
set_anew() {{
    cd /sys/bus/platform/drivers/alloclab
    echo fast >unbind
    echo fast >bind
    cd /sys/kernel/debug/alloclab/fast
    echo $1 >method
    echo $2 >size
}}
# With small ones, which take less time.
drop_lines() {{
    echo 64 >size
    echo {used_up} >press
    echo $1 >size
}}
unload_driver() {{
    cd /root
    rmmod $1
}}
"""
BEGIN = """chmod +x load
insmod alloclab_bench.ko
"""
SCRIPT = FUNCTIONS + BEGIN + """
measure() {{
    load_driver $1 || return
    for method in $(tr -d '[]' <method); do
        [ $method != cycle ] || continue
        for size in {sizes}; do
            set_anew $method $size || continue
            say press-shown $method $size
            press {shown_pairs}
            drop_lines $size
            say press $method $size
            press {pairs}
        done
    done 2>/dev/null
    unload_driver $1
}}
measure {rust}
measure {peer}
measure {peer}
measure {rust}
say pairs
insmod alloclab_pairs.ko
say end
"""
# The buttons bound beside the one that is pressed; then the methods of which that is measured.
MANY_SCRIPT = FUNCTIONS + BEGIN + """
measure() {{
    load_driver $1 || return
    say bound $(ls -d ../* | wc -l)
    for method in {many_methods}; do
        set_anew $method 64
        drop_lines 64
        say {many} $method 64
        press {pairs}
    done
    unload_driver $1
}}
measure {rust}
measure {peer}
say end
"""
SAID = re.compile(r"^bench: (\S+) ?(.*)$")
COUNTED = re.compile(r"^alloclab_bench: (\d+) pairs, median (\d+), least (\d+)$")
PAIR = re.compile(r"^alloclab_pairs: pair (\w+) (\d+): rust (\d+) c (\d+)$")
SECTIONS = {"text": r"\.(text|init\.text|exit\.text)", "rodata": r"\.rodata", "data": r"\.data"}


class BenchError(Exception):
    """What keeps the figures from being had."""


def boot(row, out, name, files, buttons=2):
    """Run the script in a fresh guest; return the lines of its kernel log. The button of PL061 and
    the one that is pressed are always there.
    """
    log = out / f"bench.{name}.serial.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    others = [node(f"sim{line}", line, parent="sim") for line in range(buttons - 2)]
    overlays = [PL061, nodes(node("fast", 4, "debounce-interval = <0>"),
                             *([bank(len(others)), *others] if others else []))]
    with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
        command = qemu.command_line(
            row, Path(directory), BATCH, files, [qemu.to_file(log), "null"], overlays=overlays,
            cpus=1, append=qemu.strict(row, APPEND)) + qemu.COUNTING
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=BOOT_SECONDS,
                                  check=False)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"the guest has not ended in {BOOT_SECONDS} s, see {log}") from error
        if done.returncode:
            raise BenchError(f"QEMU: status {done.returncode}: {done.stdout}")
    lines = Log(log).lines()
    said = complaints(lines)
    if said:
        raise BenchError("\n".join([f"the kernel complains, see {log}:", *said]))
    return lines


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
            elif what == "bound" and words != [str(BUTTONS)]:
                raise BenchError(f"{words[0]} buttons were bound, not {BUTTONS}")
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


def name_of(what, method, size):
    """What the record calls a figure."""
    return " ".join(filter(None, [what, method, str(size or "")]))


def entries(found, row):
    """The list that bench.json is; not in it is what only one side has, see missing()."""
    nothing = found.get(("pair", "nothing", 0))
    result = []
    for (what, method, size), sides in found.items():
        if not all(sides.values()):
            continue
        rust, c = (min(sides[side]) for side in ("rust", "c"))
        if what == "pair":
            if method == "nothing":
                continue
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


def missing(found):
    """What only one side has, and what the newest record has and neither side, a line each."""
    lacking = [f"{name_of(*key)}: there is none in {'C' if sides['rust'] else 'Rust'}"
               for key, sides in found.items() if not all(sides.values())]
    known = {name_of(*key) for key in found} | SECTIONS.keys()
    return lacking + [f"{name}: not measured, the record has it"
                      for record in records()[-1:] for name in record["costs"] if name not in known]


def table(result):
    """Print the figures: a line for each method and size, then what the module costs."""
    whats = ["press", "press-shown", "pair"]
    by_place = {(entry["what"], entry["method"], entry["size"]): entry for entry in result}
    print(f"{'instructions':<20}" + "".join(f"{what:>29}" for what in whats))
    print(f"{'method':<12} {'bytes':>7}" + f"{'Rust':>11}{'C':>11}{'ratio':>7}" * len(whats))
    for method, size in dict.fromkeys((entry["method"], entry["size"]) for entry in result
                                      if entry["what"] in whats):
        line = f"{method:<12} {size:>7}"
        for what in whats:
            entry = by_place.get((what, method, size))
            line += (f"{entry['rust']:>11.9g}{entry['c']:>11.9g}{entry['ratio']:>7.3f}" if entry
                     else " " * 29)
        print(line.rstrip())
    for what in whats:
        ratios = {(entry["method"], entry["size"]): entry["ratio"] for entry in result
                  if entry["what"] == what}
        worst = max(ratios, key=ratios.get)
        print(f"{what}: mean ratio {sum(ratios.values()) / len(ratios):.3f}, highest "
              f"{ratios[worst]:.3f} ({worst[0]}, {worst[1]} bytes)")
    for entry in result:
        if entry["what"] == MANY:
            print(f"{MANY}: {entry['method']}, {entry['size']} bytes: {entry['rust']:.9g}, in C "
                  f"{entry['c']:.9g}")
    for what in ("load", *SECTIONS):
        entry = by_place[(what, "", 0)]
        unit = "instructions" if what == "load" else "bytes"
        print(f"{what}: {entry['rust']} {unit}, in C {entry['c']}")


def bench_row():
    """The row on which make test compares with the record."""
    return Row.find(next(entry.name for entry in kernels().values() if "bench" in entry.test))


def exceeded(result):
    """What costs more than it may, a line each."""
    found = []
    by_place = {(entry["what"], entry["method"], entry["size"]): entry for entry in result}
    # Of each method the press of the least size.
    least = {entry["method"]: entry for entry in reversed(result) if entry["what"] == "press"}
    for what, (mean, most) in LIMITS.items():
        ratios = {place: entry["ratio"] for place, entry in by_place.items() if place[0] == what}
        if sum(ratios.values()) / len(ratios) > mean:
            found.append(f"{what}: the mean ratio is above {mean}")
        found += [f"{' '.join(map(str, place))}: {ratio} is above {most}"
                  for place, ratio in ratios.items() if ratio > most]
    for (what, method, size), entry in by_place.items():
        if what == "pair" and method.startswith("raw_") and entry["ratio"] > LIMIT_RAW:
            found.append(f"pair {method} {size}: {entry['ratio']} is above {LIMIT_RAW}")
        if what == MANY or what == "press" and method not in NOT_OF_PAGES:
            first = least[method]
            beyond = entry["rust"] - entry["c"] - (first["rust"] - first["c"])
            if abs(beyond) > LIMIT_FLAT * entry["rust"]:
                found.append(f"{what} {method} {size}: {beyond} more beyond C than in a press of "
                             f"{first['size']} bytes")
    return found


def files_of(row, script=SCRIPT):
    """What the guest of a row needs."""
    program = program_for_guest(HERE / "guest/load.c", machine_of(row).tools)
    files = {f"root/{name}.ko": row.product(f"{name}.ko")
             for name in (RUST, PEER, "alloclab_bench", "alloclab_pairs")}
    return files | {"root/load": program, "root/batch": script.format(
        sizes=" ".join(map(str, SIZES)), used_up=USED_UP, pairs=PAIRS, many=MANY,
        many_methods=" ".join(MANY_METHODS), shown_pairs=SHOWN_PAIRS, rust=RUST, peer=PEER)}


def surroundings(row):
    """What the counts depend on beside the driver."""
    def first_line(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.splitlines()[0]

    machine = machine_of(row)
    config = TOOLS.sub(b"", (row.build / ".config").read_bytes())
    return {"kernel": row.version, "configuration": hashlib.sha256(config).hexdigest()[:12],
            "rustc": first_line("rustc", "--version"),
            "compiler": first_line(f"{machine.tools}gcc", "--version"),
            "qemu": first_line(machine.qemu[0], "--version")}


def costs(result):
    """What the record keeps of the figures, of both drivers."""
    return {name_of(entry["what"], entry["method"], entry["size"]): [entry["rust"], entry["c"]]
            for entry in result if entry["what"] in RECORDED}


def records():
    """The records, one for each surroundings."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else []


def others(here):
    """In what each record's surroundings are not these: name -> value of these."""
    return [{name: value for name, value in here.items() if record["surroundings"][name] != value}
            for record in records()]


def record_of(row):
    """The record of a row's surroundings; None where there is none."""
    here = surroundings(row)
    return next((record for record in records() if record["surroundings"] == here), None)


def write_record(row, result, reason):
    """Write the record of these surroundings beside the others, and print what it is compared with
    the one before: that of the same surroundings, or else the newest.
    """
    here = surroundings(row)
    known = records()
    kept = [record for record in known if record["surroundings"] != here]
    before = record_of(row) or (kept[-1] if kept else {"surroundings": {}, "costs": {}})
    old, new = before["costs"], costs(result)
    for name, value in here.items():
        if before["surroundings"].get(name) != value:
            print(f"record: {name}: {before['surroundings'].get(name)} before, {value} now")
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            print(f"record: {name}: {old.get(name)} before, {new.get(name)} now")
    kept.append({"reason": reason, "surroundings": here, "costs": new})
    RECORD.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def measure(row, out, name="", script=SCRIPT, buttons=2):
    """Have two boots count; return (the figures of the first, what differs in the other)."""
    files = files_of(row, script)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda number: figures(boot(
            row, out, f"{row.name}.{name}{number}", files, buttons)), (1, 2))
    return first, [f"differs between two boots: {' '.join(map(str, key))}: {first.get(key)} and "
                   f"{second.get(key)}" for key in sorted(first.keys() | second.keys())
                   if first.get(key) != second.get(key)]


def measure_many(row, out):
    """The same with many buttons bound."""
    found, wrong = measure(row, out, "many.", MANY_SCRIPT, BUTTONS)
    return {key: sides for key, sides in found.items() if key[0] == MANY}, wrong


def main():
    """Measure, compare, write and print."""
    parser = argparse.ArgumentParser(description="The main job of make bench.")
    parser.add_argument("--record", metavar="REASON",
                        help="write the record of these surroundings in tests/bench/record.json "
                             "anew, for this reason, and no more")
    arguments = parser.parse_args()
    try:
        row = bench_row()
        found, wrong = measure(row, OUT)
        if arguments.record:
            if not wrong:
                write_record(row, entries(found, row), arguments.record)
        else:
            many, differs = measure_many(row, OUT)
            found |= many
            wrong += differs + missing(found)
            result = entries(found, row)
            (OUT / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
            table(result)
            wrong += exceeded(result)
            inline = Row.find(INLINE)
            inlined = entries(figures(boot(inline, OUT, INLINE, files_of(inline))), inline)
            (OUT / "bench.inline.json").write_text(json.dumps(inlined, indent=1) + "\n")
            print("\nWith helpers of the kernel crate inlined (RUST_INLINE_HELPERS), by clang:")
            table(inlined)
    except (BenchError, RowError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    for line in wrong:
        print(f"bench: {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
