# SPDX-License-Identifier: GPL-2.0
"""Processors go offline and come back, in a storm of edges too: each press is carried out once."""

import storm
from storm import BUTTONS, DEVICES, emptied, list_of

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None, "stock": 30}
BOOT = BUTTONS
CPUS = {"debug": ([2], [2, 4]), "stock": ([4], [2, 4])}
# In each context: (quick, full).
EDGES = {"debug": (401, 10001), "stock": (801, 20001)}
GAP_US = 5000
SECONDS = 3600
CPU = "/sys/devices/system/cpu"
# One after the other goes, is not there any more, and comes back; each is noted. Where a busy host
# has kept it from going in time, the kernel refuses to have it back at first.
ROUND = (f"for cpu in {CPU}/cpu[0-9]*; do echo 0 >$cpu/online && [ $(cat $cpu/online) = 0 ] && "
         "until echo 1 >$cpu/online; do usleep 100000; done && echo $cpu >>/run/cycled; "
         "done 2>/dev/null")
# The injector wants its processors to be there when it is loaded.
BEGUN = "until grep -q ^edges:.[1-9] stats; do usleep 1000; done"

pytest_generate_tests = storm.for_each_cpus
fixture_boot = storm.fixture_boot


def counts_of(guest, irq):
    """How often an interrupt came, by the number of each processor that is online."""
    head, line = guest.sh(f"head -n 1 /proc/interrupts; grep '^ *{irq}:' /proc/interrupts"
                          ).splitlines()
    return {name.removeprefix("CPU"): int(number)
            for name, number in zip(head.split(), line.split()[1:])}


def test_storm_while_processors_go_and_come(row, full, count, guest, lab, cpus):
    edges = EDGES[row.variety][full]
    for button in map(lab.button, DEVICES.values()):
        guest.sh("echo -n >/run/cycled")
        rounds = button.inject(edges, list_of(cpus), GAP_US, f"{BEGUN}; {ROUND}", SECONDS)
        cycled = guest.sh("cat /run/cycled").split()
        assert rounds > 0 and len(cycled) == rounds * cpus and len(set(cycled)) == cpus
        assert guest.sh(f"cat {CPU}/online") == f"0-{cpus - 1}\n"
        counters = emptied(button, edges)
        assert counters["failures"] == 0 and button.edges_in() == (0, edges, 0)
        count("presses", edges)
        count("cycles", len(cycled))


def test_press_on_the_last_processor(guest, button, count, cpus):
    wanted = [str(cpu) for cpu in range(cpus)]
    for last in wanted:
        others = " ".join(cpu for cpu in wanted if cpu != last)
        guest.sh(f"for cpu in {others}; do echo 0 >{CPU}/cpu$cpu/online || exit; done")
        assert guest.sh(f"cat {CPU}/online") == f"{last}\n"
        # The interrupt, and what waits for its thread, have gone over to it.
        before = counts_of(guest, button.irq())
        held, freed = button.press(), button.press()
        assert (held.what, freed.what, freed.address) == ("allocated", "freed", held.address)
        assert counts_of(guest, button.irq()) == {last: before[last] + 2}
        guest.sh(f"for cpu in {others}; do until echo 1 >{CPU}/cpu$cpu/online; do "
                 "usleep 100000; done; done 2>/dev/null")
        count("cycles", cpus - 1)
    assert button.edges_in() == (2 * cpus, 0, 0)
    assert button.counters("presses", "bounces", "failures") == (2 * cpus, 0, 0)
    count("presses", 2 * cpus)
