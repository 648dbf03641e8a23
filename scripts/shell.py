#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make shell: the demo's guest on the user's terminal; `make press` presses its button."""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from guest import initramfs, qemu
from guest.command import command_files
from guest.devicetree import TreeError
from guest.guest import interrupted
from guest.row import CLONE, Row, RowError

# QEMU and `make press` use the socket by its name alone, from inside the
# directory: the whole path could be too long for a socket.
DIRECTORY = CLONE / "out/shell"
SOCKET = "monitor"

MOTD = """
The button is ready, the module is loaded. Things to try:

    make press                             in another terminal, same clone
    alloclab watch                         a live screen; p presses, q leaves
    alloclab set method=vmalloc size=2M    for the next allocation
    alloclab press; alloclab status        a press without a finger, and what came of it
    cd /sys/kernel/debug/alloclab/button
    cat method stats live                  what the command reads
    grep "$(sed -n 's/^address: //p' live)" /proc/vmallocinfo
    rmmod alloclab; insmod /root/alloclab.ko

Leave with poweroff, or Ctrl-A X.

"""


def command_line(row, directory):
    """The command line of the guest whose files are in `directory`."""
    columns, lines = os.get_terminal_size()
    files = {"root/alloclab.ko": row.product("alloclab.ko"), "etc/motd": MOTD,
             **command_files(row),
             "etc/profile": initramfs.PROFILE + f"stty rows {lines} cols {columns}\n"}
    return [*qemu.command_line(row, directory, initramfs.TERMINAL, files, ["chardev:terminal"],
                               overlays=[CLONE / "dts/virt-pl061.dtso"]),
            "-chardev", "stdio,id=terminal,mux=on,signal=off,logfile=serial.log",
            "-mon", "chardev=terminal,mode=readline",
            "-qmp", f"unix:{SOCKET},server=on,wait=off"]


def main():
    """Run the guest until it is left; return the exit status."""
    parser = argparse.ArgumentParser(description="The main job of `make shell`.")
    parser.add_argument("--kernel", default="debian", help="a row of scripts/kernel/table")
    row = Row.find(parser.parse_args().kernel)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.exit("shell: needs a terminal; `make demo` runs without one")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with open(DIRECTORY / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("shell: a guest of this clone is running already; "
                     "`make press` presses its button")
        settings = termios.tcgetattr(sys.stdin)
        socket = DIRECTORY / SOCKET
        socket.unlink(missing_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
                command = command_line(row, Path(directory))
                print(f"Booting {row.release} (leave: poweroff, or Ctrl-A X)", flush=True)
                status = subprocess.run(command, cwd=DIRECTORY, check=False).returncode
        finally:
            socket.unlink(missing_ok=True)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        if status != 0:
            print(f"shell: QEMU ended with status {status}", file=sys.stderr)
        return 1 if status else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    try:
        sys.exit(main())
    except (RowError, TreeError) as error:
        sys.exit(f"shell: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
