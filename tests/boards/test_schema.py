# SPDX-License-Identifier: GPL-2.0
"""The binding's schema, held against the nodes that probe refuses and those that it takes."""

import contextlib
import io
import re

import pytest

import test_malformed
import test_nodes
from guest.devicetree import UNCHECKED, run
from guest.row import CLONE
from lab import node

# Controllers as in the guests of those nodes: the machine's own, a PL061 and a simulated one. What
# is none has cells for interrupts here: without, dt-schema never ends.
TREE = """/dts-v1/;
/ {{
    interrupt-parent = <&gic>;

    gic: interrupt-controller {{
        interrupt-controller;
        #interrupt-cells = <3>;
    }};

    gpio: pl061 {{
        gpio-controller;
        #gpio-cells = <2>;
        interrupt-controller;
        #interrupt-cells = <2>;
    }};

    sim: bank0 {{
        gpio-controller;
        #gpio-cells = <2>;
        interrupt-controller;
        #interrupt-cells = <2>;
    }};

    other: other {{
        #interrupt-cells = <2>;
    }};

    {body};
}};
"""
# How dt-validate itself ends where a property is no text, or no cells, and it expects them.
ENDS = (UnicodeDecodeError, TypeError, IndexError, KeyError)
BODIES = {
    **{name: node(name, line, *properties)
       for name, (line, properties, *_) in test_malformed.BAD.items()},
    **{one.name: one.body() for one in test_nodes.BAD},
}
GOOD = {
    **{name: node(name, line) for name, line in (("neighbour-e2e", 4), ("twin-a", 7))},
    **{one.name: one.body() for one in test_nodes.GOOD},
}
# What probe refuses and the schema does not: doc/boards.md has the reason of each.
PAGE = CLONE / "doc/boards.md"
TITLE = "## What the schema does not refuse\n"
NOT_REFUSED = {
    # An enum would be one more place that a method has, and refuse the nodes of a newer driver.
    "a method that there is not": ["method-unknown", "method-word3", "method-longtext"],
    "a size that a method does not take":
        ["size-over-kmalloc", "size-over-coherent", "size-over-vmalloc", "size-over-all",
         "size-ones", "size-minus5", "size-word3"],
    "flags or a context that a method does not take":
        ["gfp-not-taken", "context-sleeping-method"],
    "a wrong number of cells in `interrupts`": ["irq-cell", "ext-phandle", "gic-two"],
    "a line or an edge that the controller has not":
        ["irq-beyond", "ext-beyond", "gic-edge", "gic-beyond"],
    "a parent that is no controller":
        ["ext-zero", "ext-other", "parent-ones", "parent-empty", "parent-other"],
    "a line that somebody else has": ["gic-taken", "duplicate"],
}
# What probe takes and the schema does not: cells after the first interrupt, a second name.
TOO_STRICT = {"irq-three", "irq-long", "compatible-second", "compatible-nul"}


@pytest.fixture(name="refused")
def fixture_refused(schema, tmp_path):
    """Whether a node is refused: refused(name, body)."""
    def refused(body):
        source, tree = tmp_path / "node.dts", tmp_path / "node.dtb"
        source.write_text(TREE.format(body=body), encoding="utf-8")
        run("dtc", "-f", *UNCHECKED, "-I", "dts", "-O", "dtb", "-o", tree, source)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                found = schema.objections(tree)
            except ENDS as error:
                return str(error)
        return said.getvalue() or found
    return refused


def test_what_probe_refuses(refused):
    left = {name for name, body in BODIES.items() if not refused(body)}
    assert left == {name for names in NOT_REFUSED.values() for name in names}


def test_page_says_what_is_not_refused():
    text = PAGE.read_text(encoding="utf-8").partition(TITLE)[2]
    assert re.findall(r"^\| (.*?) \|", text, re.M)[1:] == list(NOT_REFUSED)


def on_a_bus(*properties, bus="i2c"):
    """The body of a bus with a device on it."""
    return (f"{bus} {{ #address-cells = <1>; #size-cells = <0>; probe@10 {{ "
            'compatible = "alloclab,probe"; '
            + " ".join(f"{entry};" for entry in properties) + " }; }")


@pytest.mark.parametrize("properties, named", [
    ((), "reg"), (("reg = <16>", 'alloclab,method = "coherent"'), "coherent"),
    (("reg = <16>", "alloclab,size = <0>"), "0"), (("reg = <16>", "alloclab,at-probe"), "at-probe"),
    (("reg = <16>", 'label = ""'), "")], ids=["no-reg", "for-dma", "size", "at-probe", "label"])
def test_devices_on_a_bus(refused, properties, named):
    assert not refused(on_a_bus("reg = <16>", 'alloclab,method = "vmalloc"'))
    assert not refused(on_a_bus("reg = <16>", "spi-max-frequency = <1000000>", bus="spi"))
    said = refused(on_a_bus(*properties))
    assert said and named in str(said)


def test_what_probe_takes(refused):
    assert {name for name, body in GOOD.items() if refused(body)} == TOO_STRICT
