# SPDX-License-Identifier: GPL-2.0
"""What `alloclab watch` costs while nothing happens, on a processor that carries out one
instruction a nanosecond. So no load of the host changes it."""

import pytest

from lab import STANDARD

pytestmark = [pytest.mark.ours, pytest.mark.command, pytest.mark.terminal]
BOOT = STANDARD._replace(name="counting", terminal=True, counting=True)
SECONDS = 15
PERCENT = 2


def percent(guest, pid):
    """How much of the processor a process has in the next seconds."""
    before, after = map(int, guest.sh(
        f"cut -d ' ' -f 1 /proc/{pid}/schedstat; sleep {SECONDS}; "
        f"cut -d ' ' -f 1 /proc/{pid}/schedstat").split())
    return (after - before) / SECONDS / 10 ** 9 * 100


def test_idle(terminal, guest, button):
    """It costs little, and does not read pages again that it knows."""
    used = {}
    for size in [4096, 4 << 20]:
        button.hold(method="vmalloc", size=size)
        pid = terminal.run(f"env TERM=linux /bin/alloclab watch {button.name}")
        terminal.wait(f"vmalloc {size} bytes ")
        terminal.settled()
        used[size] = percent(guest, pid)
        guest.sh(f"kill {pid}")
        button.press()
    few, many = used.values()
    # It polls, at least.
    assert 0 < many <= PERCENT, used
    assert many < few * 1.2, used
