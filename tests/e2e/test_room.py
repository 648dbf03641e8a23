# SPDX-License-Identifier: GPL-2.0
"""Requests for more memory than there is: they fail, and nobody else pays for it."""

import re

import pytest

from lab import DRIVER, PL061, Boot, errno, node, nodes

BOOT = Boot("room", cpus=2, overlays=(PL061, nodes(node("other", 4, "debounce-interval = <0>"))),
            memory=224)
# Each method whose size memory alone bounds, with flags that have it wait for memory.
ASKED = [(method, "kernel") for method in ("vmalloc", "vzalloc", "kvmalloc", "raw_vmalloc")] + [
    ("raw_vmalloc", gfp) for gfp in ("noio", "nofs", "kernel+nofail", "noio+nofail")]
SHORT = re.compile(r"^(\w+): allocation of (\d+) bytes failed: ENOMEM \(press \d+\), "
                   r"not tried: at most (\d+) bytes now$")
KILLED = re.compile(r"oom-killer|Out of memory|oom_reaper|Killed process")
ROUNDS = 30
# So much is in use, in MiB: nothing can take it away, as it would be a program's.
USED = 20


def memory(guest, name):
    """A line of /proc/meminfo, in bytes; 0 where there is none."""
    line = re.search(rf"^{name}: +(\d+) kB", guest.sh("cat /proc/meminfo"), re.MULTILINE)
    return int(line[1]) << 10 if line else 0


def available(guest):
    """What is available to the kernel, in bytes: not what is set aside for contiguous memory."""
    return memory(guest, "MemAvailable") - memory(guest, "CmaFree")


@pytest.fixture(autouse=True, name="nobody_is_killed")
def fixture_nobody_is_killed(guest):
    """Memory never runs out in these tests, although part of it is in use."""
    guest.sh(f"test -f /root/used || dd if=/dev/zero of=/root/used bs=1M count={USED} 2>&1")
    start = guest.mark()
    yield
    assert not [line for line in guest.log_since(start) if KILLED.search(line)]


def most(lab, button, event, size):
    """Check that `event` says that `size` is too much; return what it says can be had."""
    assert (event.what, event.bytes, event.error) == ("failed", size, "ENOMEM"), event
    match = SHORT.match(lab.texts(button.name)[-1])
    assert match and match[1] == event.method and int(match[2]) == size
    assert int(match[3]) < size
    return int(match[3])


@pytest.mark.wide
@pytest.mark.parametrize("method, gfp", ASKED)
def test_more_than_is_available(guest, lab, button, method, gfp):
    # All that there is, and far more than is free of it.
    total = memory(guest, "MemTotal")
    before = available(guest)
    button.set(method=method, gfp=gfp)
    for size in (total * 9 // 10, total):
        button.set(size=size)
        assert before // 2 < most(lab, button, button.press(), size) < before
        button.software_press()
        most(lab, button, lab.events(button.name)[-1], size)
    assert button.counters("allocs", "failures") == (0, 4)
    assert button.live() is None

    # The next press works, and so does going away.
    button.set(size=4096)
    assert button.press().what == "allocated"
    guest.sh(f"echo {button.name} >{DRIVER}/unbind")
    assert available(guest) > before * 9 // 10


@pytest.mark.parametrize("method, gfp", ASKED[2:5])
def test_all_that_can_be_had(guest, lab, button, method, gfp):
    total = memory(guest, "MemTotal")
    button.set(method=method, gfp=gfp, size=total)
    size = most(lab, button, button.press(), total) * 31 // 32
    button.set(size=size)
    assert button.press().what == "allocated"
    # Others have what they need, and a second one of that size is too much.
    guest.sh("for i in $(seq 20); do cat /proc/meminfo /proc/vmallocinfo >/dev/null; done")
    other = lab.button("other")
    other.set(method=method, gfp=gfp, size=size)
    other.software_press()
    most(lab, other, lab.events("other")[-1], size)
    assert button.press().what == "freed"
    # Some of what was freed is not counted as free at once.
    other.set(size=size // 2)
    other.software_press(2)
    assert other.counters("allocs", "frees", "failures") == (1, 1, 1)


def test_two_at_once(guest, lab, button):
    # Each has room for its own, and there is none for both.
    total = memory(guest, "MemTotal")
    button.set(method="vmalloc", size=total)
    size = most(lab, button, button.press(), total) * 3 // 4
    buttons = [lab.button(name) for name in ("button", "other")]
    for each in buttons:
        each.set(method="vmalloc", size=size)
    guest.sh(f"cd {button.directory}/..; for i in $(seq {ROUNDS}); do "
             "echo 1 >button/press & echo 1 >other/press; wait; "
             "for name in button other; do grep -q none $name/live || echo 1 >$name/press; done; "
             "done", 120)
    counters = [each.counters("allocs", "frees", "failures") for each in buttons]
    assert list(map(sum, zip(*counters))) == [ROUNDS, ROUNDS, ROUNDS + 1]


def test_preload(guest, lab):
    lab.unload()
    for size in (memory(guest, "MemTotal") * 9 // 10, memory(guest, "MemAvailable")):
        start = guest.mark()
        assert errno(guest.run(f"insmod /root/alloclab.ko preload_vmalloc={size}")) == "ENOMEM"
        assert not lab.loaded()
        assert re.fullmatch(rf"alloclab: preload_vmalloc: allocation of {size} bytes failed: "
                            r"ENOMEM, not tried: at most \d+ bytes now",
                            guest.log_since(start)[-1])
    lab.load()
    assert lab.button().press().what == "allocated"
