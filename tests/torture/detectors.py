# SPDX-License-Identifier: GPL-2.0
"""What the kernel says when something is wrong, and how it is asked for leaks."""

import re

COMPLAINTS = re.compile(
    r"BUG:|BUG [a-zA-Z]|WARNING:|Oops|Unable to handle|Internal error|Kernel panic|UBSAN:|"
    r"refcount_t:|scheduling while atomic|sleeping function|INFO: task|rcu:.*stall|"
    r"blocked for more than|lockup|Object already free|kmemleak: \d+ new suspected|"
    r"device driver frees DMA memory|DMA-API: .*device driver|DMA-API: .*pending|"
    r"kobject_add_internal failed|Leaked|Objects remaining|dma_pool_destroy|"
    r"rust_kernel: panicked")
KMEMLEAK = "/sys/kernel/debug/kmemleak"
# kmemleak says nothing of what is younger than 5 seconds.
YOUNG_SECONDS = 5.5
LEAK_SECONDS = 300


def complaints(lines, expected=()):
    """The lines in which the kernel complains, but for those that match `expected`."""
    return [line for line in lines if COMPLAINTS.search(line)
            and not any(re.search(pattern, line) for pattern in expected)]


def unreferenced(guest):
    """Have kmemleak look for leaks; return what it has found since the boot.

    Stale copies of an address hide a leak: so free slabs are given back before, it scans twice,
    and all of that is done a second time if nothing was found.
    """
    return guest.sh(
        f"for round in 1 2; do usleep {int(YOUNG_SECONDS * 1000000)}; "
        "for cache in /sys/kernel/slab/*/shrink; do echo 1 >$cache; done; "
        f"echo scan >{KMEMLEAK}; echo scan >{KMEMLEAK}; found=$(cat {KMEMLEAK}); "
        '[ -z "$found" ] || break; done; echo -n "$found"', LEAK_SECONDS)
