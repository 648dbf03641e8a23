# SPDX-License-Identifier: GPL-2.0
"""The button on line 3 of a guest's PL061, which QEMU's monitor presses from outside."""

import time

# QEMU holds the button's line for 100 ms: presses that are closer merge.
PRESS_SECONDS = 0.12
# To QEMU's virt machine this button is the one for power.
COMMAND = "system_powerdown"


class Button:
    """The button; `command` has the monitor carry out a command: command(what it is for, name)."""

    def __init__(self, command):
        self._command = command
        self._pressed = 0.0

    def press(self):
        """Press once. The falling edge comes 100 ms later, when QEMU lets the line go."""
        left = self._pressed + PRESS_SECONDS - time.monotonic()
        if left > 0:
            time.sleep(left)
        self._command("press", COMMAND)
        self._pressed = time.monotonic()
