# SPDX-License-Identifier: GPL-2.0
"""The command make overlay: what it makes, what it says of a board, what it refuses."""

import re
import subprocess

import pytest

from guest.row import CLONE
from readback import buttons, cells, flat, interrupt_parent

OUT = CLONE / "out/overlay"
PI = "broadcom/bcm2711-rpi-4-b"
NANOPI = "rockchip/rk3399-nanopi-m4"
PINE = "allwinner/sun50i-a64-pine64"
ODROID = "amlogic/meson-g12b-odroid-n2"
# What is asked -> what the refusal says: each names what there is.
REFUSED = {
    ("", "", ""): ["BOARD=rockchip/rk3399-nanopi-m4", r"BOARD=\? lists all"],
    ("rk3399-nanopi", "", ""): ["no such board among the 1[0-9]{3}", NANOPI, r"qcom \(\d+\)"],
    ("acme/board", "gpio:1", ""): ["no such board", r"rockchip \(\d+\)"],
    (NANOPI, "", "1"): ["GPIO=CONTROLLER:LINE", "gpio0, gpio1, gpio2, gpio3, gpio4"],
    (NANOPI, "gpio9:1", "1"): ["no controller 'gpio9'", "gpio0, gpio1, gpio2, gpio3, gpio4"],
    (NANOPI, "5", "1"): ["no controller ''", "gpio0, gpio1"],
    (NANOPI, "gpio0:32", "1"): ["gpio0 has no line '32'", "there are 0-31"],
    (NANOPI, "gpio0:x", "1"): ["gpio0 has no line 'x'", "there are 0-31"],
    (NANOPI, "gpio0:5", "1"): ["the line is in use: gpios of /gpio-keys/key-power",
                               "free are 0, 2-3"],
    (NANOPI, "gpio1:21", "1"): ["the line is in use: interrupts of /i2c@ff3c0000/pmic@1b"],
    (NANOPI, "gpio0:6", ""): ["no label for gpio0", "MERGE=1 makes a whole tree"],
    (NANOPI, "gpio0:6", "yes"): ["MERGE=yes: say MERGE=1"],
    (PI, "expgpio:1", ""): ["expgpio is no interrupt controller", "there are gpio"],
    (PI, "gpio:SCL9", ""): ["gpio has no line 'SCL9'", "there are 0-57"],
    (PINE, "pio:PC3", "1"): ["pio has no line 'PC3'", "PB0-PB31, PG0-PG31, PH0-PH31"],
    (ODROID, "gpio:1", "1"): ["no GPIO controller is an interrupt controller", "bank@40"],
    ("Makefile", "gpio:1", "1"): ["Makefile: not a device tree"],
}


@pytest.fixture(name="ask")
def fixture_ask(unpacked):
    """Runs the command as make does: ask(BOARD, GPIO, MERGE) is (status, output, errors).

    But for the package, which it would unpack each time.
    """
    OUT.mkdir(parents=True, exist_ok=True)

    def ask(board, gpio="", merge="", package=unpacked):
        done = subprocess.run(["scripts/overlay.py", package, board, gpio, merge], cwd=CLONE,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        return done.returncode, done.stdout, done.stderr
    return ask


@pytest.mark.parametrize("asked", REFUSED, ids="-".join)
def test_refuses_and_names_what_there_is(asked, ask):
    status, said, error = ask(*asked)
    assert (status, said) == (1, "")
    last = error.splitlines()[-1]
    assert last.startswith("overlay: ")
    for pattern in REFUSED[asked]:
        assert re.search(pattern, last), (pattern, last)


def test_lists_boards(package, trees, ask):
    status, said, _ = ask("?", package=package)
    lines = said.splitlines()
    assert status == 0 and len(lines) == len(trees)
    assert f"{PI}: Raspberry Pi 4 Model B" in lines
    assert f"{NANOPI}: FriendlyElec NanoPi M4 (MERGE=1 only)" in lines
    assert f"{ODROID}: Hardkernel ODROID-N2 (no controller with interrupts)" in lines


def test_lists_lines_and_who_uses_them(ask):
    status, said, _ = ask(NANOPI, "?")
    assert status == 0
    controllers = dict(part.split("\n", 1) for part in said.split("\n\n")[1:])
    first = controllers["gpio0 (/pinctrl/gpio@ff720000, rockchip,gpio-bank)"].splitlines()
    assert "  5: gpios of /gpio-keys/key-power" in first
    assert first[-1] == "  free: 0, 2-3, 6, 8, 11-12, 14-31"
    status, said, _ = ask(PI, "?")
    expander = "expgpio (/firmware/rpi-firmware/gpio, raspberrypi,firmware-gpio)"
    assert f"{expander}: no interrupt controller" in said
    assert re.search(r"^  42 \S+: gpios of /leds/led-act$", said, re.M), said
    assert re.search(r"^  free, with names: .*\b17 GPIO17\b", said, re.M), said


@pytest.mark.parametrize("line", ["17", "GPIO17"])
def test_overlay(line, trees, tmp_path, ask):
    status, said, _ = ask(PI, f"gpio:{line}")
    assert status == 0 and "a button on line 17 of gpio\n" in said
    assert "out/overlay/bcm2711-rpi-4-b.dtbo: fdtoverlay has applied it" in said
    assert "config.txt" in said and "\n    dtoverlay=bcm2711-rpi-4-b\n" in said
    merged = tmp_path / "merged.dtb"
    subprocess.run(["fdtoverlay", "-i", trees[PI], "-o", merged,
                    OUT / "bcm2711-rpi-4-b.dtbo"], check=True)
    tree = flat(merged)
    assert buttons(tree) == ["/button"]
    assert cells(tree["/button"]["interrupts"]) == [17, 2]
    assert interrupt_parent(tree, "/button") == "/soc/gpio@7e200000"
    assert (OUT / "bcm2711-rpi-4-b.dtso").read_text(encoding="utf-8").startswith("// SPDX")


def test_whole_tree(trees, ask):
    status, said, _ = ask(NANOPI, "gpio0:6", "1")
    assert status == 0 and "out/overlay/rk3399-nanopi-m4.dtb: the board's tree" in said
    assert "extlinux.conf" in said and "    fdt /boot/rk3399-nanopi-m4.dtb\n" in said
    tree = flat(OUT / "rk3399-nanopi-m4.dtb")
    assert cells(tree["/button"]["interrupts"]) == [6, 2]
    assert interrupt_parent(tree, "/button") == "/pinctrl/gpio@ff720000"
    assert "/__symbols__" not in tree and "/__symbols__" not in flat(trees[NANOPI])


def test_u_boot_takes_an_overlay(ask):
    status, said, _ = ask("ti/k3-am625-sk", "main_gpio0:0")
    assert status == 0, said
    assert "    fdtoverlays /boot/dtbo/k3-am625-sk.dtbo\n" in said
    assert "fdt apply ${fdtoverlay_addr_r}" in said


def test_banks(ask):
    status, said, _ = ask(PINE, "pio:PH9", "1")
    assert status == 0 and "a button on line PH9 of pio" in said
    assert cells(flat(OUT / "sun50i-a64-pine64.dtb")["/button"]["interrupts"]) == [7, 9, 2]


def test_file_of_a_tree(trees, ask):
    """Who boots the board is told by the tree, not by the file's name."""
    path = OUT / "given/given.dtb"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(trees[PI].read_bytes())
    asked = str(path.relative_to(CLONE)), "gpio:17"
    status, said, _ = ask(*asked)
    assert status == 0 and "out/overlay/given.dtbo" in said
    assert "\n    dtoverlay=given\n" in said and "extlinux" not in said
    status, said, _ = ask(*asked, "1")
    assert status == 0 and "out/overlay/given.dtb: the board's tree" in said
    assert "\n    device_tree=given.dtb\n" in said and "extlinux" not in said
    # It is not one of those that a run leaves.
    assert path.read_bytes() == trees[PI].read_bytes()
    path.write_bytes(trees[NANOPI].read_bytes())
    status, said, _ = ask(asked[0], "gpio0:6", "1")
    path.unlink()
    assert status == 0 and "extlinux.conf" in said and "config.txt" not in said


def test_line_that_a_made_tree_has_is_in_use(ask):
    assert ask(NANOPI, "gpio0:6", "1")[0] == 0
    status, _, error = ask("out/overlay/rk3399-nanopi-m4.dtb", "gpio0:6", "1")
    assert status == 1 and "the line is in use: interrupts of /button" in error


def test_unknown_cells(trees, ask):
    path = OUT / "cells.dtb"
    path.write_bytes(trees[PI].read_bytes())
    subprocess.run(["fdtput", "-t", "u", path, "/soc/gpio@7e200000", "#interrupt-cells", "4"],
                   check=True)
    status, _, error = ask(str(path.relative_to(CLONE)), "gpio:17")
    path.unlink()
    assert status == 1 and "an interrupt of gpio has 4 cells" in error
