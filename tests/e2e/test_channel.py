# SPDX-License-Identifier: GPL-2.0
"""The tests' own way to a guest: a request arrives whole, whatever an earlier one left running."""

import pytest

from lab import STANDARD

BOOT = STANDARD
pytestmark = pytest.mark.wide
REQUESTS = 20
# It is read byte by byte, which takes its time.
LONG = 2000


def test_request_is_whole_while_what_was_left_running_ends(guest):
    # One after the other, as long as the requests take and longer.
    guest.sh(f"(for i in $(seq {20 * REQUESTS}); do (usleep 20000 &) ; usleep 2000; done) &")
    for number in range(REQUESTS):
        text = f"{number} {'x' * LONG}"
        assert guest.sh(f"echo {text}") == f"{text}\n"
    guest.sh("while ps | grep -q [u]sleep; do usleep 100000; done", 300)
