# SPDX-License-Identifier: GPL-2.0
"""QEMU's Raspberry Pis: a row's kernel on one, with Debian's tree of the board and our overlay.

These models have no GPIO inputs, so no edge comes from outside: a press is an injected interrupt.
Of their serial ports one is good for a kernel's console. It is the command channel too: what
commands print has the highest bit set, as tests/guest/encode.c makes it.
"""

import re
import secrets
import select
import socket
import subprocess
import threading
from typing import NamedTuple, Sequence

from board.overlay import unpack
from guest import initramfs, qemu
from guest.devicetree import compile_overlay, run
from guest.guest import Guest
from guest.machine import COMMON
from guest.row import CLONE
from lab import PL061
from programs import program_for_guest

OVERLAY = CLONE / "dts/alloclab-overlay.dts"
# A parameter called gpio is no property with GPIOs, which dtc takes it for.
PARAMETER_GPIO = "-Wno-gpios_property"
HIGH = 0x80
SERIAL = "ttyAMA0"
READY = re.compile(r"^alloclab button: ready: irq (\d+)")


class Model(NamedTuple):
    """A model of QEMU."""

    board: str              # whose tree it takes
    uart: str               # the address of its first serial port
    disabled: Sequence[str]     # what the tree has and the model has not, by label


MODELS = {
    "raspi3b": Model("broadcom/bcm2837-rpi-3-b", "0x3f201000", []),
    "raspi4b": Model("broadcom/bcm2711-rpi-4-b", "0xfe201000",
                     ["aon_intr", "dvp", "ddc0", "ddc1", "hdmi0", "hdmi1"]),
}


def for_model(model):
    """An overlay that makes the board's tree fit the model, with a seed for its randomness."""
    # Without a seed, addresses are not hashed for the first seconds but left out. Bluetooth would
    # have the serial port.
    bodies = ["&{/chosen} { rng-seed = [" + secrets.token_hex(64) + "]; }",
              '&uart0 { bluetooth { status = "disabled"; }; }',
              *(f'&{label} {{ status = "disabled"; }}' for label in model.disabled)]
    return "/dts-v1/;\n/plugin/;\n" + "".join(f"{body};\n" for body in bodies)


class Split(threading.Thread):
    """Parts what a serial port says: the kernel's log goes to a file, replies to the channel."""

    def __init__(self, port, channel, log):
        super().__init__(daemon=True)
        self._port = port
        self._channel = channel
        self._log = log

    def run(self):
        """Do it until either end is closed."""
        half = b""
        with self._port, self._channel, open(self._log, "ab", buffering=0) as log:
            while True:
                for ready in select.select([self._port, self._channel], [], [])[0]:
                    try:
                        data = ready.recv(65536)
                        if ready is self._channel:
                            self._port.sendall(data)
                        else:
                            log.write(bytes(byte for byte in data if byte < HIGH))
                            half += bytes(byte & 15 for byte in data if byte >= HIGH)
                            whole = len(half) // 2 * 2
                            self._channel.sendall(bytes(
                                half[at] << 4 | half[at + 1] for at in range(0, whole, 2)))
                            half = half[whole:]
                    except OSError:
                        return
                    if not data:
                        return


class PiGuest(Guest):
    """A guest on a model of a Raspberry Pi; the overlay of QEMU's virt machine becomes the Pi's."""

    def __init__(self, row, log, *, model, **others):
        others.pop("memory", None)
        others.pop("cpus", None)
        super().__init__(row, log, **others)
        self._model = MODELS[model]
        self._name = model

    def _tree(self, directory):
        package = subprocess.run(
            [CLONE / "scripts/kernel/kernel.sh", "trees", self.row.name], cwd=CLONE,
            stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        base = unpack(package, directory)[self._model.board]
        compiled = []
        for number, overlay in enumerate([*self._overlays, for_model(self._model)]):
            source, target = directory / f"{number}.dtso", directory / f"{number}.dtbo"
            if overlay == PL061:
                source = OVERLAY
            else:
                source.write_text(overlay, encoding="utf-8")
            compile_overlay(source, target, strict=source is OVERLAY, less=[PARAMETER_GPIO])
            compiled.append(target)
        merged = directory / "merged.dtb"
        run("fdtoverlay", "-i", base, "-o", merged, *compiled)
        return merged

    def _command_line(self, directory):
        encode = program_for_guest(CLONE / "tests/guest/encode.c", "aarch64-linux-gnu-")
        init = initramfs.CHANNEL.replace(
            "cat /run/replies >&3", "chmod +x /root/encode; /root/encode </run/replies >&3")
        assert init != initramfs.CHANNEL
        return qemu.boot(
            self.row, directory, init,
            {**self._files, "root/encode": encode, "etc/channel": SERIAL},
            ["qemu-system-aarch64", "-M", self._name, *COMMON, "-serial", "chardev:channel"],
            self._tree(directory), SERIAL, f"earlycon=pl011,mmio32,{self._model.uart} "
            + qemu.strict(self.row, self._append))

    def _channel_ends(self):
        ours, inner = socket.socketpair()
        outer, port = socket.socketpair()
        Split(outer, inner, self.log.path).start()
        return ours, port

    def press(self):
        """Inject an interrupt of the button: its line has no input."""
        irq = [match for match in map(READY.match, self.log.lines()) if match][-1][1]
        self.sh(f"insmod /root/alloclab_inject.ko irq={irq} count=1 cpus=0 gap_us=0 && "
                "rmmod alloclab_inject")

    def power_off(self, timeout=30):
        """End it: its power cannot be turned off from inside."""
        self.mark()
        self._command("quit", "quit")
        self._process.wait(timeout)
