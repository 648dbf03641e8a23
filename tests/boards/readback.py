# SPDX-License-Identifier: GPL-2.0
"""What a tree says, read without scripts/board: to hold what that makes against it."""

import struct
import subprocess

import dtschema
import libfdt

from guest.row import CLONE

NOT_FOUND = [libfdt.NOTFOUND]
BUTTON = "alloclab,button"


def cells(value):
    """Bytes as cells."""
    return list(struct.unpack(f">{len(value) // 4}I", value[:len(value) // 4 * 4]))


def flat(path):
    """A .dtb as {path of a node: {property: bytes}}."""
    fdt = libfdt.FdtRo(path.read_bytes())
    found = {}
    offset, depth, names = 0, 0, []
    while offset >= 0:
        names[depth:] = [fdt.get_name(offset)]
        properties = found.setdefault("/" + "/".join(names[1:]), {})
        at = fdt.first_property_offset(offset, NOT_FOUND)
        while at >= 0:
            entry = fdt.get_property_by_offset(at)
            properties[entry.name] = bytes(entry)
            at = fdt.next_property_offset(at, NOT_FOUND)
        offset, depth = fdt.next_node(offset, depth, NOT_FOUND)
        if depth < 0:
            break
    return found


def parent_of(path):
    """The path of the node above."""
    return path.rpartition("/")[0] or "/"


def above(path):
    """A node's path, and those of all above it."""
    while True:
        yield path
        if path == "/":
            return
        path = parent_of(path)


def is_off(tree, path):
    """Whether a node, or one above it, is disabled."""
    return any(tree[each].get("status", b"okay\0") not in (b"okay\0", b"ok\0")
               for each in above(path))


def by_phandle(tree, number):
    """The path of the node with a phandle."""
    return next((path for path, properties in tree.items()
                 if properties.get("phandle") == struct.pack(">I", number)), None)


def has_run(value, run, step):
    """Whether these cells come one after the other: at the begin of an entry of `step` cells, or,
    where entries have not all that length, anywhere.
    """
    value = cells(value)
    places = range(0, len(value), step if len(value) % step == 0 else 1)
    return any(value[at:at + len(run)] == run for at in places)


def interrupt_parent(tree, path):
    """The path of the controller of a node's interrupts."""
    for each in above(path):
        if each != path and "#interrupt-cells" in tree[each]:
            return each
        if "interrupt-parent" in tree[each]:
            return by_phandle(tree, cells(tree[each]["interrupt-parent"])[0])
    return None


def users(tree, controller, line):
    """Who uses a line, a list of cells: whatever has it after the controller's phandle."""
    own = tree[controller]
    phandle = cells(own.get("phandle", b""))
    specifier = cells(own["#interrupt-cells"])[0]
    of_line = cells(own["#gpio-cells"])[0]
    found = []
    for path, properties in tree.items():
        if is_off(tree, path):
            continue
        for name, value in properties.items():
            if phandle and name.endswith(("gpio", "gpios")) and "nr-gpio" not in name and \
                    "gpio-hog" not in properties and \
                    has_run(value, [*phandle, *line], 1 + of_line):
                found.append(f"{path} {name}")
            if phandle and name == "interrupts-extended" and \
                    has_run(value, [*phandle, *line], 1 + specifier):
                found.append(f"{path} {name}")
        if phandle and "interrupt-map" in properties:
            head = sum(cells(properties[name])[0]
                       for name in ("#address-cells", "#interrupt-cells"))
            value = cells(properties["interrupt-map"])
            step = head + 1 + specifier
            if any(value[at + head:at + step - 1] == [*phandle, *line]
                   for at in range(0, len(value), step)):
                found.append(f"{path} interrupt-map")
        if parent_of(path) == controller and "gpio-hog" in properties and \
                has_run(properties["gpios"], line, of_line):
            found.append(f"{path} gpios")
        if "interrupts" in properties and "interrupts-extended" not in properties and \
                interrupt_parent(tree, path) == controller and \
                has_run(properties["interrupts"], line, specifier):
            found.append(f"{path} interrupts")
    reserved = cells(own.get("gpio-reserved-ranges", b""))
    if any(first <= line[-1] < first + count
           for first, count in zip(reserved[::2], reserved[1::2])):
        found.append("reserved")
    return found


def buttons(tree):
    """The paths of the buttons."""
    return [path for path, properties in tree.items()
            if properties.get("compatible") == f"{BUTTON}\0".encode()]


def changed(before, after):
    """What of a tree is not as it was: (path, property); what a new phandle, a symbol and a
    button of ours add is left out.
    """
    found = []
    for path, properties in before.items():
        now = after.get(path)
        found += [(path, name) for name, value in properties.items()
                  if now is None or now.get(name) != value]
    for path, now in after.items():
        if path not in before and path not in buttons(after):
            found.append((path, None))
        found += [(path, name) for name in now
                  if path in before and name not in before[path] and name != "phandle"]
    return found


class Schema:
    """The binding's schema."""

    def __init__(self, directory):
        compiled = directory / "schema.json"
        with open(compiled, "wb") as file:
            subprocess.run(["dt-mk-schema", "-j", *(CLONE / "dts").glob("*.yaml")], stdout=file,
                           check=True)
        self._validator = dtschema.DTValidator([str(compiled)])

    def objections(self, path):
        """What the schema has against the nodes of a .dtb, by the nodes' names."""
        found = {}

        def look(name, node):
            node["$nodename"] = [name]
            said = [error.message for error in
                    self._validator.iter_errors(node, filter=["alloclab"])]
            if said:
                found[name] = said
            for below, value in node.items():
                if isinstance(value, dict):
                    look(below, value)

        # Dt-schema keeps those of the tree before: it reads one alone otherwise.
        dtschema.dtb.phandles.clear()
        for tree in self._validator.decode_dtb(path.read_bytes()):
            look("/", tree)
        return found
