# SPDX-License-Identifier: GPL-2.0
"""DMA that is not coherent: memory mapped anew, and a pool for interrupts that runs dry."""

import pytest

from guest.events import Event
from lab import PL061, Boot, node, nodes
from storm import settled
from sweep import KMEMLEAK, Sweep, Table
from test_device import press, take

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None}
# What an interrupt gets has to be mapped already: it is taken from a pool, which grows in the
# background when it has less left than this. It is full with what it has at boot.
POOL = 65536
# QEMU's whole machine is coherent, but for what says otherwise.
BOOT = Boot("noncoherent", cpus=2, append=f"coherent_pool={POOL}", overlays=(PL061, nodes(
    "button { dma-noncoherent; }", node("coherent", 5),
    node("interrupt", 7, "dma-noncoherent", "debounce-interval = <0>", 'alloclab,gfp = "atomic"',
         'alloclab,context = "hard"'))))
METHODS = ("coherent", "dmapool")
GROWS = "atomic_pool_work_fn"
POOLS = "/sys/kernel/debug/dma_pools"
# (quick, full)
EDGES = (1000, 50000)
SECONDS = 3600


def mapped(guest):
    """How many areas are mapped anew for a device, each of them memory that is not coherent."""
    return int(guest.sh("grep -c ' dma-coherent' /proc/vmallocinfo || true"))


def pool_bytes(guest):
    """The size of the pool for interrupts, over all zones."""
    return sum(map(int, guest.sh(f"cat {POOLS}/pool_size_*").split()))


def is_where_it_says(live, runs, page_size):
    """Whether the device's address of something held is where its pages are, in one piece."""
    (first, pfn, pages), = runs
    assert first == 0 and pages * page_size >= int(live["usable"])
    return int(live["dma"], 16) // page_size == pfn


@pytest.fixture(name="dry")
def fixture_dry(guest, lab):
    """Has the pool not grow."""
    assert lab.loaded()
    sweep = Sweep(guest, Table())
    sweep.arrange("fail_page_alloc", KMEMLEAK, only=sweep.range(GROWS))
    guest.sh("echo -1 >/sys/kernel/debug/fail_page_alloc/times")
    yield
    sweep.off()


def pressed(button):
    """Inject an edge by the injector's file; return the event that came of it."""
    start = len(button.guest.log)
    wanted = button.counters("presses")[0] + 1
    button.guest.sh("echo 1 >/sys/kernel/debug/alloclab_inject")
    return Event.parse(button.guest.wait_log(
        rf"^alloclab {button.name}: .*\(press {wanted}\)(,|$)", start)[1].string)


def held_by_dma(guest):
    """What the DMA debugging knows of that the driver's devices hold."""
    return guest.run(r"grep ' \(button\|interrupt\|coherent\) ' "
                     "/sys/kernel/debug/dma-api/dump").output


# The first of this guest: the pool is as it was at boot.
def test_the_pool_runs_dry_in_interrupts(guest, lab, count, dry):
    assert dry is None and pool_bytes(guest) == POOL
    holder, other = lab.button(), lab.button("interrupt")
    guest.sh(f"insmod /root/alloclab_inject.ko irq={other.irq()}")
    other.set(method="coherent", size=2 * POOL)
    event = pressed(other)
    assert (event.what, event.error) == ("failed", "ENOMEM")
    holder.set(method="coherent", size=POOL, gfp="atomic", context="hard")
    other.set(size="default")
    failures = 1
    for _ in range(2):
        event = holder.press()
        assert (event.what, event.bytes) == ("allocated", POOL)
        assert holder.live()["context"] == "hard"
        for method in METHODS:
            other.set(method=method)
            event = pressed(other)
            assert (event.method, event.what, event.error) == (method, "failed", "ENOMEM")
            failures += 1
        # Where the pool is not asked, there is enough.
        other.set(context="thread", gfp="kernel", method="coherent")
        assert [pressed(other).what for _ in range(2)] == ["allocated", "freed"]
        other.set(gfp="atomic", context="hard")
        assert holder.press().what == "freed"
    assert other.counters("failures") == (failures,) and holder.counters("failures") == (0,)
    # What was given back is there again.
    for method in METHODS:
        other.set(method=method)
        assert [pressed(other).what for _ in range(2)] == ["allocated", "freed"]
        assert other.counters("failures") == (failures,)
    assert pool_bytes(guest) == POOL
    guest.sh("rmmod alloclab_inject")
    count("presses", sum(button.counters("presses")[0] for button in (holder, other)))


def test_memory_is_mapped_for_the_device(guest, lab, button):
    before = mapped(guest)
    for method in METHODS:
        event, live = button.hold(method=method)
        assert mapped(guest) == before + 1
        area = guest.run(f"grep ^0x{event.address}- /proc/vmallocinfo")
        assert " dma-coherent" in area.output and event.dma == live["dma"]
        assert is_where_it_says(live, button.runs(), guest.page_size)
        assert button.press().what == "freed"
        # A pool keeps its pages for the device.
        before += method == "dmapool"
        assert mapped(guest) == before
    coherent = lab.button("coherent")
    for method in METHODS:
        _, live = coherent.hold(method=method)
        assert mapped(guest) == before
        assert is_where_it_says(live, coherent.runs(), guest.page_size)
    lab.unload()
    assert mapped(guest) == before - 1


def test_storm_on_a_small_pool(guest, lab, full, count):
    button = lab.button("interrupt")
    areas = mapped(guest)
    edges = EDGES[full] | 1
    button.set(method="coherent", size=POOL // 2)
    button.inject(edges, timeout=SECONDS)
    counters = settled(button, edges)
    # Some were the interrupt's own; for the others, the flags are the same.
    assert counters["deferred"] < edges and counters["failures"] == 0
    assert counters["bytes_held"] == POOL // 2
    assert is_where_it_says(button.live(), button.runs(), guest.page_size)
    assert len(held_by_dma(guest).splitlines()) == 1
    lab.unload()
    assert held_by_dma(guest) == ""
    # The pool doubles each time, and is mapped like what is taken from it.
    grown = pool_bytes(guest) // POOL
    assert grown > 1 and mapped(guest) - areas == grown.bit_length() - 1
    count("presses", edges)


# The last: it may have the pool grow.
def test_programs_map_it(guest, button):
    page = guest.page_size
    size = 2 * page + 10
    # The second is of the pool.
    for gfp in ("kernel", "atomic"):
        button.hold(method="coherent", size=size, gfp=gfp)
        # `put` and `same` have the kernel copy, by the address that is mapped anew.
        assert take(guest, button, "open", "map,0,0,3", f"put,0,{size},7", f"check,0,{size},7",
                    f"fill,0,{size},9", f"same,0,{size},9", f"all,0,{size},{3 * page},00",
                    press(button), "get,0,0", "read,0,0,1") == \
            ["0", "0", str(size), "same", "0", "same", "all", "0", "SIGBUS", "ENXIO"]
