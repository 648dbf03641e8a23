# SPDX-License-Identifier: GPL-2.0
"""The simulated GPIO controller as a second button, pressed from inside the guest."""

import pytest

from lab import CHIP, DRIVER, GPIO_SIM, PL061, Boot, load_sim

BOOT = Boot("sim", overlays=[PL061, GPIO_SIM], kernel_modules=["gpio-sim"])
PULL = f"{CHIP}/sim_gpio0/pull"


@pytest.fixture(name="sim")
def fixture_sim(guest, row, lab):
    """The simulated button, bound."""
    load_sim(guest, row)
    guest.wait_log(r"^alloclab button-sim: ready: ", lab.start)
    # And nothing before it.
    assert len(lab.texts("button-sim")) == 1
    return lab.button("button-sim")


def press(sim, count=1):
    """Press the simulated button; wait until the presses are carried out."""
    wanted = sim.counters("presses")[0] + count
    sim.guest.sh(f"pull=$(echo {PULL}); for i in $(seq {count}); do echo pull-up >$pull; "
                 "echo pull-down >$pull; usleep 10000; done")
    assert sim.wait_counter("presses", wanted) == wanted


@pytest.mark.late_sim
def test_waits_silently_for_its_controller(guest, row, lab):
    # The first test of this guest: the controller's driver is not loaded yet.
    assert guest.run(f"ls -d {CHIP}").status != 0
    assert not lab.texts("button-sim")
    assert guest.run(f"test -e {DRIVER}/button-sim").status != 0
    load_sim(guest, row)
    guest.wait_log(r"^alloclab button-sim: ready: ", lab.start)
    assert len(lab.texts("button-sim")) == 1
    assert guest.run(f"test -e {DRIVER}/button-sim").status == 0


def test_every_method_pressed_from_inside(lab, sim):
    methods = sim.methods()
    press(sim, 2 * len(methods))
    done = [(event.method, event.what) for event in lab.events("button-sim")]
    assert done == [(method, what) for method in methods for what in ("allocated", "freed")]
    assert sim.counters("edges", "bounces") == (2 * len(methods), 0)


def test_release_is_no_edge(sim):
    press(sim)
    sim.guest.sh(f"pull=$(echo {PULL}); echo pull-up >$pull; usleep 50000")
    assert sim.counters("edges", "presses") == (1, 1)
    sim.guest.sh(f"pull=$(echo {PULL}); echo pull-down >$pull; usleep 50000")
    assert sim.counters("edges", "presses") == (2, 2)


def test_two_buttons_are_independent(guest, lab, sim):
    button = lab.button()
    assert sorted(guest.sh("ls /sys/kernel/debug/alloclab").split()) == ["button", "button-sim"]
    sim.set(method="vmalloc", size=8192, gfp="kernel+zero")
    assert (button.current(), button.read("size"), button.read("gfp")) == \
        ("cycle", "default\n", "kernel\n")
    got = button.press()
    assert sim.counters("edges", "presses") == (0, 0)
    press(sim)
    assert button.counters("edges", "presses") == (1, 1)
    assert button.live()["address"] == got.address
    assert (button.live()["method"], sim.live()["method"]) == ("kmalloc", "vmalloc")
    # One goes, the other one stays as it is.
    guest.sh(f"echo button >{DRIVER}/unbind")
    assert lab.events("button")[-1].what == "freed"
    assert sim.live()["size"] == "8192"
    press(sim)
    assert [event.what for event in lab.events("button-sim")] == ["allocated", "freed"]
    guest.sh(f"echo button >{DRIVER}/bind")
    assert button.press().press == 1


def test_rmmod_frees_what_both_hold(lab, sim):
    button = lab.button()
    button.press()
    press(sim)
    lab.unload()
    for name in ("button", "button-sim"):
        last = lab.events(name)[-1]
        assert (last.what, last.press) == ("freed", None)
