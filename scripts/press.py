#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make press: press the button of the guest that `make shell` runs in this clone."""

import asyncio
import logging
import os
import sys

from qemu.qmp import QMPClient, QMPError

from guest.button import COMMAND, PRESS_SECONDS
from shell import DIRECTORY, SOCKET

PATIENCE_SECONDS = 10


async def press():
    """Press once and wait until the next press would be one of its own."""
    monitor = QMPClient("press")
    await asyncio.wait_for(monitor.connect(SOCKET), PATIENCE_SECONDS)
    try:
        await asyncio.wait_for(monitor.execute(COMMAND), PATIENCE_SECONDS)
        await asyncio.sleep(PRESS_SECONDS)
    finally:
        await monitor.disconnect()


def main():
    """Press; return the exit status."""
    # What goes wrong is said below, once.
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)
    try:
        os.chdir(DIRECTORY)
        asyncio.run(press())
    except (QMPError, OSError, TimeoutError):
        print("press: no guest is running in this clone; start one with `make shell` "
              "in another terminal", file=sys.stderr)
        return 1
    print("pressed: see the other terminal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
