# SPDX-License-Identifier: GPL-2.0
"""What the kernel says when something is wrong, and how it is asked for leaks."""

import re
from typing import NamedTuple, Sequence

COMPLAINTS = re.compile(
    r"BUG:|BUG [a-zA-Z]|WARNING:|Oops|Unable to handle|Internal error|Kernel panic|UBSAN:|"
    r"refcount_t:|scheduling while atomic|sleeping function|INFO: task|rcu:.*stall|"
    r"blocked for more than|lockup|LOCKUP|nobody cared|active IRQ thread|"
    r"Object already free|pool_check_block|pool_block_err|dma_pool_destroy|"
    r"kmemleak: \d+ new suspected|Leaked|Objects remaining|"
    r"device driver frees DMA memory|DMA-API: .*device driver|DMA-API: .*pending|"
    r"kobject_add_internal failed|duplicate filename|already exists in|"
    r"rust_kernel: panicked|attempt to \w+ with overflow|"
    # By that name user space finds the module.
    r"has no spi_device_id|"
    # A detector that gives up.
    r"INFO: trying to register|dma-debug disabled|debugging out of memory|"
    r"kmemleak: Kernel memory leak detector disabled")
# What the kernel itself counts, where it can: warnings, as which reports of KASAN, of UBSAN and of
# the scheduler count too; oopses, stalls, lockups and hung tasks.
COUNTS = "grep -s . /sys/kernel/*_count /proc/sys/kernel/hung_task_detect_count; true"
WARNINGS = "/sys/kernel/warn_count"
# How a counted warning begins, since 6.19 and before.
WARNING = re.compile(r"^WARNING: (?:\S+:\d+ at |at |CPU: \d+ PID: \d+ at )")
# What the kernel is tainted by without one: a module from outside its tree, unsigned, and KUnit.
TAINTED = "cat /proc/sys/kernel/tainted"
TAINTS = {12: "out of tree", 13: "unsigned", 18: "KUnit"}
# And by one.
TAINT_WARN = 9
KMEMLEAK = "/sys/kernel/debug/kmemleak"
# kmemleak says nothing of what is younger than 5 seconds.
YOUNG_SECONDS = 5.5
LEAK_SECONDS = 300
# What the detectors that can turn themselves off say while they are on and have found nothing. The
# others cannot: KASAN does so by a report of its own only, UBSAN for one line of the source.
AWAKE = {"PROVE_LOCKING": ("grep ^.debug_locks: /proc/lockdep_stats", r" debug_locks: +1\n"),
         "DMA_API_DEBUG": ("cd /sys/kernel/debug/dma-api && cat disabled error_count", r"N\n0\n"),
         # It takes its default again, and nothing where it is off.
         "DEBUG_KMEMLEAK": (f"echo stack=on >{KMEMLEAK}", ""),
         # After ten reports it says nothing.
         "DETECT_HUNG_TASK": ("cd /proc/sys/kernel && cat hung_task_timeout_secs "
                              "hung_task_warnings", r"[1-9]\d*\n(-1|[1-9]\d*)\n"),
         "SOFTLOCKUP_DETECTOR": ("cd /proc/sys/kernel && cat soft_watchdog watchdog_thresh",
                                 r"1\n[1-9]\d*\n"),
         "RCU_STALL_COMMON": ("cat /sys/module/rcupdate/parameters/rcu_cpu_stall_suppress",
                              r"0\n")}


def complaints(lines, expected=()):
    """The lines in which the kernel complains, but for those that match `expected`."""
    return [line for line in lines if COMPLAINTS.search(line)
            and not any(re.search(pattern, line) for pattern in expected)]


def unreferenced(guest, rounds=2):
    """Have kmemleak look for leaks; return what it has found since the boot.

    Stale copies of an address hide a leak: so free slabs are given back before, it scans twice,
    and all of that is done a second time if nothing was found.
    """
    return guest.sh(
        f"for round in $(seq {rounds}); do usleep {int(YOUNG_SECONDS * 1000000)}; "
        "for cache in /sys/kernel/slab/*/shrink; do echo 1 >$cache; done; "
        f"echo scan >{KMEMLEAK}; echo scan >{KMEMLEAK}; found=$(cat {KMEMLEAK}); "
        '[ -z "$found" ] || break; done; echo -n "$found"', LEAK_SECONDS)


def counted(guest, excused=()):
    """What the kernel has counted that its log may not have, in words.

    The warnings that match `excused` are in the log, and are no more than that.
    """
    counts = {path: int(number) for path, _, number in
              (line.partition(":") for line in guest.sh(COUNTS).splitlines())}
    warnings = sum(bool(WARNING.match(line)) and any(re.search(each, line) for each in excused)
                   for line in guest.log.lines())
    wrong = [f"{path} is {number}" for path, number in counts.items()
             if number != (warnings if path == WARNINGS else 0)]
    tainted = int(guest.sh(TAINTED))
    others = [bit for bit in range(tainted.bit_length()) if tainted >> bit & 1
              and bit not in TAINTS and not (bit == TAINT_WARN and warnings)]
    return wrong + (
        [f"the kernel is tainted by {others}, see tainted-kernels.rst"] if others else [])


def asleep(guest):
    """The detectors that are not awake any more: option of the kernel -> what it said instead."""
    config = guest.row.config()
    said = {option: guest.run(command).output for option, (command, _) in AWAKE.items()
            if config.get(option) == "y"}
    return {option: answer for option, answer in said.items()
            if not re.fullmatch(AWAKE[option][1], answer)}


class Found(NamedTuple):
    """What is found when a guest is looked back at."""

    reports: Sequence[str]
    leaked_bytes: int
    wrong: Sequence[str]        # both in words, and which detector is not awake any more


def look_back(guest, rounds, excused=()):
    """Search a guest's whole log and its memory, and see that its detectors are still awake.

    What tests asked for matches `excused`; the rounds are those of `unreferenced`.
    """
    wrong = [f"{option} is not awake: {said}" for option, said in asleep(guest).items()]
    has_kmemleak = guest.row.config().get("DEBUG_KMEMLEAK") == "y"
    leaks = unreferenced(guest, rounds) if has_kmemleak else ""
    if leaks:
        wrong.append(leaks)
    sizes = re.findall(r"^unreferenced object 0x\w+ \(size (\d+)\)", leaks, re.MULTILINE)
    guest.mark()
    reports = complaints(guest.log.lines(), excused)
    return Found(reports, sum(map(int, sizes)), [*reports, *counted(guest, excused), *wrong])
