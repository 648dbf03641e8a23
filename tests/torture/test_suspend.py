# SPDX-License-Identifier: GPL-2.0
"""Suspend-to-idle with something held: it stays held, and a press meanwhile is carried out once."""

import errno
import time

from lab import PL061, Boot, node, nodes, without_age

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None, "stock": 80}
BOOT = Boot("suspend", cpus=2, overlays=(PL061, nodes(node("other", 4))))
RTC = "/sys/class/rtc/rtc0"
# It takes about one to fall asleep, longer where others keep the host busy.
WAKE_SECONDS = 12
# Or where a processor of its own is busy.
BUSY_SECONDS = 30
# More than can be carried out before it falls asleep.
PRESSES = 1000000
# Context, method, whether it is held beforehand: the press frees then, and allocates otherwise.
ROUNDS = [("thread", "vmalloc", True), ("hard", "kmalloc", False), ("hard", "coherent", True)]
MORE_ROUNDS = [("thread", "coherent", False), ("thread", "kmalloc", True),
               ("thread", "vmalloc", False), ("hard", "kmalloc", True),
               ("hard", "coherent", False), ("thread", "coherent", True)]


def sleep_through(guest, meanwhile, seconds=WAKE_SECONDS):
    """Suspend the guest until its clock's alarm, and do something on the host meanwhile."""
    start = len(guest.log)
    guest.sh("rm -f /run/slept; (usleep 300000; "
             f"echo +{seconds} >{RTC}/wakealarm && echo freeze >/sys/power/state; "
             "echo $? >/run/slept) >/dev/null 2>&1 &")
    guest.wait_log(r"^printk: Suspending console\(s\)", start)
    # What comes after that line is said when it wakes up.
    time.sleep(0.5)
    meanwhile()
    pressed = time.monotonic()
    guest.wait_log("^PM: suspend exit", start, timeout=seconds + 60)
    # The line was let go, which is the edge, while it slept.
    assert time.monotonic() - pressed > 0.3
    assert guest.sh("while [ ! -s /run/slept ]; do usleep 100000; done; cat /run/slept") == "0\n"


def test_press_while_asleep(guest, lab, button, full, count):
    other = lab.button("other")
    for context, method, held in ROUNDS + MORE_ROUNDS * full:
        lab.rebind()
        _, kept = other.hold(method=method)
        button.set(method=method)
        if held:
            got, _ = button.hold()
        if context == "hard":
            button.set(gfp="atomic", context="hard")
        presses = int(held)
        assert button.counters("edges", "presses") == (0, presses)

        sleep_through(guest, guest.press)

        assert button.wait_counter("presses", presses + 1) == presses + 1
        assert button.counters("edges", "bounces", "failures") == (1, 0, 0)
        event = lab.events("button")[-1]
        assert (event.method, event.press) == (method, presses + 1)
        if held:
            assert (event.what, event.address) == ("freed", got.address)
            assert button.live() is None
        else:
            assert event.what == "allocated"
            assert button.live()["context"] == context
        # Nothing was pressed there: it holds what it held.
        assert without_age(other.live()) == without_age(kept)

        # The button goes on.
        assert button.press().what == ("allocated" if held else "freed")
        assert button.counters("edges", "presses") == (2, presses + 2)
        allocs, frees, held_bytes = button.counters("allocs", "frees", "bytes_held")
        assert allocs - frees == int(held) == bool(held_bytes)
        count("presses", presses + 2)
        count("cycles")

    if full:
        several_presses(lab)


def test_write_of_presses_ends_at_suspend(guest, button):
    guest.sh("rm -f /run/status; (/root/interrupted_write "
             f"{button.directory}/press {PRESSES} 0; echo $? >/run/status) >/dev/null 2>&1 &")
    sleep_through(guest, lambda: None, BUSY_SECONDS)
    # The freezer wakes the writer as a signal does, though none was sent.
    status = guest.sh("while [ ! -s /run/status ]; do usleep 100000; done; cat /run/status")
    assert int(status) == errno.EINTR
    presses, = button.counters("presses")
    assert 0 < presses < PRESSES
    button.software_press()
    assert button.counters("presses", "failures") == (presses + 1, 0)


def several_presses(lab):
    """Two edges while it sleeps: the interrupt core keeps one, and the controller the next."""
    lab.rebind()
    button = lab.button()
    guest = button.guest

    def press_twice():
        guest.press()
        guest.press()

    sleep_through(guest, press_twice)
    assert button.wait_counter("presses", 1) >= 1
    edges = button.counters("edges")[0]
    # The second may still wait for its thread.
    assert button.wait_counter("presses", edges - button.counters("bounces")[0])
    edges, bounces, presses = button.counters("edges", "bounces", "presses")
    assert edges in (1, 2) and presses + bounces == edges
