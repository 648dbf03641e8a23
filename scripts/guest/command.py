# SPDX-License-Identifier: GPL-2.0
"""The command, built for guests: see user/."""

import subprocess
from pathlib import Path

from guest.row import CLONE, RowError

# The machines that it is built for; it is 64 bits wide.
MACHINES = ("amd64", "arm64")


def command_files(row):
    """The files of a row's guest: its path there -> the program; none on other machines."""
    if row.arch not in MACHINES:
        return {}
    done = subprocess.run([CLONE / "scripts/user.sh", "program", row.arch], cwd=CLONE,
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RowError(f"scripts/user.sh program {row.arch} failed")
    return {"bin/alloclab": Path(done.stdout.strip())}
