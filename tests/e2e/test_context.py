# SPDX-License-Identifier: GPL-2.0
"""Hard context: what the interrupt itself allocates, what waits for its thread, what is refused."""

import re

import pytest

from guest.events import READY
from lab import (DRIVER, DROPPED, HAVE_TRACING, PROBE_FAILED, SMP, STANDARD_NODES, TRACING,
                 all_cpus)

BOOT = SMP
pytestmark = pytest.mark.wide
STORM = 20000
LIMIT = 100
# An allocation of the raw methods that no other is like.
TRACED_BYTES = 1234
SLEEPS = "{} is not for hard interrupt context: {}"
FLAGS = "its flags let it sleep"
THREAD_ONLY = "allowed is thread, as on a PREEMPT_RT kernel no interrupt may allocate"


@pytest.fixture(name="hard")
def fixture_hard(lab):
    """The button that the device tree puts into hard context, without debounce."""
    return lab.button("interrupt")


@pytest.fixture(name="able")
def fixture_able(guest, lab, button):
    """The methods that accept hard context, and why each other one does not."""
    refused = {}
    for method in button.methods():
        button.set(context="thread", gfp="kernel", method=method)
        if button.write("gfp", "atomic") is None:
            start = guest.mark()
            if button.write("context", "hard") is not None:
                said = guest.log_since(start)[-1]
                refused[method] = said.partition("hard interrupt context: ")[2]
        else:
            refused[method] = None
    able = [method for method in button.methods() if method not in refused]
    lab.rebind()
    return able, refused


def balance(button):
    """Check the counters against each other; return them."""
    counters = button.stats()[0]
    assert counters["allocs"] - counters["frees"] in (0, 1)
    assert counters["allocs"] + counters["frees"] + counters["failures"] == counters["presses"]
    assert counters["frees"] <= counters["deferred"] <= counters["presses"]
    assert (button.live() is None) == (counters["allocs"] == counters["frees"])
    return counters


def in_order(events):
    """Whether the lines are those of the first presses, one each, in their order."""
    assert [event.press for event in events] == list(range(1, len(events) + 1))
    return [event.what for event in events] == \
        [("allocated", "freed")[number % 2] for number in range(len(events))]


@pytest.mark.hard
@pytest.mark.edges
def test_device_tree(lab, hard, able):
    assert {name: lab.button(name).read("context") for name in STANDARD_NODES} == \
        {name: "hard\n" if name == "interrupt" else "thread\n" for name in STANDARD_NODES}
    assert (hard.read("gfp"), hard.current()) == ("atomic\n", "cycle")
    *passed, ready = lab.texts("interrupt")
    assert READY.match(ready)
    assert [re.match(r"cycle: passed over, as (\w+) (?:is not for hard interrupt context: |"
                     "does not take atomic)", text)[1] for text in passed] == list(able[1])


@pytest.mark.hard
def test_who_can(able):
    methods, refused = able
    assert {"kmalloc", "kzalloc", "coherent", "raw_kmalloc", "devm", "page", "pages", "slab",
            "mempool", "dmapool", "static"} <= set(methods)
    # They may sleep whatever the flags say, or take none that do not.
    assert {"vmalloc", "vzalloc", "raw_vmalloc", "kvmalloc", "krealloc", "list"} <= set(refused)
    assert all(refused[method] is None or refused[method] for method in refused)
    for method in ("vmalloc", "vzalloc", "raw_vmalloc"):
        assert refused[method] in (None, "the vmalloc family may sleep")


@pytest.mark.core
@pytest.mark.hard
@pytest.mark.edges
def test_every_method_by_real_edges(button, able):
    button.set(gfp="atomic", context="hard")
    for number, method in enumerate(able[0], 1):
        button.set(method=method)
        got = button.press()
        live = button.live()
        assert (got.method, got.what) == (method, "allocated")
        assert (live["context"], live["gfp"]) == ("hard", "atomic")
        assert int(live["usable"]) >= got.bytes and int(live["alloc_ns"]) > 0
        assert sum(run[2] for run in button.runs()) == int(live["pages"])
        # Nothing was waiting: it was allocated at once, and the free waited for the thread.
        assert button.counters("deferred") == (number - 1,)
        freed = button.press()
        assert (freed.method, freed.what, freed.address) == (method, "freed", got.address)
        assert button.counters("deferred") == (number,)
    presses = 2 * len(able[0])
    assert button.counters("edges", "presses", "bounces", "failures") == (presses, presses, 0, 0)


@pytest.mark.hard
@pytest.mark.edges
def test_cycle_in_hard_context(lab, hard, able):
    hard.inject(2 * len(able[0]), cpus="0", gap_us=200000)
    events = lab.events("interrupt")
    assert in_order(events)
    assert [event.method for event in events if event.what == "allocated"] == able[0]
    assert balance(hard)["deferred"] == len(able[0])


def traced(guest, work):
    """What the kernel's tracing says of the allocations that `work` makes: the flags of each."""
    kmalloc = f"{TRACING}/events/kmem/kmalloc"
    guest.sh(f"{HAVE_TRACING}; "
             f"echo bytes_req=={TRACED_BYTES} >{kmalloc}/filter; echo >{TRACING}/trace; "
             f"echo 1 >{kmalloc}/enable")
    work()
    said = guest.sh(f"echo 0 >{kmalloc}/enable; grep bytes_req={TRACED_BYTES} {TRACING}/trace")
    return re.findall(r"^ *(.+)-\d+ +\[\d+\] ([^ ]+) +[0-9.]+: kmalloc: ", said, re.MULTILINE)


@pytest.mark.traced
@pytest.mark.hard
@pytest.mark.edges
def test_where_it_is_allocated_by_the_kernels_own_account(guest, button):
    button.set(gfp="atomic", method="raw_kmalloc", size=TRACED_BYTES)
    (task, flags), = traced(guest, button.press)
    assert re.match(r"irq/\d+-alloclab", task) and "h" not in flags.lower()
    button.press()
    button.set(context="hard")
    (task, flags), = traced(guest, button.press)
    assert "h" in flags.lower() and not task.startswith("irq/")
    button.press()
    # The file `press` never uses the interrupt.
    (task, flags), = traced(guest, button.software_press)
    assert "h" not in flags.lower() and not task.startswith("irq/")


@pytest.mark.hard
@pytest.mark.edges
def test_file_press_is_no_edge(hard):
    hard.software_press(101)
    assert hard.counters("edges", "presses", "deferred", "allocs", "frees") == (0, 101, 0, 51, 50)
    # Where it was allocated, not where an edge would have it.
    assert (hard.read("context"), hard.live()["context"]) == ("hard\n", "thread")
    # The edge after it finds something held, and waits for the thread.
    hard.inject(1, cpus="0")
    assert hard.wait_counter("presses", 102) == 102
    assert hard.counters("edges", "deferred", "frees") == (1, 1, 51)


@pytest.mark.hard
@pytest.mark.storms
@pytest.mark.edges
def test_storm(lab, hard, able):
    hard.inject(STORM)
    assert hard.wait_counter("presses", STORM, 60) == STORM
    counters = balance(hard)
    assert (counters["edges"], counters["bounces"], counters["failures"]) == (STORM, 0, 0)
    assert counters["allocs"] == STORM // 2
    # Some presses had nothing before them to wait for.
    assert counters["deferred"] < STORM
    assert in_order(lab.events("interrupt")[:LIMIT])
    # On a slow machine it takes more than one interval, each with so many lines.
    shown = [0]
    for text in lab.texts("interrupt"):
        shown = [*shown, 0] if DROPPED.search(text) else [*shown[:-1], shown[-1] + 1]
    passed_over = len(hard.methods()) - len(able[0])
    # It may begin just before an interval ends, in which nothing is dropped then.
    assert LIMIT <= shown[0] <= 2 * LIMIT + 1 + passed_over, shown
    assert all(lines <= LIMIT + 1 + passed_over for lines in shown[1:]), shown
    rounds = STORM // 2 // len(able[0])
    for method, counts in hard.stats()[1].items():
        wanted = rounds if method in able[0] else 0
        assert abs(counts["allocs"] - wanted) <= 1, method


@pytest.mark.hard
@pytest.mark.storms
@pytest.mark.edges
def test_context_changes_in_a_storm(lab, hard):
    rounds = hard.inject(STORM, meanwhile="echo thread >context; echo hard >context")
    assert rounds > 10
    assert hard.wait_counter("presses", STORM, 60) == STORM
    counters = hard.stats()[0]
    assert (counters["edges"], counters["bounces"], counters["failures"]) == (STORM, 0, 0)
    assert counters["allocs"] == counters["frees"] == STORM // 2
    assert counters["deferred"] <= STORM
    # The changes say which methods they pass over, and use up most of the lines.
    presses = [event.press for event in lab.events("interrupt")]
    assert presses == sorted(set(presses))


@pytest.mark.hard
@pytest.mark.storms
@pytest.mark.edges
def test_everything_changes_in_a_storm(hard):
    rounds = hard.inject(STORM + 1, meanwhile=(
        "echo slab >method; echo 100 >size; echo 1 >press; echo thread >context; "
        "echo nowait >gfp; echo cycle >method; echo atomic >gfp; echo hard >context; "
        "cat live pages stats >/dev/null"))
    presses = STORM + 1 + rounds
    assert hard.wait_counter("presses", presses, 60) == presses
    counters = hard.stats()[0]
    assert (counters["edges"], counters["failures"]) == (STORM + 1, 0)
    assert counters["allocs"] + counters["frees"] == presses
    assert counters["allocs"] - counters["frees"] == presses % 2
    assert (hard.live() is None) == (presses % 2 == 0)


@pytest.mark.hard
@pytest.mark.edges
def test_bounces_in_hard_context(lab):
    button = lab.button("slow")
    button.set(gfp="atomic", context="hard")
    button.inject(200)
    assert button.wait_counter("presses", 1) == 1
    assert button.counters("edges", "presses", "bounces", "deferred") == (200, 1, 199, 0)
    assert button.live()["context"] == "hard"


@pytest.mark.hard
@pytest.mark.edges
def test_unbind_frees_what_the_interrupt_allocated(guest, lab, button, able):
    for method in able[0]:
        button.set(gfp="atomic", context="hard", method=method)
        got = button.press()
        lab.rebind()
        last = lab.events("button")[-1]
        assert (last.method, last.what, last.press, last.address) == \
            (method, "left" if method == "devm" else "freed", None, got.address)
    assert guest.run(f"test -e {DRIVER}/button").status == 0


@pytest.mark.hard
@pytest.mark.edges
def test_unbind_in_a_storm(guest, lab, hard):
    result = guest.run(
        f"insmod /root/alloclab_inject.ko irq={hard.irq()} count=4000000 "
        f"cpus={all_cpus(guest)} & "
        f"injector=$!; usleep 300000; echo interrupt >{DRIVER}/unbind || exit 99; wait $injector",
        60)
    assert result.status not in (0, 99), result
    assert guest.run(f"test -e {hard.directory}").status != 0
    guest.sh(f"echo interrupt >{DRIVER}/bind")
    kept = hard.counters("edges")[0]
    hard.inject(10)
    assert hard.wait_counter("presses", 10 + kept) == 10 + kept
    assert balance(hard)["failures"] == 0 and lab.loaded()


@pytest.mark.core
@pytest.mark.hard
def test_refused(button, able):
    button.set(method="kmalloc")
    button.software_press()
    assert button.refused("context", "hard", "EINVAL") == SLEEPS.format("kmalloc", FLAGS)
    for method, reason in able[1].items():
        button.set(gfp="kernel", method=method)
        assert button.refused("context", "hard", "EINVAL") == SLEEPS.format(method, FLAGS)
        if reason:
            button.set(gfp="atomic")
            assert button.refused("context", "hard", "EINVAL") == SLEEPS.format(method, reason)
    button.set(gfp="kernel", method="kmalloc")
    button.set(gfp="atomic", context="hard")
    for gfp in ("kernel", "kernel+zero"):
        assert button.refused("gfp", gfp, "EINVAL") == SLEEPS.format("kmalloc", FLAGS)
    for method, reason in able[1].items():
        said = button.refused("method", method, "EINVAL")
        assert said == SLEEPS.format(method, reason) if reason else "does not take" in said
    assert button.live()["press"] == "1" and button.live()["context"] == "thread"


@pytest.mark.hard
def test_not_a_context(button):
    for value in ("", "soft", "Thread", "hard thread", "thread,hard", "1", "[hard]"):
        assert button.refused("context", value, "EINVAL") == "allowed are thread, hard"
    assert button.write("context", "  thread ") is None
    assert button.write("context", "thread", newline=False) is None


@pytest.mark.hard
def test_flags_that_every_method_refuses_there(button):
    button.set(gfp="atomic", context="hard")
    for gfp in ("kernel", "noio+zero", "user"):
        assert "every method refuses it, as " in button.refused("gfp", gfp, "EINVAL")
    # Others do not take the flags at all, or not the size: that is not what is to be changed.
    button.set(context="thread")
    for gfp, size in (("kernel", "default"), ("noio", "default"), ("kernel", "2M")):
        button.set(gfp=gfp, size=size)
        said = button.refused("context", "hard", "EINVAL")
        assert re.fullmatch("every method refuses it, as " + SLEEPS.format(r"\w+", FLAGS), said)


@pytest.mark.core
@pytest.mark.preempt_rt
def test_preempt_rt_has_the_thread_only(guest, lab, button):
    button.set(gfp="atomic")
    for value in ("hard", "soft"):
        assert button.refused("context", value, "EINVAL") == THREAD_ONLY
    assert button.write("context", "thread") is None
    # The node that asks for it is refused, and so it is when it is bound again.
    assert guest.run(f"test -e {DRIVER}/interrupt || echo interrupt >{DRIVER}/bind").status != 0
    said, failed = f'alloclab,context: "hard" is not valid: {THREAD_ONLY}', PROBE_FAILED
    texts = lab.texts("interrupt")
    assert texts[::2] == [said] * 2 and all(failed.match(text)[1] == "22" for text in texts[1::2])
