# SPDX-License-Identifier: GPL-2.0
"""The detectors are proved: each crime is committed once, in a boot of its own, and caught."""

import re

import pytest

from detectors import complaints, unreferenced
from lab import Boot

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"debug": 84}
BOOT = Boot("crimes", memory=384)
MODULE = "/root/alloclab_crime.ko"

# Crime -> what its detector has to say of it.
CRIMES = {
    "out_of_bounds": r"^BUG: KASAN: slab-out-of-bounds in out_of_bounds",
    "use_after_free": r"^BUG: KASAN: slab-use-after-free in use_after_free",
    "double_free": r"^BUG: KASAN: double-free in double_free",
    "leak_kmalloc": r"^kmemleak: \d+ new suspected memory leaks",
    "leak_vmalloc": r"^kmemleak: \d+ new suspected memory leaks",
    "sleep_in_atomic": r"^BUG: scheduling while atomic: insmod|^BUG: sleeping function called",
    "lock_inversion": r"^WARNING: possible circular locking dependency detected",
    "unmatched_dma_free": r"^DMA-API: platform crime: device driver frees DMA memory with "
                          "different size",
}


@pytest.mark.parametrize("crime", CRIMES)
def test_crime_is_caught(guests, count, crime):
    # A boot of its own: after a report lockdep is off, and KASAN may say no more.
    guests.end()
    guest = guests.get(BOOT)
    start = guest.mark()
    result = guest.run(f"insmod {MODULE} crime={crime}")
    assert "Operation canceled" in result.output, result
    if "leak" in crime:
        unreferenced(guest)
    count("crimes")
    lines = guest.log_since(start)
    assert f"alloclab_crime: committed {crime}" in lines
    # By what every other test fails by, and by name.
    caught = [line for line in complaints(lines) if re.search(CRIMES[crime], line)]
    assert caught, guest.log.tail()
    count("crimes_caught")


def test_no_crime_no_report(guests):
    guests.end()
    guest = guests.get(BOOT)
    start = guest.mark()
    assert "Invalid argument" in guest.run(f"insmod {MODULE} crime=none").output
    guest.sh("insmod /root/alloclab.ko; echo 1 >/sys/kernel/debug/alloclab/button/press; "
             "rmmod alloclab")
    assert unreferenced(guest) == ""
    assert not complaints(guest.log_since(start))
    guests.end()
