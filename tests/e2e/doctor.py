# SPDX-License-Identifier: GPL-2.0
"""What tests of scripts/doctor share: how it is asked, and what is true of a guest."""

import json
from typing import NamedTuple

CONFIG = "/boot/config-$(uname -r)"
# A slow kernel takes its time for a shell's hundreds of processes.
SECONDS = 240
BUILDING, PRESSING = 1, 4
OK, MISSING, UNKNOWN = "ok", "missing", "cannot tell"


class Looked(NamedTuple):
    """What doctor said."""

    verdicts: dict      # name of the check -> verdict
    found: dict         # name -> what it found
    said: dict          # the whole answer


class Doctor:
    """scripts/doctor in a guest."""

    def __init__(self, guest):
        self.guest = guest

    def look(self, options="--no-press"):
        """What it says, with the status that it says too."""
        result = self.guest.run(f"/root/doctor --json {options}", SECONDS)
        return self._parse(result.output, result.status)

    def look_at_press(self):
        """The same with a press from outside, when it asks for one."""
        def wait(condition):
            self.guest.sh(f"n={SECONDS}; until {condition}; do sleep 1; n=$((n - 1)); "
                          "[ $n -gt 0 ] || exit 1; done", SECONDS)

        self.guest.sh("(/root/doctor --json --wait=120 >/tmp/said 2>/tmp/asked; "
                      "echo $? >/tmp/status) >/dev/null 2>&1 &")
        wait("grep -q 'press the button now' /tmp/asked")
        self.guest.press()
        wait("[ -s /tmp/status ]")
        status = int(self.guest.sh("cat /tmp/status"))
        return self._parse(self.guest.sh("cd /tmp; cat said; rm said asked status"), status)

    @staticmethod
    def _parse(output, status):
        said = json.loads(output)
        assert status == said["status"]
        checks = said["checks"]
        assert all(bool(check["remedy"]) == (check["verdict"] != OK) for check in checks), checks
        return Looked({check["name"]: check["verdict"] for check in checks},
                      {check["name"]: check["found"] for check in checks}, said)

    def __enter__(self):
        """Put the kernel's configuration where Debian has it."""
        self.guest.sh(f"mkdir /boot && cp /root/config {CONFIG}")
        return self

    def __exit__(self, *_):
        if self.guest.running:
            self.guest.sh("rm -r /boot")


def truth(row):
    """The verdicts that are true of a guest where nothing is taken away."""
    config = row.config()
    own = {
        "configuration": OK, "rustc": MISSING, "headers": MISSING, "metadata": MISSING,
        "cma": OK if int(config.get("CMA_SIZE_MBYTES", "0")) else MISSING,
        "hard-context": MISSING if config.get("PREEMPT_RT") == "y" else OK,
        "overlays": OK if config.get("OF_OVERLAY") == "y" else MISSING,
        # Nobody has mounted what would tell it.
        "lockdown": UNKNOWN if config.get("SECURITY_LOCKDOWN_LSM") == "y" else OK,
        "device-tree": OK if row.tree else MISSING,
        "symbols": OK if row.tree else UNKNOWN,
        "node": OK if row.tree else MISSING,
    }
    same = ["architecture", "kernel", "rust", "page-size", "debugfs", "interrupt-threads",
            "secure-boot", "signatures", "line", "module", "deferred"]
    return {**own, **dict.fromkeys(same, OK)}


def changed(before, after):
    """The checks whose verdict is another one, with the new one."""
    assert sorted(before) == sorted(after)
    return {name: verdict for name, verdict in after.items() if before[name] != verdict}
