#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make overlay: an overlay with a button for any board whose tree Debian ships.

Leaves it in out/overlay/, and says how the board's boot takes it.
"""

import argparse
import difflib
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from board.overlay import make, trees_in, unpack
from board.tree import Board, BoardError
from guest.guest import interrupted
from guest.row import CLONE

OUT = CLONE / "out/overlay"
ASK = "?"
CLOSE = 8
# How the root node's compatible begins on a board that Raspberry Pi's firmware boots.
PI = "raspberrypi,"
# How a boot takes it: an overlay, a whole tree; {file} is the file's name, {stem} without its end.
BY_CONFIG_TXT = ("""\
Raspberry Pi's firmware: copy {file} to the folder overlays of the boot partition
(on a running system /boot/firmware/overlays), and add this line to config.txt there:
    dtoverlay={stem}
The overlay of doc/board-raspberry-pi.md sets the pull-up, too, and has parameters.
""", """\
Raspberry Pi's firmware: copy {file} to the boot partition (on a running system
/boot/firmware), and add this line to config.txt there:
    device_tree={file}
""")
BY_U_BOOT = ("""\
Debian's u-boot-menu: copy {file} to /boot/dtbo/ and run u-boot-update.
extlinux.conf by hand: after the line fdt or fdtdir of the entry, add
    fdtoverlays /boot/dtbo/{file}
U-Boot's prompt, before booti; 0:1 is the partition that /boot/dtbo is on:
    fdt addr ${{fdt_addr_r}}; fdt resize 8192
    load mmc 0:1 ${{fdtoverlay_addr_r}} /boot/dtbo/{file}; fdt apply ${{fdtoverlay_addr_r}}
UEFI with GRUB takes whole trees only: MERGE=1.
""", """\
Debian's u-boot-menu: copy {file} to /boot, set U_BOOT_FDT="/boot/{file}" in /etc/default/u-boot,
and run u-boot-update.
extlinux.conf by hand: in place of the line fdt or fdtdir of the entry, write
    fdt /boot/{file}
U-Boot's prompt, before booti; 0:1 is the partition that /boot is on:
    load mmc 0:1 ${{fdt_addr_r}} /boot/{file}
UEFI with GRUB: in the entry of grub.cfg, after the line linux, add
    devicetree /boot/{file}
""")
UNTOLD = """\
No tree tells which function the pin of the line has now, or whether it has a pull-up: see
doc/boards.md.
"""


def list_boards(boards):
    """Print the boards."""
    for name, path in boards.items():
        board = Board(path)
        missing = ("no controller with interrupts" if not board.usable() else
                   "" if board.symbols else "MERGE=1 only")
        print(f"{name}: {board.model}" + (f" ({missing})" if missing else ""))


def list_lines(name, board):
    """Print a board's controllers, their lines and who uses them."""
    print(f"{name}: {board.model}" + ("" if board.symbols else
                                      "; no labels in its tree: MERGE=1 only"))
    for controller in board.controllers:
        why = ("" if controller in board.usable() else ": disabled" if controller.has_interrupts
               else ": no interrupt controller")
        print(f"\n{controller.name} ({controller.node.path}, {controller.compatible[0]}){why}")
        if why:
            continue
        for line, users in sorted(controller.users.items()):
            title = controller.title(line)
            print(f"  {controller.text(line)}{f' {title}' if title else ''}: {'; '.join(users)}")
        named = [f"{controller.text(line)} {controller.title(line)}" for line in controller.free
                 if controller.title(line)]
        if named:
            print(f"  free, with names: {', '.join(named)}")
        print(f"  free: {controller.shown(controller.free)}"
              + ("" if controller.lines else "; the tree does not tell how many lines there are"))


def find(text, boards):
    """The name and the tree of the board that a text means."""
    if text in boards:
        return text, boards[text]
    found = [name for name in boards if name.rpartition("/")[2] == text]
    if len(found) == 1:
        return found[0], boards[found[0]]
    vendors = Counter(name.partition("/")[0] for name in boards)
    close = [name for name in boards if text and text.rpartition("/")[2] in name] or \
        difflib.get_close_matches(text, boards, CLOSE, 0.5)
    raise BoardError(
        f"BOARD={text}: no such board among the {len(boards)} that Debian ships, and no such file; "
        + (f"there are {', '.join(close[:CLOSE])}; " if close else "")
        + "BOARD=? lists all, of "
        + ", ".join(f"{vendor} ({number})" for vendor, number in sorted(vendors.items())))


def overlay(name, path, gpio, whole):
    """Make what was asked for, and say how the board takes it."""
    board = Board(path)
    if gpio == ASK:
        return list_lines(name, board)
    if not gpio:
        raise BoardError(f"say which line: GPIO=CONTROLLER:LINE, where the controllers of {name} "
                         f"are {', '.join(one.name for one in board.usable()) or 'none'}; GPIO=? "
                         "shows their lines")
    controller, line = board.find(gpio)
    OUT.mkdir(parents=True, exist_ok=True)
    made = make(name, board, controller, line, OUT / name.rpartition("/")[2], whole)
    print(f"{name} ({board.model}): a button on line {controller.text(line)} of {controller.name}\n"
          f"{made.relative_to(CLONE)}: "
          + ("the board's tree with the button" if whole else "fdtoverlay has applied it to the "
             "board's tree") + "\n")
    is_pi = any(text.startswith(PI) for text in board.root.strings("compatible"))
    ways = BY_CONFIG_TXT if is_pi else BY_U_BOOT
    print(ways[1 if whole else 0].format(file=made.name, stem=made.name.rpartition('.')[0]))
    return print(UNTOLD, end="")


def main():
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description="The main job of `make overlay`.")
    parser.add_argument("package", help="Debian's package with the trees, linux-base, or where it "
                        "was unpacked")
    parser.add_argument("board", help="VENDOR/NAME, the file of a tree, or ?")
    parser.add_argument("gpio", help="CONTROLLER:LINE, or ?")
    parser.add_argument("merge", help="1: a whole tree")
    said = parser.parse_args()
    if said.merge not in ("", "0", "1"):
        raise BoardError(f"MERGE={said.merge}: say MERGE=1 for a whole tree, or nothing")
    if not said.board:
        raise BoardError("say which board: BOARD=VENDOR/NAME, as in "
                         "BOARD=rockchip/rk3399-nanopi-m4, or the file of its tree; BOARD=? lists "
                         "all")
    whole, path, package = said.merge == "1", Path(said.board), Path(said.package)
    if path.is_file():
        return overlay(path.stem, path, said.gpio, whole)
    with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
        boards = trees_in(package) if package.is_dir() else unpack(package, Path(directory))
        if said.board == ASK:
            return list_boards(boards)
        return overlay(*find(said.board, boards), said.gpio, whole)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    try:
        main()
    except BoardError as error:
        sys.exit(f"overlay: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
