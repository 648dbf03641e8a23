# SPDX-License-Identifier: GPL-2.0
"""The driver's lines in the kernel log, exactly as they are specified."""

import re
from typing import NamedTuple, Optional

# Of a pointer, 8 digits where it has 32 bits; a DMA address always has 16.
ADDRESS = r"(?:[0-9a-f]{16}|[0-9a-f]{8})"
DMA = r"0x[0-9a-f]{16}"
# For what something was allocated, or was to be.
WHY = r"(?:press (?P<press>\d+)|probe)"
PREFIX = re.compile(r"^alloclab(?:_usb)? (?P<device>[^ ]+): (?P<text>.*)$")
READY = re.compile(r"^ready: irq (?P<irq>\d+)(?P<nested> \(nested\))?, "
                   r"debounce (?P<debounce>\d+) ms, method (?P<method>\S+)$")
ALLOCATED = re.compile(
    rf"^(?P<method>[a-z0-9_]+): allocated (?P<bytes>\d+) bytes at (?P<address>{ADDRESS})"
    rf"(?:, dma (?P<dma>{DMA}),)? in (?P<ns>\d+) ns \({WHY}\)"
    r"(?:, (?P<pages>\d+) pages in (?P<runs>\d+) runs)?$")
FREED = re.compile(
    rf"^(?P<method>[a-z0-9_]+): freed (?P<bytes>\d+) bytes at (?P<address>{ADDRESS}) "
    r"in (?P<ns>\d+) ns \((?:press (?P<press>\d+)|unbind)\)$")
LEFT = re.compile(
    rf"^(?P<method>[a-z0-9_]+): left (?P<bytes>\d+) bytes at (?P<address>{ADDRESS}) "
    r"to the device, which frees it \(unbind\)$")
FAILURE = re.compile(
    r"^(?P<method>[a-z0-9_]+): allocation of (?P<bytes>\d+) bytes failed: "
    rf"(?P<error>E[A-Z0-9]+) \({WHY}\)"
    r"(?:, not tried: at most \d+ bytes now)?$")
# What follows the line of an allocation, by method.
REMARKS = {
    "krealloc": r"grew in (?P<steps>\d+) steps and moved (?P<moves>\d+) times, content kept",
    "kvmalloc": r"got (?P<got>kmalloc|vmalloc) memory",
    "list": r"record (?P<number>\d+) of (?P<records>\d+): (?P<name>[A-Za-z ]+), "
            rf"weight (?P<weight>\d+), at (?P<address>{ADDRESS})",
}


class Event(NamedTuple):
    """One allocation, free or failed allocation."""

    device: str
    method: str
    what: str                       # allocated, freed, left, failed
    bytes: int
    press: Optional[int]            # None: at probe, or by unbind
    address: Optional[str] = None   # hashed
    dma: Optional[str] = None
    error: Optional[str] = None
    pages: Optional[int] = None     # said where there is more than one
    runs: Optional[int] = None

    @classmethod
    def parse(cls, line):
        """The event of a log line without its timestamp; None for any other line."""
        line = PREFIX.match(line)
        if not line:
            return None
        for what, pattern in (("allocated", ALLOCATED), ("freed", FREED), ("left", LEFT),
                              ("failed", FAILURE)):
            match = pattern.match(line["text"])
            if match:
                said = match.groupdict()
                numbers = {name: int(said[name]) if said.get(name) else None
                           for name in ("bytes", "press", "pages", "runs")}
                words = {name: said.get(name) for name in ("address", "dma", "error")}
                return cls(line["device"], match["method"], what, **numbers, **words)
        return None


def parse_all(lines):
    """The events among the log lines."""
    return [event for event in map(Event.parse, lines) if event]


def parse_remark(text):
    """A line's text as (method, {key: value}), numbers as int; None if it is no remark."""
    method, _, rest = text.partition(": ")
    match = re.fullmatch(REMARKS[method], rest) if method in REMARKS else None
    if not match:
        return None
    return method, {key: int(value) if value.isdecimal() and key != "address" else value
                    for key, value in match.groupdict().items()}


def parse_stats(text):
    """The file `stats`: ({key: value}, {method: {key: value}}), numbers as int.

    Of the device's, edges_in is {place: number}.
    """
    device, methods = {}, {}
    for line in text.splitlines():
        key, value = line.split(": ", 1)
        if "=" in value:
            fields = dict(field.split("=", 1) for field in value.split(" "))
            into = device if key == "edges_in" else methods
            into[key] = {name: int(number) if number.isdecimal() else number
                         for name, number in fields.items()}
        else:
            device[key] = int(value) if value.isdecimal() else value
    return device, methods


def parse_methods(text):
    """The file `method`: (the methods without cycle, the current one)."""
    words = text.split()
    current = [word.strip("[]") for word in words if word.startswith("[")]
    return [word for word in (word.strip("[]") for word in words) if word != "cycle"], current[0]
