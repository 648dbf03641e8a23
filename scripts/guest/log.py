# SPDX-License-Identifier: GPL-2.0
"""The kernel log of a guest."""

import re

TAIL_LINES = 30
TIMESTAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


class Log:
    """The kernel log that a serial port writes into a file, read as it grows."""

    def __init__(self, path):
        self.path = path
        self._lines = []
        self._offset = 0
        self._rest = b""

    def __len__(self):
        """The number of whole lines so far."""
        return len(self.lines())

    def lines(self, start=0):
        """The whole lines from line number `start` on, without their timestamps."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        # A line without its end is still being written.
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._lines += [TIMESTAMP.sub("", line.decode("utf-8", "replace").replace("\r", ""))
                        for line in whole]
        return self._lines[start:]

    def tail(self):
        """The last lines, to be shown with an error."""
        lines = self.lines()[-TAIL_LINES:] or ["(empty)"]
        return f"last lines of {self.path}:\n" + "\n".join(f"    {line}" for line in lines)
