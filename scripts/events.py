# SPDX-License-Identifier: GPL-2.0
"""The driver's lines in the kernel log, exactly as they are specified."""

import re
from typing import NamedTuple, Optional

ADDRESS = r"[0-9a-f]{16}"
PREFIX = re.compile(r"^alloclab (?P<device>[^ :]+): (?P<text>.*)$")
READY = re.compile(r"^ready: irq (?P<irq>\d+), debounce (?P<debounce>\d+) ms, "
                   r"method (?P<method>\S+)$")
EVENT = re.compile(
    r"^(?P<method>[a-z0-9_]+): "
    rf"(?P<what>allocated|freed) (?P<bytes>\d+) bytes at (?P<address>{ADDRESS})"
    rf"(?:, dma (?P<dma>0x{ADDRESS}),)? in (?P<ns>\d+) ns "
    r"\((?:press (?P<press>\d+)|(?P<reason>unbind))\)$")
FAILURE = re.compile(
    r"^(?P<method>[a-z0-9_]+): allocation of (?P<bytes>\d+) bytes failed: "
    r"(?P<error>E[A-Z0-9]+) \(press (?P<press>\d+)\)$")


class Event(NamedTuple):
    """One allocation, free or failed allocation."""

    device: str
    method: str
    what: str                       # allocated, freed, failed
    bytes: int
    press: Optional[int]            # None: freed by unbind
    address: Optional[str] = None   # hashed
    dma: Optional[str] = None
    error: Optional[str] = None

    @classmethod
    def parse(cls, line):
        """The event of a log line without its timestamp; None for any other line."""
        line = PREFIX.match(line)
        if not line:
            return None
        match = EVENT.match(line["text"])
        if match:
            # Only what has a DMA address says one, and then when it is allocated.
            if match["dma"] and match["what"] == "freed":
                return None
            press = int(match["press"]) if match["press"] else None
            return cls(line["device"], match["method"], match["what"],
                       int(match["bytes"]), press, match["address"], match["dma"])
        match = FAILURE.match(line["text"])
        if match:
            return cls(line["device"], match["method"], "failed", int(match["bytes"]),
                       int(match["press"]), error=match["error"])
        return None


def parse_all(lines):
    """The events among the log lines."""
    return [event for event in map(Event.parse, lines) if event]


def parse_stats(text):
    """The file `stats`: ({key: value}, {method: {key: value}}), numbers as int."""
    device, methods = {}, {}
    for line in text.splitlines():
        key, value = line.split(": ", 1)
        if "=" in value:
            fields = dict(field.split("=", 1) for field in value.split(" "))
            methods[key] = {name: int(number) if number.isdecimal() else number
                            for name, number in fields.items()}
        else:
            device[key] = int(value) if value.isdecimal() else value
    return device, methods


def parse_methods(text):
    """The file `method`: (the methods without cycle, the current one)."""
    words = text.split()
    current = [word.strip("[]") for word in words if word.startswith("[")]
    return [word for word in (word.strip("[]") for word in words) if word != "cycle"], current[0]
