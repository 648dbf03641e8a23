# SPDX-License-Identifier: GPL-2.0
"""Edges by the thousand, bounces, and the limit on log lines."""

import time

import pytest

from lab import DRIVER, DROPPED, SMP, all_cpus

BOOT = SMP
STORM = 20000
LIMIT = 100
LIMIT_SECONDS = 5


@pytest.mark.storms
@pytest.mark.storm
def test_no_press_is_lost(lab):
    button = lab.button("fast")
    button.inject(STORM)
    assert button.wait_counter("presses", STORM, 60) == STORM
    counters, each = button.stats()
    assert (counters["edges"], counters["bounces"], counters["failures"]) == (STORM, 0, 0)
    assert counters["allocs"] + counters["frees"] == STORM
    assert counters["allocs"] - counters["frees"] == 0
    # The cycle went round in order.
    rounds = STORM // 2 // len(each)
    assert all(abs(counts["allocs"] - rounds) <= 1 for counts in each.values())
    assert button.read("live") == "none\n"


@pytest.mark.storms
def test_odd_number_of_edges_holds(lab):
    button = lab.button("fast")
    button.inject(501)
    assert button.wait_counter("presses", 501) == 501
    assert button.counters("edges", "allocs", "frees") == (501, 251, 250)
    assert button.live()["press"] == "501"


@pytest.mark.storms
def test_edges_and_software_presses_together(lab):
    button = lab.button("fast")
    irq = button.irq()
    button.set(method="kmalloc")
    lab.guest.sh(f"for i in 1 2 3 4; do echo 500 >{button.directory}/press & done; "
                 f"insmod /root/alloclab_inject.ko irq={irq} count=2000 "
                 f"cpus={all_cpus(lab.guest)}; "
                 "status=$?; rmmod alloclab_inject; wait; exit $status", 120)
    assert button.wait_counter("presses", 4000) == 4000
    counters = button.counters("edges", "allocs", "frees", "failures")
    assert counters == (2000, 2000, 2000, 0)


def test_bounces_do_nothing(lab):
    button = lab.button("slow")
    button.inject(200)
    assert button.wait_counter("presses", 1) == 1
    assert button.counters("edges", "presses", "bounces") == (200, 1, 199)
    assert button.counters("allocs", "frees") == (1, 0)
    assert [event.press for event in lab.events("slow")] == [1]


def test_window_counts_from_the_last_edge(lab):
    button = lab.button("slow")
    # One edge every 0.45 s for 5.4 s: longer than the window, but no edge is 5 s after another,
    # even if the host stops the guest for a while.
    button.inject(13, cpus="0", gap_us=450000)
    assert button.counters("edges", "presses", "bounces") == (13, 1, 12)
    time.sleep(5.2)
    button.inject(1, cpus="0")
    assert button.wait_counter("presses", 2) == 2
    assert button.counters("edges", "presses", "bounces") == (14, 2, 12)
    assert [event.what for event in lab.events("slow")] == ["allocated", "freed"]


def test_real_edges_are_slower_than_the_window(lab):
    button = lab.button()
    for _ in range(4):
        button.press()
    assert button.counters("edges", "presses", "bounces") == (4, 4, 0)


@pytest.mark.wide
@pytest.mark.edges
def test_edges_are_counted_where_they_come(lab, button):
    for _ in range(3):
        button.press()
    assert button.edges_in() == (3, 0, 0)
    # A tasklet is what injects; bounces are edges, too.
    button.inject(50)
    assert button.edges_in() == (3, 50, 0)
    button.software_press()
    assert button.edges_in() == (3, 50, 0)
    lab.rebind()
    assert button.edges_in() == (0, 0, 0)


def test_100_lines_are_all_shown(lab):
    button = lab.button("fast")
    # One that has nothing to remark: a line is a press.
    button.set(method="kmalloc")
    button.software_press(LIMIT)
    assert [event.press for event in lab.events("fast")] == list(range(1, LIMIT + 1))
    time.sleep(LIMIT_SECONDS + 0.5)
    assert not any(DROPPED.match(text) for text in lab.texts("fast"))


def test_burst_says_how_many_lines_were_dropped(lab):
    button = lab.button("fast")
    button.burst(1000, method="kmalloc")
    assert button.counters("presses", "allocs", "frees") == (1000, 500, 500)
    lab.guest.wait_log(r"^alloclab fast: burst of events: ", lab.start, LIMIT_SECONDS + 30)
    shown = [event.press for event in lab.events("fast")]
    assert shown == list(range(1, LIMIT + 1))
    dropped = [DROPPED.match(text) for text in lab.texts("fast")]
    assert [int(match[1]) for match in dropped if match] == [1000 - LIMIT]
    # It is over: the next press is shown.
    button.software_press(2)
    assert [event.press for event in lab.events("fast")[LIMIT:]] == [1001, 1002]


def test_a_remark_counts_as_a_line(lab):
    button = lab.button("fast")
    # A remark for each of its three records.
    button.burst(200, method="list")
    lab.guest.wait_log(r"^alloclab fast: burst of events: ", lab.start, LIMIT_SECONDS + 30)
    _, ready, *shown, burst = lab.texts("fast")
    assert ready.startswith("ready: ") and len(shown) == LIMIT
    assert sum(text.startswith("list: record ") for text in shown) == 60
    # 100 allocations with three remarks each, and 100 frees.
    assert int(DROPPED.match(burst)[1]) == 500 - LIMIT


def test_burst_of_one_button_leaves_the_others_their_lines(lab):
    lab.button("fast").software_press(1000)
    lab.button().press()
    assert [event.press for event in lab.events("button")] == [1]


def test_rmmod_in_a_burst_says_the_free_and_the_dropped_lines(lab):
    button = lab.button("fast")
    button.burst(501, method="kmalloc")
    lab.unload()
    texts = lab.texts("fast")
    dropped = [int(match[1]) for match in map(DROPPED.match, texts) if match]
    assert sum(dropped) == 501 - LIMIT
    last = lab.events("fast")[-1]
    assert (last.what, last.press) == ("freed", None)


@pytest.mark.storms
def test_unbind_in_a_storm(guest, lab):
    button = lab.button("fast")
    button.set(method="vmalloc")
    # Without a handler the injector's next edge is refused: insmod then fails.
    result = guest.run(
        f"insmod /root/alloclab_inject.ko irq={button.irq()} count=4000000 "
        f"cpus={all_cpus(guest)} & "
        f"injector=$!; usleep 300000; echo fast >{DRIVER}/unbind || exit 99; wait $injector", 60)
    assert result.status not in (0, 99), result
    assert guest.run(f"test -e {button.directory}").status != 0
    guest.sh(f"echo fast >{DRIVER}/bind")
    # The kernel may have kept one edge for the next handler.
    kept = button.counters("edges")[0]
    assert kept <= 1
    button.inject(10)
    assert button.wait_counter("presses", 10 + kept) == 10 + kept
    assert button.counters("allocs", "frees") == (5 + kept, 5)
