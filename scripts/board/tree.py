# SPDX-License-Identifier: GPL-2.0
"""A board's device tree: its GPIO controllers, their lines, and who uses them."""

import functools
import re
import struct

import libfdt

NOT_FOUND = [libfdt.NOTFOUND]
# A property of another node that names lines, as dtc knows them too.
GPIOS = re.compile(r"(.*-)?gpios?$")
NO_GPIOS = re.compile(r".*nr-gpios?$")
# How many lines there are where the tree does not tell and the driver does: compatible -> lines.
LINES = {"rockchip,gpio-bank": 32, "fsl,qoriq-gpio": 32, "fsl,imx35-gpio": 32, "arm,pl061": 8,
         "xlnx,zynqmp-gpio-1.0": 174, "raspberrypi,rp1-gpio": 54, "nvidia,tegra210-gpio": 256}
# The same of expanders, by the number in their names: ti,tca9538, nxp,pcal6416.
EXPANDER = re.compile(r"(?:nxp|ti|onnn),(?:pca|pcal|tca)(\d{4})a?$")
EXPANDER_LINES = {"9534": 8, "9538": 8, "9554": 8, "9654": 8, "6408": 8, "9535": 16, "9539": 16,
                  "9555": 16, "6416": 16, "6424": 24, "6524": 24}
# No bank of these controllers has more, and the tree does not tell which one has less.
BANK_OF_EIGHT = re.compile(r"(?:samsung,exynos|google,gs101).*-pinctrl$")
# Controllers whose numbers begin with 1.
FROM_ONE = ("qcom,spmi-gpio", "qcom,ssbi-gpio")
# Allwinner's have banks, whose lines are named as in PB3, and not all have interrupts: the letters
# of those that have (drivers/pinctrl/sunxi). The small controllers begin with bank L.
BANK_LINES = 32
BANKS = {"sun50i-a64": "BGH", "sun50i-h5": "AFG", "sun50i-h6": "BFGH", "sun50i-h616": "ACDEFGHI",
         "sun50i-a100": "BCDEFGH", "sun55i-a523": "ABCDEFGHIJ", "sun50i-a64-r": "L",
         "sun8i-h3-r": "L", "sun50i-h6-r": "LM", "sun50i-a100-r": "L", "sun55i-a523-r": "LM"}
BANKED = re.compile(r"allwinner,(sun\d+i-\w+(?:-r)?)-pinctrl$")
# Where no lines are told by anything, a number is taken up to this one.
UNTOLD = 256


class BoardError(Exception):
    """A board cannot have what was asked for; the message names what there is."""


class Node:
    """A node, with its properties as bytes."""

    def __init__(self, name, parent):
        self.name = name
        self.parent = parent
        self.properties = {}
        self.children = []

    @property
    def path(self):
        """The path."""
        if self.parent is None:
            return "/"
        return f"{self.parent.path.rstrip('/')}/{self.name}"

    def all(self):
        """The node and all that are below it."""
        yield self
        for child in self.children:
            yield from child.all()

    def has(self, name):
        """Whether there is such a property."""
        return name in self.properties

    def cells(self, name):
        """A property as cells; none if there is no such property."""
        value = self.properties.get(name, b"")
        return list(struct.unpack(f">{len(value) // 4}I", value[:len(value) // 4 * 4]))

    def cell(self, name, otherwise=None):
        """A property's first cell."""
        return (self.cells(name) or [otherwise])[0]

    def strings(self, name):
        """A property as strings; none if there is no such property."""
        value = self.properties.get(name, b"")
        return [part.decode("ascii", "replace") for part in value.split(b"\0")[:-1]]

    @property
    def enabled(self):
        """Whether neither the node nor one above it is disabled."""
        status = self.strings("status")
        return (not status or status[0] in ("okay", "ok")) and (
            self.parent is None or self.parent.enabled)


def read(path):
    """The root of the tree in a .dtb."""
    data = path.read_bytes()
    try:
        fdt = libfdt.FdtRo(data)
    except libfdt.FdtException as error:
        raise BoardError(f"{path}: not a device tree: {error}") from error

    def node(offset, parent):
        made = Node(fdt.get_name(offset), parent)
        at = fdt.first_property_offset(offset, NOT_FOUND)
        while at >= 0:
            found = fdt.get_property_by_offset(at)
            made.properties[found.name] = bytes(found)
            at = fdt.next_property_offset(at, NOT_FOUND)
        at = fdt.first_subnode(offset, NOT_FOUND)
        while at >= 0:
            made.children.append(node(at, made))
            at = fdt.next_subnode(at, NOT_FOUND)
        return made

    return node(0, None)


class Controller:
    """A GPIO controller. A line is a tuple of cells, without the one that has flags."""

    def __init__(self, board, node, labels):
        self.node = node
        self.labels = labels
        self.name = node.path
        self.board = board

    @property
    def users(self):
        """Who uses which line: line -> in words."""
        return self.board.users.get(self.node.path, {})

    @property
    def has_interrupts(self):
        """Whether a line can be the interrupt of another node."""
        return self.node.has("interrupt-controller") and self.node.has("#interrupt-cells")

    @property
    def compatible(self):
        """What says which driver it has: of a bank, that of the node above."""
        return self.node.strings("compatible") or self.node.parent.strings("compatible")

    @functools.cached_property
    def _banked(self):
        """The letter of the first bank and those of the banks with interrupts; None: no banks."""
        for name in filter(None, map(BANKED.match, self.compatible)):
            return ("L" if name[1].endswith("-r") else "A"), BANKS.get(name[1], "")
        return None

    @functools.cached_property
    def lines(self):
        """All lines that can have an interrupt; None where nothing tells how many there are."""
        if self._banked:
            first, banks = self._banked
            return [(ord(bank) - ord(first), line) for bank in banks for line in range(BANK_LINES)]
        count = self._count()
        first = 1 if set(FROM_ONE) & set(self.compatible) else 0
        return None if count is None else [(line,) for line in range(first, first + count)]

    def _count(self):
        node = self.node
        for name in ("ngpios", "ti,ngpio"):
            if node.has(name):
                return node.cell(name)
        if node.has("brcm,gpio-bank-widths"):
            return 32 * len(node.cells("brcm,gpio-bank-widths"))
        ranges = node.cells("gpio-ranges")
        if ranges:
            return max(first + count for first, count in zip(ranges[1::4], ranges[3::4]))
        for name in self.compatible:
            expander = EXPANDER.match(name)
            if name in LINES or expander and expander[1] in EXPANDER_LINES:
                return LINES.get(name) or EXPANDER_LINES[expander[1]]
            if BANK_OF_EIGHT.match(name):
                return 8
        return len(node.strings("gpio-line-names")) or None

    def line(self, text):
        """The line that a text means: a number, PB3 where there are banks, or a line's name."""
        bank = re.fullmatch(r"P?([A-Z])(\d+)", text) if self._banked else None
        if bank:
            line = (ord(bank[1]) - ord(self._banked[0]), int(bank[2]))
        elif text.isdecimal() and not self._banked:
            line = (int(text),)
        else:
            line = self._named(text)
        if line is None or not (line in self.lines if self.lines else line[0] < UNTOLD):
            raise BoardError(f"{self.name} has no line '{text}' with an interrupt: there are "
                             f"{self.shown(self.lines)}")
        return line

    def _named(self, text):
        names = self.node.strings("gpio-line-names")
        if not text or text not in names:
            return None
        number = names.index(text)
        if self._banked:
            return divmod(number, BANK_LINES)
        return (number + (self.lines[0][0] if self.lines else 0),)

    def title(self, line):
        """The name of a line that the tree has; none if it has none."""
        names = self.node.strings("gpio-line-names")
        if self._banked:
            number = line[0] * BANK_LINES + line[1]
        else:
            number = line[0] - (self.lines[0][0] if self.lines else 0)
        return names[number] if 0 <= number < len(names) else ""

    def text(self, line):
        """How a line is written."""
        if self._banked:
            return f"P{chr(ord(self._banked[0]) + line[0])}{line[1]}"
        return str(line[0])

    def shown(self, lines):
        """Lines in words, those that follow each other put together."""
        if lines is None:
            return f"numbers below {UNTOLD} (the tree does not tell how many there are)"
        runs = []
        for line in lines:
            if runs and runs[-1][-1] == (*line[:-1], line[-1] - 1):
                runs[-1].append(line)
            else:
                runs.append([line])
        return ", ".join(self.text(run[0]) + (f"-{self.text(run[-1])}" if len(run) > 1 else "")
                         for run in runs) or "none"

    @functools.cached_property
    def free(self):
        """The lines that nobody uses, as far as the tree tells; of untold ones, a few."""
        lines = [(line,) for line in range(32)] if self.lines is None else self.lines
        return [line for line in lines if line not in self.users]


class Board:
    """A board's tree."""

    def __init__(self, path):
        self.path = path
        self.root = read(path)
        self._nodes = {node.path: node for node in self.root.all()}
        self._phandles = {node.cell("phandle"): node for node in self._nodes.values()
                          if node.has("phandle")}
        # What overlays call by label: there is nothing where the tree was compiled without.
        symbols = self._nodes.get("/__symbols__")
        self.symbols = symbols is not None
        labels = self._strings(symbols)
        self.controllers = [Controller(self, node, labels.get(node.path, []))
                            for node in self._nodes.values() if node.has("gpio-controller")]
        self.names = self._names(labels)
        for name, controller in reversed(self.names.items()):
            controller.name = name

    def _names(self, labels):
        """What controllers are called, the best first: by label, by alias, by node, by path."""
        aliases = self._strings(self._nodes.get("/aliases"))
        found = {}
        for of in (lambda node: labels.get(node.path, []), lambda node: aliases.get(node.path, []),
                   lambda node: [node.name], lambda node: [node.path]):
            names = [(name, one) for one in self.controllers for name in of(one.node)]
            for name, controller in names:
                if name not in found and [other for other, _ in names].count(name) == 1:
                    found[name] = controller
        return found

    @staticmethod
    def _strings(node):
        """A node of names for paths, as path -> names."""
        found = {}
        for name in node.properties if node else ():
            for path in node.strings(name)[:1]:
                found.setdefault(path, []).append(name)
        return found

    @property
    def model(self):
        """What the board is called."""
        return "".join(self.root.strings("model")[:1])

    def free_phandle(self):
        """A number that is no node's."""
        return max(self._phandles, default=0) + 1

    def has(self, path):
        """Whether there is such a node."""
        return path in self._nodes

    def usable(self):
        """The controllers that a button can have a line of."""
        return [one for one in self.controllers if one.has_interrupts and one.node.enabled]

    @functools.cached_property
    def users(self):
        """Who uses which line of the controllers: path -> line -> in words."""
        found = {}
        for node in self._nodes.values():
            if node.enabled:
                for used, cells, who in [*self._gpios(node), *self._interrupts(node)]:
                    users = found.setdefault(used.path, {}).setdefault(tuple(cells), [])
                    if who not in users:
                        users.append(who)
        return found

    def _entries(self, cells, count):
        """The entries of a property with phandles, as (node, its cells); up to what is not one."""
        while cells:
            if cells[0] in (0, 0xffffffff):
                cells = cells[1:]
                continue
            node = self._phandles.get(cells[0])
            if node is None or not node.has(count):
                return
            end = 1 + node.cell(count)
            yield node, cells[1:end]
            cells = cells[end:]

    def _gpios(self, node):
        """The lines that a node has as GPIOs, as (controller, cells, in words)."""
        if node.has("gpio-hog") and node.parent.has("#gpio-cells"):
            count = node.parent.cell("#gpio-cells")
            cells = node.cells("gpios")
            for at in range(0, len(cells), count):
                yield node.parent, cells[at:at + count - 1], f"hog {node.name}"
            return
        if node.has("gpio-reserved-ranges"):
            cells = node.cells("gpio-reserved-ranges")
            for first, count in zip(cells[::2], cells[1::2]):
                for line in range(first, first + count):
                    yield node, [line], "reserved"
        for name in node.properties:
            if GPIOS.match(name) and not NO_GPIOS.match(name):
                for controller, cells in self._entries(node.cells(name), "#gpio-cells"):
                    yield controller, cells[:-1], f"{name} of {node.path}"

    def _interrupts(self, node):
        """The lines that are a node's interrupts, in the same way."""
        for parent, cells in self._entries(node.cells("interrupts-extended"), "#interrupt-cells"):
            yield parent, cells[:-1], f"interrupts-extended of {node.path}"
        if node.has("interrupts") and not node.has("interrupts-extended"):
            parent = self.interrupt_parent(node)
            count = parent.cell("#interrupt-cells", 0) if parent else 0
            cells = node.cells("interrupts")
            for at in range(0, len(cells) if count else 0, count or 1):
                yield parent, cells[at:at + count - 1], f"interrupts of {node.path}"
        for parent, cells in self._mapped(node):
            yield parent, cells[:-1], f"interrupt-map of {node.path}"

    def _mapped(self, node):
        """What an interrupt-map leads to."""
        cells = node.cells("interrupt-map")
        skip = node.cell("#address-cells", 2) + node.cell("#interrupt-cells", 1)
        while len(cells) > skip:
            parent = self._phandles.get(cells[skip])
            if parent is None or not parent.has("#interrupt-cells"):
                return
            begin = skip + 1 + parent.cell("#address-cells", 0)
            end = begin + parent.cell("#interrupt-cells")
            yield parent, cells[begin:end]
            cells = cells[end:]

    def interrupt_parent(self, node):
        """The controller of a node's interrupts."""
        while node is not None:
            if node.has("interrupt-parent"):
                return self._phandles.get(node.cell("interrupt-parent"))
            node = node.parent
            if node is not None and node.has("#interrupt-cells"):
                return node
        return None

    def lacks(self):
        """Why no controller can have a button."""
        disabled = [one.name for one in self.controllers if one.has_interrupts]
        if disabled:
            return ("each GPIO controller that is an interrupt controller is disabled in this "
                    f"tree: {', '.join(disabled)}")
        if self.controllers:
            return ("no GPIO controller is an interrupt controller in this tree: "
                    f"{', '.join(one.name for one in self.controllers)}")
        return "there is no GPIO controller in this tree"

    # What was asked for.

    def find(self, text):
        """The controller and the line that CONTROLLER:LINE means; it can have a button."""
        name, _, line = text.rpartition(":")
        names = ", ".join(one.name for one in self.usable())
        if not names:
            raise BoardError(self.lacks())
        if name not in self.names:
            raise BoardError(f"GPIO={text}: no controller '{name}'; say CONTROLLER:LINE, where the "
                             f"controllers are {names} (GPIO=? shows their lines)")
        controller = self.names[name]
        if controller not in self.usable():
            why = ("is disabled in this tree" if controller.has_interrupts else
                   "is no interrupt controller")
            raise BoardError(f"GPIO={text}: {name} {why}: no button can have its lines; there are "
                             f"{names}")
        line = controller.line(line)
        cells = controller.node.cell("#interrupt-cells")
        if cells != len(line) + 1:
            raise BoardError(f"GPIO={text}: an interrupt of {name} has {cells} cells: known are a "
                             "line and its edge, and of Allwinner's a bank, a line and its edge")
        if line in controller.users:
            raise BoardError(f"GPIO={text}: the line is in use: "
                             f"{'; '.join(controller.users[line])}; free are "
                             f"{controller.shown(controller.free)}")
        return controller, line
