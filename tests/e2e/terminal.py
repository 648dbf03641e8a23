# SPDX-License-Identifier: GPL-2.0
"""A guest with a serial terminal, and the terminal emulator that shows what is written to it."""

import itertools
import re
import select
import socket
import time
from xml.sax.saxutils import escape

import pyte

from guest.guest import Guest

DEVICE = "/dev/ttyS0"
# Waits for the end of the last session. Its first process ends then, and the kernel hangs up its
# terminal, for whoever has opened it already, too.
ENDED = "while kill -0 $(cat /tmp/session) 2>/dev/null; do usleep 20000; done"
# Of a cell in a picture, in units of SVG.
WIDTH, HEIGHT = 8, 17
USUAL = "#d8d8d8"


class TerminalGuest(Guest):
    """A guest with a third serial port, on its PCI bus, that leads to `terminal`."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.terminal, self._end = socket.socketpair()
        self._passed = [self._end.fileno()]

    def _command_line(self, directory):
        return [*super()._command_line(directory),
                "-chardev", f"socket,id=terminal,fd={self._end.fileno()}",
                "-device", "pci-serial,chardev=terminal"]

    def close(self):
        """End QEMU, and the terminal."""
        super().close()
        self.terminal.close()
        self._end.close()


class Terminal:
    """What is on the screen of a terminal."""

    def __init__(self, guest, columns=80, lines=24):
        self._guest = guest
        self._socket = guest.terminal
        self.written = b""
        self._emulate(columns, lines)
        # A terminal that nobody has open forgets its settings.
        guest.sh(f"[ -e /tmp/holder ] || {{ sleep 100000 <>{DEVICE} & echo $! >/tmp/holder; }}")
        guest.sh(f"{ENDED}; stty -F {DEVICE} 115200 sane")
        self.resize(columns, lines)

    def _emulate(self, columns, lines):
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)

    def resize(self, columns, lines):
        """Make it another size; the program that has it gets a signal. What was shown is gone."""
        self._emulate(columns, lines)
        self._guest.sh(f"stty -F {DEVICE} rows {lines} cols {columns}")

    def run(self, command):
        """Start a command that has the terminal, which is empty then; return its process id."""
        self._screen.reset()
        # When the first process of a session ends, what it has just written may be lost.
        return int(self._guest.sh(
            f"touch /tmp/session; rm -f /tmp/pid; {ENDED}; "
            "setsid -c sh -c 'trap : INT; "
            f'sh -c "echo \\$\\$ >/tmp/pid; exec {command}"; sleep 1'
            f"' <{DEVICE} >{DEVICE} 2>&1 & echo $! >/tmp/session; "
            "until [ -s /tmp/pid ]; do usleep 20000; done; cat /tmp/pid"))

    def forget(self):
        """Have it forget its size, as a terminal does that nobody has open."""
        self._guest.sh("kill $(cat /tmp/holder); rm /tmp/holder; sleep 0.5")

    def type(self, text):
        """Type a text."""
        self._socket.sendall(text.encode())

    def read(self, seconds):
        """Show what is written within so many seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                data = self._socket.recv(65536)
                self.written += data
                self._stream.feed(data)

    @property
    def lines(self):
        """The lines of the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def colours(self):
        """The colours of what is on the screen, but for the usual one."""
        return {cell.fg for line in self._screen.buffer.values()
                for cell in line.values()} - {"default"}

    def wait(self, wanted, seconds=20):
        """Wait until a line contains the text; return that line."""
        until = time.monotonic() + seconds
        while True:
            self.read(0.1)
            found = [line for line in self.lines if wanted in line]
            if found:
                return found[0]
            assert time.monotonic() < until, "\n".join([f"not shown: {wanted}", *self.lines])

    def settled(self, quiet=1, seconds=20):
        """Wait until nothing was written for so long; return the lines of the screen."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            before = len(self.written)
            self.read(quiet)
            if len(self.written) == before:
                return self.lines
        raise AssertionError("\n".join(["more is written all the time", *self.lines]))

    def svg(self):
        """The screen as a picture."""
        columns, lines = self._screen.columns, self._screen.lines
        width, height = (columns + 2) * WIDTH, (lines + 1) * HEIGHT
        text = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                f'font-family="DejaVu Sans Mono, monospace" font-size="{WIDTH / 0.602:.2f}">',
                f'<rect width="{width}" height="{height}" rx="6" fill="#1c1f24"/>']
        for number in range(lines):
            cells = [self._screen.buffer[number][column] for column in range(columns)]
            column = 0
            for (colour, bold), run in itertools.groupby(cells, lambda cell: (cell.fg, cell.bold)):
                said = "".join(cell.data for cell in run)
                fill = USUAL if colour == "default" else f"#{colour}"
                weight = ' font-weight="bold"' if bold else ""
                # Each word at its place, whatever font there is.
                text += [f'<text x="{(column + 1 + word.start()) * WIDTH}" '
                         f'y="{(number + 1) * HEIGHT}" fill="{fill}"{weight}>'
                         f'{escape(word[0])}</text>' for word in re.finditer(r"\S+", said)]
                column += len(said)
        return "\n".join([*text, "</svg>", ""])
