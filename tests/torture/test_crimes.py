# SPDX-License-Identifier: GPL-2.0
"""The detectors are proved: each crime is committed once, and caught by the detector it is for."""

import re

import pytest

from detectors import KMEMLEAK, complaints, unreferenced
from lab import Boot

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"debug": 84}
# By itself KASAN says no more after its first report.
BOOT = Boot("crimes", memory=384, append="kasan_multi_shot")
MODULE = "/root/alloclab_crime.ko"

# Crime -> what its detector has to say of it. They are committed in this order, in one boot: after
# a report of any kind lockdep is off, and so it is the first; memory is corrupted last.
CRIMES = {
    "lock_inversion": r"^WARNING: possible circular locking dependency detected",
    "sleep_in_atomic": r"^BUG: scheduling while atomic: insmod|^BUG: sleeping function called",
    "unmatched_dma_free": r"^DMA-API: platform crime: device driver frees DMA memory with "
                          "different size",
    "leak_kmalloc": r"^kmemleak: \d+ new suspected memory leaks",
    "leak_vmalloc": r"^kmemleak: \d+ new suspected memory leaks",
    "out_of_bounds": r"^BUG: KASAN: slab-out-of-bounds in out_of_bounds",
    "use_after_free": r"^BUG: KASAN: slab-use-after-free in use_after_free",
    "double_free": r"^BUG: KASAN: double-free in double_free",
}


def test_no_crime_no_report(guests):
    # Nothing has happened in it yet.
    guests.end()
    guest = guests.get(BOOT)
    start = guest.mark()
    assert "Invalid argument" in guest.run(f"insmod {MODULE} crime=none").output
    guest.sh("insmod /root/alloclab.ko; echo 1 >/sys/kernel/debug/alloclab/button/press; "
             "rmmod alloclab")
    assert unreferenced(guest, rounds=1) == ""
    assert not complaints(guest.log_since(start))


@pytest.mark.parametrize("crime", CRIMES)
def test_crime_is_caught(guests, count, crime):
    guest = guests.get(BOOT)
    # What an earlier crime has leaked was found.
    guest.sh(f"echo clear >{KMEMLEAK}")
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
