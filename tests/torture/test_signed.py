# SPDX-License-Identifier: GPL-2.0
"""A kernel that takes signed modules alone: ours with a key that the firmware knows, and no other.

Debian's kernel trusts the keys in the firmware's database `db`, and a machine owner's, for modules.
"""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from lab import Boot, Lab, errno

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"stock": 24}
BOOT = Boot("signed", append="module.sig_enforce=1", kernel_modules=["gpio-sim"], firmware=True)
# A key that is for tests, and in the variables of the firmware that the guest has.
KEY, CERTIFICATE = (Path(f"/usr/share/qemu-efi-aarch64/PkKek-1-snakeoil.{end}")
                    for end in ("key", "pem"))
PASSWORD = "snakeoil"
# How a signature ends, after its length in four bytes: kernel/module_signature.c.
MAGIC = b"~Module signature appended~\n"
SIGNED = "/root/signed.ko"


def signature(row, module, directory):
    """What signs a module with our key: it follows the module."""
    signed = directory / "signed.ko"
    subprocess.run([row.build / "scripts/sign-file", row.config()["MODULE_SIG_HASH"].strip('"'),
                    KEY, CERTIFICATE, module, signed],
                   env={**os.environ, "KBUILD_SIGN_PIN": PASSWORD}, check=True)
    unsigned, whole = module.read_bytes(), signed.read_bytes()
    assert whole.startswith(unsigned) and whole.endswith(MAGIC)
    return whole[len(unsigned):]


def signature_of(module):
    """The signature of a module of Debian's."""
    data = module.read_bytes()
    assert data.endswith(MAGIC)
    end = len(data) - len(MAGIC)
    # The length is the last of struct module_signature's 12 bytes.
    length = int.from_bytes(data[end - 4:end], "big") + 12
    return data[end - length:]


def make_signed(guest, ending, change=""):
    """Make a module in the guest of ours, changed or not, and of what follows it."""
    guest.sh(f"cp /root/alloclab.ko {SIGNED}; {change or ':'}; "
             f"echo {base64.b64encode(ending).decode()} | base64 -d >>{SIGNED}")


def refused(guest, module):
    """Load a module that has to be refused; return what the kernel says to that."""
    start = guest.mark()
    assert errno(guest.run(f"insmod {module}")) == "EKEYREJECTED"
    assert guest.run("test -d /sys/module/alloclab").status != 0
    return guest.log_since(start)


@pytest.fixture(name="ours")
def fixture_ours(row, tmp_path):
    """The signature of our module."""
    return signature(row, row.product("alloclab.ko"), tmp_path)


def test_unsigned_is_refused(row, guest):
    assert row.config()["MODULE_SIG"] == "y" and "MODULE_SIG_FORCE" not in row.config()
    assert guest.sh("cat /sys/module/module/parameters/sig_enforce") == "Y\n"
    assert "Loading of unsigned module is rejected" in refused(guest, "/root/alloclab.ko")


def test_anothers_signature_is_refused(row, guest):
    # The same one is taken where it belongs.
    *_, module = row.modules("gpio-sim")
    for path in row.modules("gpio-sim"):
        guest.sh(f"insmod /root/{path.name}")
    make_signed(guest, signature_of(module))
    refused(guest, SIGNED)


def test_changed_module_is_refused(guest, ours):
    make_signed(guest, ours, change=f"printf x | dd of={SIGNED} bs=1 seek=9 conv=notrunc 2>&1")
    refused(guest, SIGNED)


def test_ours_is_loaded_and_works(guest, ours, count):
    make_signed(guest, ours)
    lab = Lab(guest)
    lab.file = SIGNED
    lab.load()
    assert not any("verification failed" in line for line in guest.log_since(lab.start))
    # Out of the tree it is, unsigned it is not.
    assert guest.sh("cat /sys/module/alloclab/taint") == "O\n"
    button = lab.button()
    presses = 2 * len(button.methods())
    for number in range(presses):
        assert button.press().what == ("freed" if number % 2 else "allocated")
    count("presses", presses)
    lab.finish()
