# SPDX-License-Identifier: GPL-2.0
"""A guest of which QEMU traces each instruction."""

import re

from guest.guest import Guest

# Modules lie there with nokaslr, and nothing else.
MODULES = "0xffff800000000000..0xffff80007fffffff"
PC = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
# QEMU was about to carry out what it has traced, and will come back to it.
STOPPED = re.compile(r"^Stopped execution of TB chain before 0x[0-9a-f]+ \[([0-9a-f]+)\]")


def addresses(lines):
    """Of which instructions a trace is, in order: their addresses."""
    last = None
    for line in lines:
        match = PC.match(line)
        if match:
            if last:
                yield int(last, 16)
            last = match[1]
        else:
            match = STOPPED.match(line)
            if match and match[1] == last:
                last = None
    if last:
        yield int(last, 16)


class Traced(Guest):
    """A guest of which QEMU traces what is at the addresses `where`, when it is told to."""

    driver = "alloclab"
    where = MODULES
    trace = None
    # Where QEMU goes on in the file, whatever was cut off before.
    end = 0

    def _command_line(self, directory):
        self.trace = directory / "trace"
        return [*super()._command_line(directory), "-D", str(self.trace), "-dfilter", self.where]

    def monitor(self, line):
        """Have QEMU's monitor carry out a line for people."""
        self._command(line, "human-monitor-command", **{"command-line": line})

    def traced(self, action, read):
        """What `read` makes of the addresses at which the guest is during an action, in order."""
        self.monitor("one-insn-per-tb on")
        self.monitor("log nochain,exec")
        action()
        self.monitor("log none")
        self.monitor("one-insn-per-tb off")
        self.monitor("stop")
        with open(self.trace, encoding="utf-8") as lines:
            lines.seek(self.end)
            found = read(addresses(lines))
        self.end = self.trace.stat().st_size
        self.trace.write_bytes(b"")
        self.monitor("cont")
        return found
