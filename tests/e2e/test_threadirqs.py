# SPDX-License-Identifier: GPL-2.0
"""Where the kernel threads interrupts, by `threadirqs` or on PREEMPT_RT: every edge is counted."""

import pytest

from lab import SMP

pytestmark = [pytest.mark.wide, pytest.mark.edges]
BOOT = SMP._replace(name="threadirqs", append="threadirqs")
STORM = 2000
PRESSES = 4
# The kernel's own, on 32-bit Arm: it reads the option before its static keys can be changed.
EARLY = r"^WARNING: include/linux/jump_label\.h:\d+ at setup_forced_irqthreads"


def test_the_kernel_threads_interrupts(guest, lab):
    if guest.row.arch == "armhf":
        guest.excused.append(EARLY)
    lab.unload()
    # Some driver's, which did not ask for it; others come and go while grep looks.
    assert guest.run("grep -ls ^irq/ /proc/[0-9]*/comm").output


def test_presses_come_in_the_interrupt(lab, button):
    for _ in range(PRESSES):
        button.press()
    assert button.edges_in() == (PRESSES, 0, 0)
    assert button.counters("presses", "bounces") == (PRESSES, 0)
    # The thread is that of the press, and there is no other.
    threads = lab.guest.sh(f"cat /proc/[0-9]*/comm 2>/dev/null | grep ^irq/{button.irq()}-")
    assert threads.split() == [f"irq/{button.irq()}-alloclab"]


def test_storm(lab):
    button = lab.button("fast")
    button.inject(STORM)
    assert button.wait_counter("presses", STORM) == STORM
    assert button.edges_in() == (0, STORM, 0)
    assert button.counters("bounces", "failures") == (0, 0)
    assert button.counters("allocs", "frees") == (STORM // 2, STORM // 2)


@pytest.mark.hard
def test_storm_in_hard_context(lab):
    button = lab.button("interrupt")
    button.inject(STORM)
    assert button.wait_counter("presses", STORM) == STORM
    assert button.edges_in() == (0, STORM, 0)
    counters = button.stats()[0]
    assert counters["failures"] == 0 and counters["deferred"] < STORM
