# SPDX-License-Identifier: GPL-2.0
"""Malformed nodes, the product of properties and nonsense: what each is told, what is left."""

import re
from typing import NamedTuple, Optional, Sequence

import pytest

from guest.events import PREFIX, READY
from lab import CHIP, DEBUGFS, DRIVER, PL061, PROBE_FAILED, Boot, Button, Lab, bank, nodes

ENXIO, EBUSY, EINVAL = 6, 16, 22
SIM_LINES = 32
# For all nodes, on the debug kernel.
SECONDS = 180
# No method takes more bytes than the guest has.
MEMORY_MIB = 1024
HUGE = 20_000
# As rust/property.rs shows values.
SHOWN_STRING, SHOWN_BYTES = 64, 16
# At most so much is logged for a node that is refused, by the driver and by the driver core.
NODE_LINES, NODE_BYTES = 2, 1000
# The kernel's own complaint of a line that a controller does not have, and its way to go on with
# a line that it interrupted.
BEYOND = r"^WARNING: kernel/irq/irqdomain\.c:\d+ at irq_domain_associate"
REPLAYED = "** replaying previous printk message **"

# Property -> a value that would be right, if it is a string.
STRINGS = {"alloclab,method": b"kmalloc", "alloclab,gfp": b"atomic",
           "alloclab,context": b"thread", "label": b"door"}
CELLS = ["debounce-interval", "alloclab,size"]
ALLOWED = {"alloclab,method": "allowed are cycle, kmalloc", "alloclab,gfp": "one of kernel",
           "alloclab,context": "thread, hard", "label": "1 to 64 printable ASCII",
           "debounce-interval": "one 32-bit cell", "alloclab,size": "one 32-bit cell"}


def nonsense(word):
    """Values, most of them wrong for every property: name -> bytes. `word` would be right."""
    return {
        "empty": b"",
        "cell": bytes([0, 0, 0, 5]),
        "zero": bytes(4),
        "ones": b"\xff" * 4,
        "minus5": b"\xff\xff\xff\xfb",
        "cells": bytes(7) + b"\x05",
        "byte": b"\x05",
        "bytes": b"\x00\x00\x05",
        "word3": b"abc\0",
        "text": b"5\0",
        "nothing": b"\0",
        "list": word + b"\0" + word + b"\0",
        "nul": word + b"\0nonsense\0",
        "noend": word,
        "latin1": b"caf\xe9\0",
        "noutf8": b"\xff\xfe\xc0\x80\0",
        "control": b"\x1b[2J\r\n<0>alloclab button: ready: \x07\0",
        "upper": word.upper() + b"\0",
        "space": word + b" \0",
        "quotes": b"\"'\\%s%n\0",
        "longtext": b"a" * HUGE + b"\0",
        "long": bytes(HUGE),
    }


def hexadecimal(value):
    """Bytes as dtc reads them."""
    return f"[{value.hex(' ')}]"


def text_of(value):
    """The string that the value is; None where it is not exactly one."""
    return value[:-1] if value[-1:] == b"\0" and b"\0" not in value[:-1] else None


def shown(value):
    """How a message shows a value: printable, and of a long one the beginning."""
    text = text_of(value)
    if text is None:
        begin = f"[{value[:SHOWN_BYTES].hex(' ')}]"
        rest = len(value) > SHOWN_BYTES
    else:
        escapes = {9: r"\t", 10: r"\n", 13: r"\r"}
        begin = '"' + "".join(
            chr(byte) if 32 <= byte < 127 else escapes.get(byte, f"\\x{byte:02x}")
            for byte in text[:SHOWN_STRING]) + '"'
        rest = len(text) > SHOWN_STRING
    return f"{begin}... ({len(value)} bytes)" if rest else begin


def verdict(name, value):
    """What a property's value leads to: None if it is right, else (shown, allowed)."""
    text = text_of(value)
    if name in CELLS:
        if len(value) != 4:
            return shown(value), ALLOWED[name]
        number = int.from_bytes(value, "big")
        if name == "alloclab,size" and not 1 <= number <= MEMORY_MIB << 20:
            return str(number), "every method refuses it"
        return None
    if name == "label":
        right = text and len(text) <= 64 and all(32 <= byte < 127 for byte in text)
    else:
        right = text == STRINGS[name]
    return None if right else (shown(value), ALLOWED[name])


OURS = 'compatible = "alloclab,button"'
ON_GPIO = "interrupt-parent = <&gpio>"
ON_SIM = "interrupt-parent = <&sim>"
CANNOT = r"irq \d+ cannot be had: "


class Node(NamedTuple):
    """A node, and what has to come of it: bound, refused with a message, or neither."""

    name: str
    properties: Sequence[str]
    bound: bool = False
    error: Optional[int] = None     # of the probe; None: it is not even tried
    message: Sequence[str] = ()     # patterns: how it begins, what it has after that
    line: Optional[int] = None      # of the simulated controller

    def body(self):
        """The node for an overlay."""
        return f"{self.name} {{ " + " ".join(f"{entry};" for entry in self.properties) + " }"


def good(name, *properties, line=None, compatible=OURS):
    """A node that has to be bound; on a line of the simulated controller, if one is named."""
    where = [] if line is None else [ON_SIM, f"interrupts = <{line} 2>"]
    return Node(name, [compatible, *where, *properties], bound=True, line=line)


def bad(name, *properties, error, message):
    """A node that has to be refused."""
    return Node(name, [OURS, *properties], error=error, message=message)


def ignored(name, *properties):
    """A node that is none of ours."""
    return Node(name, [ON_GPIO, "interrupts = <4 2>", *properties])


def product():
    """A node for each property with each nonsense; those that are right get a line each."""
    for name in [*STRINGS, *CELLS]:
        for what, value in nonsense(STRINGS.get(name, b"65536")).items():
            short = name.removeprefix("alloclab,").split("-", maxsplit=1)[0]
            entry = f"{name} = {hexadecimal(value)}" if value else name
            wrong = verdict(name, value)
            if wrong:
                told = [re.escape(f"{name}: {wrong[0]} is not valid: "), wrong[1]]
                yield bad(f"{short}-{what}", ON_GPIO, "interrupts = <4 2>", entry,
                          error=EINVAL, message=told)
            else:
                yield good(f"{short}-{what}", entry, line=next(LINES))


def interrupts():
    """Nodes whose interrupt is nonsense: name of the property, value as dtc reads it."""
    for what, value, told in [
            ("empty", None, "[]"), ("byte", "[04]", "[04]"), ("text", '"4"', '"4"'),
            ("cell", "<4>", "[00 00 00 04]"),
            ("beyond", "<8 2>", "[00 00 00 08 00 00 00 02]"),
            ("noutf8", "[ff fe c0 80 ff fe c0 80]", "[ff fe c0 80 ff fe c0 80]")]:
        entry = "interrupts" if value is None else f"interrupts = {value}"
        yield bad(f"irq-{what}", ON_GPIO, entry, error=ENXIO, message=[
            re.escape(f"interrupts: {told} is not valid (ENXIO): "), "one interrupt of"])
    for what, value, told in [
            ("empty", None, r"\[\]"), ("byte", "[01]", r"\[01\]"), ("text", '"gpio"', '"gpio"'),
            ("phandle", "<&gpio>", r"\[00 00 .. ..\]"),
            ("cell", "<&gpio 4>", r"\[.{12}00 00 00 04\]"),
            ("nowhere", "<0xdead 4 2>", r"\[00 00 de ad .*\]"),
            ("zero", "<0 4 2>", r"\[00 00 00 00 .*\]"),
            ("ones", "<0xffffffff 4 2>", r"\[ff ff ff ff .*\]"),
            ("beyond", "<&gpio 8 2>", r"\[.{12}00 00 00 08 00 00 00 02\]"),
            ("other", "<&other 4 2>", r"\[00 00 .*\]"),
            ("long", hexadecimal(bytes(HUGE)), rf"\[(00 ){{15}}00\]\.\.\. \({HUGE} bytes\)")]:
        entry = "interrupts-extended" + (f" = {value}" if value else "")
        yield bad(f"ext-{what}", entry, error=ENXIO, message=[
            rf"interrupts-extended: {told} is not valid \(ENXIO\): ", "one interrupt"])
    for what, value, told in [
            ("nowhere", "<0xdead>", r"\[00 00 de ad\]"), ("zero", "<0>", r"\[00 00 00 00\]"),
            ("ones", "<0xffffffff>", r"\[ff ff ff ff\]"), ("empty", None, r"\[\]"),
            ("text", '"gpio"', '"gpio"'), ("byte", "[01]", r"\[01\]"),
            ("other", "<&other>", r"\[00 00 .. ..\]")]:
        entry = "interrupt-parent" + (f" = {value}" if value else "")
        yield bad(f"parent-{what}", entry, "interrupts = <4 2>", error=ENXIO, message=[
            r"interrupts: \[00 00 00 04 00 00 00 02\] is not valid \(ENXIO\): ",
            f"one interrupt of interrupt-parent, {told}"])
    for what, value, told in [("both", "<4 3>", "both edges"), ("high", "<4 4>", "high level"),
                              ("low", "<4 8>", "low level"), ("five", "<4 5>", "several triggers"),
                              ("ones", "<0xffffffff 0xffffffff>", "several triggers")]:
        yield bad(f"trigger-{what}", ON_GPIO, f"interrupts = {value}", error=EINVAL, message=[
            rf"interrupts: \[.*\] is not valid \({told}\): ",
            "^allowed are a falling edge, 2, and a rising edge, 1$"])
    yield bad("irq-none", ON_GPIO, error=ENXIO, message=["interrupts: missing", "one, here or in"])


# Of the machine's own controller, which is the parent where nothing else is said: it has three
# cells and no falling edges, and most of its lines are others', with another trigger.
FOREIGN = [
    bad("gic-two", "interrupts = <4 2>", error=ENXIO, message=[
        r"interrupts: \[00 00 00 04 00 00 00 02\] is not valid \(ENXIO\): ", "of the parent$"]),
    bad("gic-kind", "interrupts = <9 1 4>", error=ENXIO, message=[
        r"interrupts: \[00 00 00 09 .*\] is not valid \(ENXIO\): ", "of the parent$"]),
    bad("gic-edge", "interrupts = <0 50 2>", error=EINVAL, message=[f"interrupts: {CANNOT}EINVAL"]),
    bad("gic-beyond", "interrupts = <0 5000 2>", error=EINVAL,
        message=[f"interrupts: {CANNOT}EINVAL"]),
    bad("gic-level", "interrupts = <0 51 4>", error=EINVAL, message=[
        r"interrupts: \[.*\] is not valid \(high level\): ", "falling edge, 2"]),
    bad("gic-taken", "interrupts = <0 1 1>", error=EINVAL, message=[
        r"interrupts: \[.*\] is not valid \(the node says rising edge, irq \d+ has high level "
        r"already\): ", "one edge, the same in both"]),
    # The neighbour has this line: it comes first, as the last node of the tree is the first.
    bad("duplicate", ON_GPIO, "interrupts = <6 2>", error=EBUSY,
        message=[f"interrupts: {CANNOT}EBUSY"]),
]

# What the kernel does not take for a device of ours.
IGNORED = [
    ignored("compatible-none"), ignored("compatible-empty", "compatible"),
    ignored("compatible-cell", "compatible = <5>"),
    ignored("compatible-nothing", 'compatible = ""'),
    ignored("compatible-unknown", 'compatible = "alloclab,knob"'),
    ignored("compatible-longer", 'compatible = "alloclab,button2"'),
    ignored("compatible-noutf8", "compatible = [ff fe c0 80 00]"),
    *(ignored(f"status-{what}", OURS, f"status{value}") for what, value in [
        ("empty", ""), ("nothing", ' = ""'), ("disabled", ' = "disabled"'), ("fail", ' = "fail"'),
        ("upper", ' = "OKAY"'), ("cell", " = <1>"), ("noutf8", " = [ff fe 00]")])]

LINES = iter(range(SIM_LINES))
NODES = [
    *product(), *interrupts(), *FOREIGN, *IGNORED,
    # Odd, and right all the same: what comes after the first interrupt, a rising edge, no trigger,
    # a second name, names without regard to case.
    good("irq-three", ON_GPIO, "interrupts = <1 2 1>"),
    good("irq-trigger", ON_GPIO, "interrupts = <2 1>"),
    good("irq-long", ON_GPIO, f"interrupts = {hexadecimal(bytes(HUGE))}"),
    good("compatible-second", line=next(LINES),
         compatible='compatible = "alloclab,knob", "alloclab,button"'),
    good("compatible-upper", line=next(LINES), compatible='compatible = "ALLOCLAB,BUTTON"'),
    good("compatible-nul", line=next(LINES),
         compatible=f"compatible = {hexadecimal(b'alloclab,button' + bytes(4))}"),
    good("status-ok", 'status = "ok"', line=next(LINES)),
    good("label-longest", f'label = "{"x" * 64}"', line=next(LINES)),
    good("size-one", "alloclab,size = <1>", line=next(LINES)),
    # On the line that most of those name that are refused, and on the duplicate's.
    good("neighbour", ON_GPIO, "interrupts = <4 2>"),
    good("original", ON_GPIO, "interrupts = <6 2>"),
]
# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"debug": 72}
BOOT = Boot("nodes", memory=MEMORY_MIB, overlays=[PL061, nodes(
    bank(SIM_LINES), "other: other { }", *(node.body() for node in NODES))])
BAD = [node for node in NODES if node.message]
GOOD = [node for node in NODES if node.bound]


def said_by_node(guest, start):
    """What was logged of each device, as {name: [text]}, after a look at its bytes."""
    lines = guest.log_since(start)
    said = {}
    for line, after in zip(lines, [*lines[1:], ""]):
        match = PREFIX.match(line)
        if match and after != REPLAYED:
            assert re.fullmatch("[ -~]*", line), line
            said.setdefault(match["device"], []).append(match["text"])
    return said


def misled(node, texts):
    """What is wrong with what was said of a node that is refused."""
    first, rest = texts[:1], texts[1:]
    match = first and re.match(node.message[0], first[0])
    if not match or not all(re.search(pattern, first[0][match.end():])
                            for pattern in node.message[1:]):
        return f"should say {node.message}"
    # The driver core takes ENXIO for "not my device" and says nothing more.
    failed = [PROBE_FAILED.match(text) for text in rest]
    if [match and int(match[1]) for match in failed] != \
            ([] if node.error == ENXIO else [node.error]):
        return f"should fail with {node.error}"
    if len(texts) > NODE_LINES or sum(map(len, texts)) > NODE_BYTES:
        return "says too much"
    return None


def wrong(said):
    """All that is wrong with what was said of the nodes that are refused."""
    found = {node.name: (misled(node, said.get(node.name, [])), said.get(node.name))
             for node in BAD}
    return {name: what for name, what in found.items() if what[0]}


@pytest.fixture(scope="module", name="loaded")
def fixture_loaded(module_guest):
    """The module, loaded beside all these nodes; what was said of each."""
    guest = module_guest
    guest.expected.append(BEYOND)
    lab = Lab(guest)
    guest.sh("insmod /root/alloclab.ko", SECONDS)
    # The simulated controller may come last.
    names = " ".join(node.name for node in GOOD)
    guest.sh(f"cd {DRIVER}; for tries in $(seq 100); do ls -d {names} >/dev/null 2>&1 && exit; "
             f"usleep 100000; done; ls -d {names}", SECONDS)
    yield lab, said_by_node(guest, lab.start)
    guest.sh("rmmod alloclab", SECONDS)
    lab.finish()


def test_each_node_gets_what_it_deserves(loaded, count):
    lab, said = loaded
    assert len(NODES) - len(GOOD) >= 60 and len({node.name for node in NODES}) == len(NODES)
    assert wrong(said) == {}
    assert not {node.name for node in IGNORED} & said.keys()
    names = {node.name for node in GOOD} | {"button"}
    for name in names:
        assert READY.match(said[name][-1].partition(", label ")[0]), said[name]
    # What is refused has neither device data, nor files, nor an interrupt, nor a cache.
    bound, files, numbers = lab.guest.sh(
        f"cd {DRIVER}; ls -d */ | grep -v module; echo ,; ls {DEBUGFS}; echo ,; "
        "grep -c 'alloclab$' /proc/interrupts; grep -c ^alloclab- /proc/slabinfo").split(",")
    assert set(bound.replace("/", "").split()) == set(files.split()) == names
    assert [int(number) for number in numbers.split()] == [len(names)] * 2
    count("inputs", len(NODES))


def test_good_nodes_beside_them_work(loaded):
    lab, _ = loaded
    sim = [node for node in GOOD if node.line is not None]
    lines = " ".join(str(node.line) for node in sim)
    others = " ".join(node.name for node in GOOD if node.line is None)
    lab.guest.sh(f"cd {CHIP}; for line in {lines}; do for pull in up down; do "
                 "echo pull-$pull >sim_gpio$line/pull || exit; done; done; "
                 f"cd {DEBUGFS}; for name in {others}; do echo 1 >$name/press; done", SECONDS)
    assert lab.button().press().what == "allocated"
    # The edges on the simulated lines have been carried out by now, or are soon.
    for node in sim:
        assert Button(lab, node.name).wait_counter("presses", 1) == 1, node.name
    names = " ".join(node.name for node in GOOD)
    stats = lab.guest.sh(f"cd {DEBUGFS}; for name in {names}; do echo 1 >$name/press; "
                         "grep -e ^presses -e ^allocs -e ^frees -e ^bytes_held $name/stats; done",
                         SECONDS)
    assert stats == "presses: 2\nallocs: 1\nfrees: 1\nbytes_held: 0\n" * len(GOOD)


def test_good_nodes_can_be_bound_again(loaded):
    lab, said = loaded
    start = lab.guest.mark()
    names = " ".join(node.name for node in GOOD)
    for action in ("unbind", "bind"):
        lab.guest.sh(f"cd {DRIVER}; for name in {names}; do echo $name >{action} || exit; done",
                     SECONDS)
    assert said_by_node(lab.guest, start) == {node.name: said[node.name] for node in GOOD}


def test_binding_again_says_the_same(loaded):
    lab, said = loaded
    start = lab.guest.mark()
    names = " ".join(node.name for node in BAD)
    assert lab.guest.sh(f"cd {DRIVER}; for name in {names}; do echo $name 2>/dev/null >bind && "
                        "echo $name; done; true", SECONDS) == ""
    assert said_by_node(lab.guest, start) == {node.name: said[node.name] for node in BAD}
