# SPDX-License-Identifier: GPL-2.0
"""The overlays in dts/, on the trees of their boards: what they say, their parameters, the schema.
"""

import subprocess

import libfdt
import pytest

from board.overlay import make
from board.tree import Board, BoardError
from guest.devicetree import compile_overlay, run
from guest.machine import MACHINES
from guest.qemu import merged_tree
from guest.row import CLONE
from overrides import OverrideError, override, parameters
from pi import PARAMETER_GPIO
from readback import buttons, cells, flat, interrupt_parent, users

DTS = CLONE / "dts"
GPIO = "/soc/gpio@7e200000"
RP1 = "/axi/pcie@1000120000/pci@0,0/dev@0,0/pci-ep-bus@1/pinctrl@400d0000"
PI, PI5 = "alloclab-overlay.dts", "alloclab-pi5-overlay.dts"
# Overlay -> the trees that it is for, each with the path of the button's controller.
PIS = {
    ("broadcom/bcm2837-rpi-3-b", PI): GPIO,
    ("broadcom/bcm2837-rpi-zero-2-w", PI): GPIO,
    ("broadcom/bcm2711-rpi-4-b", PI): GPIO,
    ("broadcom/bcm2712-rpi-5-b", PI5): RP1,
}
# The controllers of an s5p6818, by label.
S5P6818 = {"alive_0": "/soc/gpio@c0010800",
           **{f"gpio_{bank}": f"/soc/gpio@c001{bank}000" for bank in "abcde"}}
# Parameter -> a value, and the properties that it sets: whose, name, what they are then.
PARAMETERS = {
    "gpio": ("27", [("pins", "brcm,pins", [27]), ("button", "interrupts", [27, 2])]),
    "pull": ("down", [("pins", "brcm,pull", [1])]),
    "debounce": ("0x14", [("button", "debounce-interval", [20])]),
    "method": ("vmalloc", [("button", "alloclab,method", b"vmalloc\0")]),
    "size": ("8192", [("button", "alloclab,size", [8192])]),
    "gfp": ("atomic+zero", [("button", "alloclab,gfp", b"atomic+zero\0")]),
    "context": ("hard", [("button", "alloclab,context", b"hard\0")]),
}
# What the schema asks for besides.
WITH = {"context": {"gfp": "atomic"}}
LINE = 17


def applied(base, overlay, directory):
    """The tree of a board with an overlay, its bytes, as fdtoverlay makes it."""
    compiled, merged = directory / "applied.dtbo", directory / "applied.dtb"
    compiled.write_bytes(overlay)
    run("fdtoverlay", "-i", base, "-o", merged, compiled)
    return merged


def compiled(source, directory):
    """An overlay of dts/ as bytes; dtc has no warning."""
    target = directory / "compiled.dtbo"
    compile_overlay(DTS / source, target, less=[PARAMETER_GPIO] if source in (PI, PI5) else [])
    return target.read_bytes()


def pins_of(tree):
    """The path of what the button has as its pins."""
    wanted = tree["/button"]["pinctrl-0"]
    return next(path for path, properties in tree.items() if properties.get("phandle") == wanted)


@pytest.mark.parametrize("board, source", PIS)
def test_raspberry_pi(board, source, trees, schema, tmp_path):
    merged = applied(trees[board], compiled(source, tmp_path), tmp_path)
    controller = PIS[board, source]
    tree = flat(merged)
    assert buttons(tree) == ["/button"]
    assert cells(tree["/button"]["interrupts"]) == [LINE, 2]
    assert interrupt_parent(tree, "/button") == controller
    # A line that collides with nothing.
    assert users(flat(trees[board]), controller, [LINE]) == []
    pins = pins_of(tree)
    assert pins == f"{controller}/alloclab_pins"
    assert [cells(tree[pins][f"brcm,{name}"]) for name in ("pins", "function", "pull")] == \
        [[LINE], [0], [2]]
    assert schema.objections(merged) == {}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("board, source", PIS)
def test_parameter(board, source, name, trees, schema, tmp_path):
    value, wanted = PARAMETERS[name]
    plain = compiled(source, tmp_path)
    before = flat(applied(trees[board], plain, tmp_path))
    others = WITH.get(name, {})
    merged = applied(trees[board], override(plain, **{name: value}, **others), tmp_path)
    after = flat(merged)
    paths = {"pins": pins_of(after), "button": "/button"}
    changed = {(path, entry) for path, properties in after.items()
               for entry, content in properties.items() if before[path].get(entry) != content}
    changed -= {("/button", f"alloclab,{other}") for other in others}
    assert changed == {(paths[whose], entry) for whose, entry, _ in wanted}
    for whose, entry, content in wanted:
        said = after[paths[whose]][entry]
        assert (said if isinstance(content, bytes) else cells(said)) == content
    assert schema.objections(merged) == {}


@pytest.mark.parametrize("source", [PI, PI5])
def test_parameters_are_these(source, tmp_path):
    overlay = compiled(source, tmp_path)
    assert list(parameters(libfdt.Fdt(overlay))) == list(PARAMETERS)
    with pytest.raises(OverrideError):
        override(overlay, gpio="button")
    with pytest.raises(OverrideError):
        override(overlay, pin="17")


def test_the_two_differ_in_the_controller():
    texts = [(DTS / source).read_text(encoding="utf-8") for source in (PI, PI5)]
    code = [text.partition("/plugin/;")[2] for text in texts]
    assert code[0].replace("&gpio>", "&rp1_gpio>").replace("bcm2835", "bcm2712") == code[1]


@pytest.fixture(name="stand_in")
def fixture_stand_in(tmp_path):
    """The tree that stands in for those of boards with an s5p6818."""
    base = tmp_path / "base.dtb"
    run("dtc", "-@", "-I", "dts", "-O", "dtb", "-o", base,
        CLONE / "tests/boards/s5p6818.dts")
    return base


def test_s5p6818_on_a_stand_in(stand_in, schema, tmp_path):
    merged = applied(stand_in, compiled("s5p6818.dtso", tmp_path), tmp_path)
    tree = flat(merged)
    assert cells(tree["/button"]["interrupts"]) == [26, 2]
    assert interrupt_parent(tree, "/button") == S5P6818["gpio_b"]
    # A line that collides with nothing.
    assert users(flat(stand_in), S5P6818["gpio_b"], [26]) == []
    assert schema.objections(merged) == {}


@pytest.mark.parametrize("label", S5P6818)
def test_s5p6818_any_controller(label, stand_in, schema, tmp_path):
    """What make overlay makes for each, on a line that is free."""
    board = Board(stand_in)
    made = make("stand-in", board, *board.find(f"{label}:1"), tmp_path / "made")
    merged = applied(stand_in, made.read_bytes(), tmp_path)
    tree = flat(merged)
    assert cells(tree["/button"]["interrupts"]) == [1, 2]
    assert interrupt_parent(tree, "/button") == S5P6818[label]
    assert schema.objections(merged) == {}


def test_s5p6818_power_key(stand_in):
    assert users(flat(stand_in), S5P6818["alive_0"], [0]) == ["/gpio-keys/power gpios"]
    with pytest.raises(BoardError, match="in use: gpios of /gpio-keys/power"):
        Board(stand_in).find("alive_0:0")


@pytest.mark.parametrize("source, button", [("virt-pl061.dtso", "/button"),
                                            ("virt-gpio-sim.dtso", "/button-sim")])
def test_virt(source, button, schema, tmp_path):
    merged = merged_tree(MACHINES["arm64"], [DTS / source], tmp_path)
    assert buttons(flat(merged)) == [button]
    assert schema.objections(merged) == {}


@pytest.mark.parametrize("source, device", [("virt-i2c.dtso", "/i2c/probe@10"),
                                            ("virt-spi.dtso", "/spi/probe@0")])
def test_virt_with_a_bus(source, device, schema, tmp_path):
    merged = merged_tree(MACHINES["arm64"], [DTS / source], tmp_path)
    tree = flat(merged)
    assert tree[device]["compatible"] == b"alloclab,probe\0" and not buttons(tree)
    assert schema.objections(merged) == {}


def test_every_overlay_is_tried():
    tried = {PI, PI5, "s5p6818.dtso", "virt-pl061.dtso", "virt-gpio-sim.dtso", "virt-i2c.dtso",
             "virt-spi.dtso"}
    assert {path.name for path in [*DTS.glob("*.dtso"), *DTS.glob("*.dts")]} == tried


def test_dt_validate_says_the_same(trees, tmp_path):
    # What the other tests do with dt-schema's library.
    compiled_schema = tmp_path / "schema.json"
    with open(compiled_schema, "wb") as file:
        subprocess.run(["dt-mk-schema", "-j", *DTS.glob("*.yaml")], stdout=file, check=True)
    overlay = compiled(PI, tmp_path)
    for values, said in (({}, ""), ({"context": "hard"}, "alloclab,gfp"),
                         ({"method": "not this"}, "alloclab,method")):
        merged = applied(trees["broadcom/bcm2711-rpi-4-b"], override(overlay, **values), tmp_path)
        done = subprocess.run(["dt-validate", "-s", compiled_schema, "-l", "alloclab", merged],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        assert said in done.stdout and bool(said) == bool(done.stdout), done.stdout
