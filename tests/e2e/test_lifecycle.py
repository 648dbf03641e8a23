# SPDX-License-Identifier: GPL-2.0
"""Unbind, rebind, rmmod, and files that are open meanwhile."""

import re
import time

import pytest

from guest.events import READY, Event
from lab import DEBUGFS, DRIVER, READABLE, SMP, WRITABLE, errno

BOOT = SMP
FILES = (*READABLE, "press")
# Waits until the job in the background has a file of a button open.
OPENED = "until ls -l /proc/$!/fd | grep -q /alloclab/; do usleep 10000; done 2>/dev/null"
WAITING = 15000
UNBIND_SECONDS = 8


def bound(guest, name="button"):
    """Whether the driver is bound to a device."""
    return guest.run(f"test -e {DRIVER}/{name}").status == 0


@pytest.mark.core
def test_unbind_while_held_and_rebind(guest, lab, button):
    for method in button.methods():
        irq = button.irq() if guest.row.tree else None
        button.set(method=method)
        got = button.press()
        guest.sh(f"echo {button.name} >{DRIVER}/unbind")
        # What is the device's is left to it.
        what = "left" if method == "devm" else "freed"
        assert lab.events(button.name)[-1] == Event(button.name, method, what, got.bytes, None,
                                                    got.address)
        assert guest.run(f"test -e {button.directory}").status != 0
        assert "alloclab" not in guest.run(f"grep '^ *{irq}:' /proc/interrupts").output
        guest.sh(f"echo {button.name} >{DRIVER}/bind")
        assert lab.texts(button.name)[-1].startswith("ready: ")
        assert button.counters("edges", "presses", "allocs", "frees") == (0, 0, 0, 0)
        assert button.current() == "cycle"
    assert button.press().press == 1


def test_unbind_and_rebind_many_times(guest, lab):
    guest.sh(f"cd {DRIVER}; for i in $(seq 20); do echo 1 >{DEBUGFS}/button/press && "
             "echo button >unbind && echo button >bind || exit 1; done", 300)
    whats = [event.what for event in lab.events("button")]
    assert whats == ["allocated", "freed"] * 20


def test_load_and_unload_many_times(guest, lab):
    lab.unload()
    guest.sh(f"for i in $(seq 20); do insmod {lab.file} && echo 3 >{DEBUGFS}/button/press "
             f"&& rmmod {lab.driver} || exit 1; done", 300)
    whats = [event.what for event in lab.events("button")]
    assert whats == ["allocated", "freed", "allocated", "freed"] * 20


@pytest.mark.wide
def test_open_file_makes_rmmod_say_busy(guest, lab, button):
    for file in FILES:
        redirect = ">" if file == "press" else "<"
        result = guest.run(f"sleep 100 {redirect}{button.directory}/{file} & {OPENED}; "
                           f"rmmod {lab.driver}; status=$?; kill $!; exit $status")
        # delete_module() says EWOULDBLOCK of a module that is in use.
        assert errno(result) in ("EBUSY", "EAGAIN"), file
        assert lab.loaded()
        assert button.read("live") == "none\n"
    button.press()
    lab.unload()
    assert lab.events(button.name)[-1].press is None


def test_open_file_answers_eio_after_unbind(guest, button):
    script = [f"cd {button.directory}"]
    # Opened before, used after.
    script += [f"exec {number}<{file}" for number, file in enumerate(READABLE, 3)]
    script += [f"echo button >{DRIVER}/unbind", f"echo button >{DRIVER}/bind"]
    script += [f"cat <&{number}" for number in range(3, 3 + len(READABLE))]
    output = guest.run("\n".join(script)).output.splitlines()
    assert len(output) == len(READABLE)
    assert all("Input/output error" in line for line in output), output
    script = [f"cd {button.directory}"]
    script += [f"exec {number}>>{file}" for number, file in enumerate(WRITABLE, 3)]
    script += [f"echo button >{DRIVER}/unbind", f"echo button >{DRIVER}/bind"]
    script += [f"echo 1 >&{number}" for number in range(3, 3 + len(WRITABLE))]
    output = guest.run("\n".join(script)).output.splitlines()
    assert len(output) == len(WRITABLE)
    assert all("Input/output error" in line for line in output), output
    # The files of the new binding were not touched by that.
    assert button.counters("presses") == (0,)
    assert button.press().press == 1


def test_file_open_across_unbind_then_rmmod(guest, lab, button):
    result = guest.run(f"sleep 100 <{button.directory}/stats & {OPENED}; "
                       f"echo button >{DRIVER}/unbind; "
                       f"rmmod {lab.driver}; status=$?; kill $!; wait; exit $status")
    assert errno(result) in ("EBUSY", "EAGAIN")
    lab.unload()
    assert not lab.loaded()


def test_unbind_ends_presses_early(guest, lab, button):
    button.set(method="kmalloc")
    result = guest.run(
        f"echo 1000000 >{button.directory}/press & writer=$!; "
        f"{button.begun()}; "
        f"echo button >{DRIVER}/unbind || exit 99; wait $writer", 60)
    assert errno(result) == "ENODEV"
    assert not bound(guest)
    guest.sh(f"echo button >{DRIVER}/bind")
    assert button.press().press == 1


def test_unbind_drops_presses_that_wait(guest, lab):
    button = lab.button("fast")
    # Large ones, so that edges come much faster than presses are carried out.
    button.set(method="vmalloc", size="16M")
    button.inject(WAITING)
    edges, presses = button.counters("edges", "presses")
    assert edges == WAITING and presses < WAITING // 2
    # To carry them all out takes longer than that.
    start = time.monotonic()
    guest.sh(f"echo fast >{DRIVER}/unbind", 120)
    assert time.monotonic() - start < UNBIND_SECONDS
    assert not bound(guest, "fast")
    guest.sh(f"echo fast >{DRIVER}/bind")
    button.inject(1)
    assert button.wait_counter("presses", 1) == 1
    assert button.counters("edges") == (1,)


def test_node_that_names_a_rising_edge_is_bound_again(guest, lab):
    # The kernel compares it with what the line has since the request before.
    for _ in range(2):
        lab.rebind("tutorial")
        assert bound(guest, "tutorial")
        assert READY.match(lab.texts("tutorial")[-1].partition(", label")[0])


@pytest.mark.edges
@pytest.mark.wide
def test_request_that_fails_leaves_the_trigger(guest, lab):
    irq = lab.button("tutorial").irq()
    guest.sh(f"echo tutorial >{DRIVER}/unbind; insmod /root/alloclab_refuse.ko irq={irq}")
    for _ in range(2):
        result = guest.run(f"echo tutorial >{DRIVER}/bind")
        assert errno(result) == "EIO" and not bound(guest, "tutorial")
        assert f"interrupts: irq {irq} cannot be had: EIO" in lab.texts("tutorial")[-2:]
    guest.sh(f"rmmod alloclab_refuse; echo tutorial >{DRIVER}/bind")
    assert READY.match(lab.texts("tutorial")[-1].partition(", label")[0])


def test_the_tutorials_compatible_and_every_property(guest, lab):
    button = lab.button("tutorial")
    texts = lab.texts("tutorial")
    assert len(texts) == 1
    ready = re.match(r"ready: irq \d+, debounce 20 ms, method vmalloc\b", texts[0])
    assert ready and "front door" in texts[0]
    assert button.current() == "vmalloc"
    assert button.read("size") == "12288\n"
    assert button.read("gfp") == "kernel+zero\n"
    button.software_press()
    assert button.live()["label"] == "front door"
    assert button.live()["size"] == "12288"
    assert "label: front door\n" in button.read("stats")
    address = lab.events("tutorial")[-1].address
    found = guest.sh(f"grep ^0x{address}- /proc/vmallocinfo").split()
    # Three pages and the guard page.
    assert found[1] == "16384"
