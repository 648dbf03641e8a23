# SPDX-License-Identifier: GPL-2.0
"""A guest: a kernel row booted in QEMU, with commands run in it and a button to press."""

import functools
import re
import secrets
import select
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from guest import initramfs, qemu
from guest.button import Button
from guest.log import Log
from guest.machine import machine_of

BOOT_SECONDS = 300
# What a command may take, unless told otherwise. A search of /proc/kallsyms took more than 30 s
# where all detectors were on and the host was busy.
COMMAND_SECONDS = 120
# The size of a page among what a kernel tells a program at its start.
AT_PAGESZ = 6


class GuestError(Exception):
    """The guest did not do what was asked of it."""


class Result(NamedTuple):
    """What a command in the guest left: its status and its output, both streams."""

    status: int
    output: str


class Guest:
    """A guest; a `with` statement starts it and ends QEMU in every case."""

    def __init__(self, row, log, *, overlays=(), files=None, memory=qemu.MEMORY_MB,
                 cpus=qemu.CPUS, append="", firmware=False, devices=(), counting=False):
        self.row = row
        self.log = Log(Path(log))
        self._overlays = list(overlays)
        self._files = dict(files or {})
        self._memory = memory
        self.cpus = cpus
        self._append = append
        self._firmware = firmware
        self._devices = devices
        self._counting = counting
        self._directory = None
        self._process = None
        self._channel = None
        self._monitor = None
        self._received = b""
        self._button = Button(self._command)
        self._passed = []       # files that QEMU gets besides
        self._marks = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Boot, and wait until commands can be run."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        self._directory = tempfile.TemporaryDirectory(prefix="alloclab-")
        directory = Path(self._directory.name)
        self.log.path.parent.mkdir(parents=True, exist_ok=True)
        self.log.path.write_bytes(b"")
        command = self._command_line(directory)
        # Sockets go to QEMU as open files: a path could be too long for one.
        self._channel, channel = self._channel_ends()
        monitor, monitor_end = socket.socketpair()
        with channel, monitor_end:
            command += ["-chardev", f"socket,id=channel,fd={channel.fileno()}",
                        "-chardev", f"socket,id=monitor,fd={monitor_end.fileno()}",
                        "-mon", "chardev=monitor,mode=control"]
            with open(directory / "qemu", "wb") as said:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                    pass_fds=[channel.fileno(), monitor_end.fileno(), *self._passed])
        try:
            self._monitor = QEMUMonitorProtocol(monitor)
            self._monitor.settimeout(60)
            self._monitor.connect()
        except (QMPError, OSError) as error:
            raise self._failure(f"QEMU's monitor does not answer: {error}") from error
        self._reply("ready", "boot", BOOT_SECONDS)
        self.row.note_boot()

    def _command_line(self, directory):
        """QEMU's, without the channel and the monitor; what it reads is put in `directory`."""
        command = qemu.command_line(
            self.row, directory, initramfs.CHANNEL,
            {**self._files, "etc/channel": f"{machine_of(self.row).serial}1"},
            [qemu.to_file(self.log.path), "chardev:channel"], overlays=self._overlays,
            memory=self._memory, cpus=self.cpus, append=qemu.strict(self.row, self._append),
            firmware=self._firmware, devices=self._devices)
        return [*command, *(qemu.COUNTING if self._counting else [])]

    def _channel_ends(self):
        """The sockets of the command channel: ours and QEMU's."""
        return socket.socketpair()

    def close(self):
        """End QEMU and remove the run's files; the log stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._monitor is not None:
            try:
                self._monitor.close()
            except (QMPError, OSError, EOFError):
                pass
            self._monitor = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    @property
    def running(self):
        """Whether QEMU is there and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _failure(self, what):
        text = [what]
        if self._process is not None and self._process.poll() is not None:
            text.append(f"QEMU has ended with status {self._process.returncode}")
            said = (Path(self._directory.name) / "qemu").read_text(errors="replace").strip()
            if said:
                text.append(f"QEMU said: {said}")
        panic = [line for line in self.log.lines() if "Kernel panic" in line]
        text += panic[:1]
        return GuestError("\n".join(text + [self.log.tail()]))

    # Commands.

    def _receive(self, until, what):
        """Read once from the command channel, at most until the time `until`."""
        left = until - time.monotonic()
        if left <= 0:
            error = self._failure(f"{what}: no answer from the guest in time")
            # Nothing can be asked of it any more.
            self._process.kill()
            self._process.wait()
            raise error
        if select.select([self._channel], [], [], left)[0]:
            try:
                data = self._channel.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                try:
                    self._process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
                raise self._failure(f"{what}: the guest has stopped")
            self._received += data

    def _reply(self, token, what, timeout):
        until = time.monotonic() + timeout
        end = re.compile(rb"%b (\d+)\n" % token.encode())
        while True:
            match = end.search(self._received)
            if match:
                output = self._received[:match.start()]
                self._received = self._received[match.end():]
                return Result(int(match[1]), output.decode("utf-8", "replace"))
            self._receive(until, what)

    def _send(self, script):
        """Send a script; return the token that ends the reply."""
        token = secrets.token_hex(8)
        lines = script.split("\n")
        text = "\n".join([f"{token} {len(lines)}", *lines, ""])
        try:
            self._channel.sendall(text.encode())
        except OSError as error:
            raise self._failure(f"{script}: the guest has stopped") from error
        return token

    def run(self, command, timeout=COMMAND_SECONDS):
        """Run a shell script in the guest, as root."""
        return self._reply(self._send(command), command, timeout)

    def sh(self, command, timeout=COMMAND_SECONDS):
        """Run a shell script that has to succeed; return its output."""
        result = self.run(command, timeout)
        if result.status != 0:
            raise GuestError(f"{command}: status {result.status}\n{result.output}")
        return result.output

    @functools.cached_property
    def page_size(self):
        """The bytes of a page, as the guest's kernel tells its programs."""
        data = bytes.fromhex(self.sh("od -A n -v -t x1 /proc/self/auxv"))
        size = self.row.word_bytes
        words = [int.from_bytes(data[at:at + size], "little") for at in range(0, len(data), size)]
        return dict(zip(words[::2], words[1::2]))[AT_PAGESZ]

    @functools.cached_property
    def largest_block(self):
        """The bytes of the page allocator's largest block: /proc/buddyinfo has all orders."""
        orders = self.sh("head -n 1 /proc/buddyinfo").split()[4:]
        return self.page_size << len(orders) - 1

    # The kernel log.

    def mark(self):
        """Write a marker into the kernel log; return the number of the line after it.

        All that was logged before the marker is then in the file too.
        """
        self._marks += 1
        text = f"alloclab-mark {self._marks}"
        start = len(self.log)
        self.sh(f"echo '{text}' >/dev/kmsg")
        return self.wait_log(f"^{text}$", start, what="a marker")[0] + 1

    def log_since(self, start):
        """The log's lines from line `start` to now."""
        end = self.mark() - 1
        return self.log.lines()[start:end]

    def wait_log(self, pattern, start=0, timeout=60, what=None):
        """Wait until a line from line `start` on matches; return (its number, the match)."""
        until = time.monotonic() + timeout
        wanted = re.compile(pattern)
        while True:
            ended = not self.running
            lines = self.log.lines(start)
            for number, line in enumerate(lines, start):
                match = wanted.search(line)
                if match:
                    return number, match
            # Whole lines do not change: they need no second look.
            start += len(lines)
            if ended or time.monotonic() > until:
                raise self._failure(f"{what or pattern}: not in the kernel log")
            time.sleep(0.01)

    # QEMU's monitor.

    def press(self):
        """Press the button, from outside the guest."""
        self._button.press()

    def _command(self, what, name, **arguments):
        """Have QEMU's monitor carry out a command; `what` is said when it does not."""
        try:
            self._monitor.cmd(name, **arguments)
        except (QMPError, OSError, TimeoutError) as error:
            raise self._failure(f"{what}: {error}") from error

    def plug(self, driver, name, **properties):
        """Plug a device in, as QEMU calls it; it gets a name to be pulled by."""
        self._command(f"plug {driver}", "device_add", driver=driver, id=name, **properties)

    def pull(self, name):
        """Pull a device out."""
        self._command(f"pull {name}", "device_del", id=name)

    def physical(self, address, size):
        """The bytes of the guest's memory at a physical address, as QEMU sees them."""
        with tempfile.NamedTemporaryFile(dir=self._directory.name) as file:
            self._command(f"memory at {address:#x}", "pmemsave",
                          val=address, size=size, filename=file.name)
            return Path(file.name).read_bytes()

    def power_off(self, timeout=30):
        """Power the guest off and wait until QEMU has ended."""
        self._send("poweroff -f")
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise self._failure("power off: QEMU has not ended") from error
        if status != 0:
            raise self._failure("power off")


def interrupted(*_):
    """A signal handler: end by an exception, so that guests are closed."""
    raise SystemExit(130)
