# SPDX-License-Identifier: GPL-2.0
"""What Raspberry Pi's firmware does with __overrides__, as far as our overlays use it.

A parameter is a list of targets: the phandle of a node, and the name of a property. A name alone
sets a string; `name:OFFSET` sets the cell at that byte, where a property that is too short grows.
"""

import struct

import libfdt

# What it takes for a number.
WORDS = {"off": 0, "no": 0, "n": 0, "false": 0, "down": 1, "on": 1, "yes": 1, "y": 1, "true": 1,
         "up": 2}
ROOM = 1024


class OverrideError(Exception):
    """The firmware would ignore the parameter, with a message in its log."""


def parameters(fdt):
    """The parameters of an overlay: name -> [(phandle, target)]."""
    found = {}
    offset = fdt.path_offset("/__overrides__")
    at = fdt.first_property_offset(offset, [libfdt.NOTFOUND])
    while at >= 0:
        entry = fdt.get_property_by_offset(at)
        found[entry.name], data = [], bytes(entry)
        while data:
            target, _, rest = data[4:].partition(b"\0")
            found[entry.name].append((struct.unpack(">I", data[:4])[0], target.decode()))
            data = rest
        at = fdt.next_property_offset(at, [libfdt.NOTFOUND])
    return found


def number(value):
    """A value as a number."""
    if value in WORDS:
        return WORDS[value]
    try:
        return int(value, 0)
    except ValueError as error:
        raise OverrideError(f"invalid override value '{value}'") from error


def override(overlay, **values):
    """An overlay's bytes, with parameters set."""
    fdt = libfdt.Fdt(overlay)
    fdt.resize(len(overlay) + ROOM)
    known = parameters(fdt)
    for name, value in values.items():
        if name not in known:
            raise OverrideError(f"unknown parameter '{name}'")
        for phandle, target in known[name]:
            node = fdt.node_offset_by_phandle(phandle)
            name_of, colon, offset = target.partition(":")
            if not colon:
                fdt.setprop(node, name_of, value.encode() + b"\0")
                continue
            old = fdt.getprop(node, name_of, [libfdt.NOTFOUND])
            at = int(offset)
            data = bytearray(b"" if isinstance(old, int) else bytes(old)).ljust(at + 4, b"\0")
            data[at:at + 4] = struct.pack(">I", number(value))
            fdt.setprop(node, name_of, bytes(data))
    fdt.pack()
    return bytes(fdt.as_bytearray())
