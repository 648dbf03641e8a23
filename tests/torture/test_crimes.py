# SPDX-License-Identifier: GPL-2.0
"""The detectors are proved: each crime is committed once, and caught by the detector it is for."""

import re

import pytest

from detectors import AWAKE, KMEMLEAK, asleep, complaints, unreferenced
from lab import Boot

# The kernels it is for, and about how many seconds it takes there in quick scale.
RUNS = {"debug": 128}
# By itself KASAN says no more after its first report.
BOOT = Boot("crimes", memory=384, cpus=2, append="kasan_multi_shot")
# Lockdep reports one crime a boot.
SECOND_BOOT = Boot("crimes-2", memory=384)
MODULE = "/root/alloclab_crime.ko"
# The one in Rust.
OVERFLOW = "overflow"
WATCHDOG = "/proc/sys/kernel/watchdog_thresh"
HUNG = "/proc/sys/kernel/hung_task_timeout_secs"
STALL = "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"
# How detectors are turned off by hand. The others are off after their crimes.
OFF = [f"echo off >{KMEMLEAK}", "echo 0 >/proc/sys/kernel/hung_task_warnings",
       "echo 0 >/proc/sys/kernel/soft_watchdog",
       "echo 1 >/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress"]
# Crime -> the limit of its detector, in seconds, while it is committed: as small as can be.
LIMITS = {"hung_task": (HUNG, 1), "soft_lockup": (WATCHDOG, 1), "rcu_stall": (STALL, 3)}
# RCU's takes five seconds more than its limit.
SECONDS = 60

# Crime -> what its detector has to say of it. They are committed in this order, in one boot: after
# a report of any kind lockdep is off, and so it is the first; memory is corrupted at the end, and
# who loads the last one does not live on. Lockdep's other crime is not among them.
CRIMES = {
    "lock_inversion": r"^WARNING: possible circular locking dependency detected",
    "sleep_in_atomic": r"^BUG: scheduling while atomic: insmod|^BUG: sleeping function called",
    "unmatched_dma_free": r"^DMA-API: platform crime: device driver frees DMA memory with "
                          "different size",
    "leak_kmalloc": r"^kmemleak: \d+ new suspected memory leaks",
    "leak_vmalloc": r"^kmemleak: \d+ new suspected memory leaks",
    "shift_out_of_bounds": r"^UBSAN: shift-out-of-bounds in \S*/alloclab_crime\.c:",
    "index_out_of_bounds": r"^UBSAN: array-index-out-of-bounds in \S*/alloclab_crime\.c:",
    "invalid_bool": r"^UBSAN: invalid-load in \S*/alloclab_crime\.c:",
    "hung_task": r"^INFO: task insmod:\d+ blocked for more than \d+ seconds",
    "soft_lockup": r"^watchdog: BUG: soft lockup - CPU#\d+ stuck for \d+s! \[insmod:\d+\]",
    "rcu_stall": r"^rcu: INFO: rcu_preempt (self-)?detected stalls? on CPU",
    "out_of_bounds": r"^BUG: KASAN: slab-out-of-bounds in out_of_bounds",
    "use_after_free": r"^BUG: KASAN: slab-use-after-free in use_after_free",
    "double_free": r"^BUG: KASAN: double-free in double_free",
    OVERFLOW: r"^attempt to add with overflow$",
}
NESTING = "raw_lock_nesting"
NESTING_SAID = r"^\[ BUG: Invalid wait context \]"


def test_no_crime_no_report(guests):
    # Nothing has happened in it yet.
    guests.end()
    guest = guests.get(BOOT, innocent=False)
    start = guest.mark()
    assert "Invalid argument" in guest.run(f"insmod {MODULE} crime=none").output
    guest.sh("insmod /root/alloclab.ko; echo 1 >/sys/kernel/debug/alloclab/button/press; "
             "rmmod alloclab")
    assert unreferenced(guest, rounds=1) == ""
    assert not complaints(guest.log_since(start))
    assert asleep(guest) == {}


def commit(guest, crime):
    """Commit a crime."""
    if crime == OVERFLOW:
        # An oops ends insmod then, and not the guest.
        guest.sh("echo 0 >/proc/sys/kernel/panic_on_oops")
        result = guest.run("insmod /root/alloclab_overflow.ko")
        assert "Segmentation fault" in result.output, result
        return
    command = f"insmod {MODULE} crime={crime} && rmmod alloclab_crime"
    if crime in LIMITS:
        path, seconds = LIMITS[crime]
        command = (f"before=$(cat {path}) && echo {seconds} >{path} || exit; {command}; "
                   f"status=$?; echo $before >{path}; exit $status")
    guest.sh(command, SECONDS)


def expect_caught(guest, count, crime, said):
    """Commit a crime, and see that its detector says so."""
    start = guest.mark()
    commit(guest, crime)
    if "leak" in crime:
        unreferenced(guest)
    count("crimes")
    lines = guest.log_since(start)
    assert crime == OVERFLOW or f"alloclab_crime: committed {crime}" in lines
    # By what every other test fails by, and by name.
    caught = [line for line in complaints(lines) if re.search(said, line)]
    assert caught, guest.log.tail()
    count("crimes_caught")


@pytest.mark.parametrize("crime", CRIMES)
def test_crime_is_caught(guests, count, crime):
    guest = guests.get(BOOT, innocent=False)
    # What an earlier crime has leaked was found.
    guest.sh(f"echo clear >{KMEMLEAK}")
    expect_caught(guest, count, crime, CRIMES[crime])


def test_detectors_that_are_off_are_found(guests):
    guest = guests.get(BOOT, innocent=False)
    # The first report has turned lockdep off, and the DMA debugging has counted its own.
    assert asleep(guest).keys() == {"PROVE_LOCKING", "DMA_API_DEBUG"}
    guest.sh(" && ".join(OFF))
    assert asleep(guest).keys() == AWAKE.keys()


def test_nesting_is_caught(guests, count):
    # What PREEMPT_RT forbids: PROVE_RAW_LOCK_NESTING.
    guest = guests.get(SECOND_BOOT, innocent=False)
    expect_caught(guest, count, NESTING, NESTING_SAID)
