# SPDX-License-Identifier: GPL-2.0
"""Nodes with something wrong in them: refused with a message, beside good ones that work."""

import re

import pytest

from guest.events import READY
from lab import DEBUGFS, DRIVER, PL061, PROBE_FAILED, Boot, Lab, node, nodes

# What the files of a good node say instead, as refusals there name it.
METHODS, GFP = "method", "gfp"
CONTEXTS = ["thread, hard"]
FLAGS_SLEEP = "is not for hard interrupt context: its flags let it sleep"
SLEEPS = f"kmalloc {FLAGS_SLEEP}"
ENXIO, E2BIG, EBUSY, EINVAL = 6, 7, 16, 22

# name: (line, properties, the property that the message names, the value as the message shows
# it, what has to be among the allowed, the error)
BAD = {
    "no-interrupts": (None, [], "interrupts", "missing", ["interrupts-extended"], ENXIO),
    "half-a-cell": (None, ["interrupts = [00 04]"], "interrupts", "00 04", ["interrupt"], ENXIO),
    "both-edges": (None, ["interrupts = <4 3>"], "interrupts", "00 00 00 04 00 00 00 03",
                   ["both edges", "falling edge, 2", "rising edge, 1"], EINVAL),
    "high-level": (None, ["interrupts-extended = <&gpio 4 4>"], "interrupts-extended",
                   "00 00 00 04 00 00 00 04", ["high level", "falling edge, 2"], EINVAL),
    "low-level": (None, ["interrupts = <4 8>"], "interrupts", "00 00 00 04 00 00 00 08",
                  ["low level", "falling edge, 2", "rising edge, 1"], EINVAL),
    "method-unknown": (4, ['alloclab,method = "malloc"'],
                       "alloclab,method", '"malloc"', METHODS, EINVAL),
    "method-empty": (4, ['alloclab,method = ""'], "alloclab,method", '""', METHODS, EINVAL),
    "method-number": (4, ["alloclab,method = <5>"],
                      "alloclab,method", "00 00 00 05", METHODS, EINVAL),
    "method-list": (4, ['alloclab,method = "kmalloc", "vmalloc"'],
                    "alloclab,method", "6b 6d 61", METHODS, EINVAL),
    "method-no-value": (4, ["alloclab,method"], "alloclab,method", "[]", METHODS, EINVAL),
    "method-no-end": (4, ["alloclab,method = [6b 6d 61 6c 6c 6f 63]"],
                      "alloclab,method", "6b 6d 61 6c 6c 6f 63", METHODS, EINVAL),
    "size-zero": (4, ["alloclab,size = <0>"], "alloclab,size", "0", ["1 to"], EINVAL),
    "size-over-kmalloc": (4, ['alloclab,method = "kmalloc"', "alloclab,size = <0x400001>"],
                          "alloclab,size", "4194305", ["kmalloc takes 1 to 4194304"], E2BIG),
    "size-over-coherent": (4, ['alloclab,method = "coherent"', "alloclab,size = <0x400001>"],
                           "alloclab,size", "4194305", ["coherent takes 1 to 4194304"], E2BIG),
    "size-over-vmalloc": (4, ['alloclab,method = "vmalloc"', "alloclab,size = <0x80000000>"],
                          "alloclab,size", "2147483648", ["vmalloc takes 1 to "], E2BIG),
    "size-over-all": (4, ["alloclab,size = <0x80000000>"],
                      "alloclab,size", "2147483648", ["every method"], EINVAL),
    "size-string": (4, ['alloclab,size = "64"'], "alloclab,size", '"64"', ["32-bit"], EINVAL),
    "size-64-bit": (4, ["alloclab,size = <0 64>"],
                    "alloclab,size", "00 00 00 00 00 00 00 40", ["32-bit"], EINVAL),
    "size-no-value": (4, ["alloclab,size"], "alloclab,size", "[]", ["32-bit"], EINVAL),
    "gfp-unknown": (4, ['alloclab,gfp = "users"'], "alloclab,gfp", '"users"', GFP, EINVAL),
    "gfp-twice": (4, ['alloclab,gfp = "kernel+zero+zero"'],
                  "alloclab,gfp", '"kernel+zero+zero"', GFP, EINVAL),
    "gfp-number": (4, ["alloclab,gfp = <0>"], "alloclab,gfp", "00 00 00 00", GFP, EINVAL),
    "gfp-not-taken": (4, ['alloclab,method = "kmalloc"', 'alloclab,gfp = "noio"'],
                      "alloclab,gfp", "noio",
                      ["kmalloc does not take noio, which is for ", " raw_kmalloc "], EINVAL),
    "gfp-taken-by-none": (4, ['alloclab,gfp = "highuser+noretry+nofail"'],
                          "alloclab,gfp", "highuser+noretry+nofail", ["every method"], EINVAL),
    "gfp-together": (4, ['alloclab,method = "page"', 'alloclab,gfp = "atomic+nofail"'],
                     "alloclab,gfp", "atomic+nofail", ["page: nofail has to wait"], EINVAL),
    "context-unknown": (4, ['alloclab,context = "soft"'],
                        "alloclab,context", '"soft"', CONTEXTS, EINVAL),
    "context-empty": (4, ['alloclab,context = ""'], "alloclab,context", '""', CONTEXTS, EINVAL),
    "context-number": (4, ["alloclab,context = <1>"],
                       "alloclab,context", "00 00 00 01", CONTEXTS, EINVAL),
    "context-sleeping-flags": (4, ['alloclab,method = "kmalloc"', 'alloclab,context = "hard"'],
                               "alloclab,context", "hard", [SLEEPS], EINVAL),
    "context-all-sleep": (4, ['alloclab,context = "hard"'],
                          "alloclab,context", "hard", ["every method"], EINVAL),
    "context-all-takers-sleep": (4, ['alloclab,gfp = "noio"', 'alloclab,context = "hard"'],
                                 "alloclab,context", "hard", ["every method", FLAGS_SLEEP],
                                 EINVAL),
    "context-sleeping-method": (4, ['alloclab,method = "krealloc"', 'alloclab,gfp = "atomic"',
                                    'alloclab,context = "hard"'], "alloclab,context", "hard",
                                ["krealloc is not for hard interrupt context: it "], EINVAL),
    "debounce-string": (4, ['debounce-interval = "5"'],
                        "debounce-interval", '"5"', ["32-bit"], EINVAL),
    "debounce-byte": (4, ["debounce-interval = [05]"],
                      "debounce-interval", "05", ["32-bit"], EINVAL),
    "at-probe-value": (4, ["alloclab,at-probe = <1>"], "alloclab,at-probe", "00 00 00 01",
                       ["the property without a value"], EINVAL),
    "label-number": (4, ["label = <1 2>"], "label", "00 00 00 01", ["1 to 64"], EINVAL),
}
BOOT = Boot("malformed", overlays=[PL061, nodes(
    *(node(name, line, *properties) for name, (line, properties, *_) in BAD.items()),
    # On the very line that most of the others name: it is free.
    node("neighbour", 4),
    # Only one of them can have the line.
    node("twin-a", 7), node("twin-b", 7))])


@pytest.fixture(scope="module", name="probed")
def fixture_probed(module_guest):
    """What one insmod said of each node, and which nodes were bound then."""
    lab = Lab(module_guest)
    lab.load()
    said = {}
    button = lab.button()
    allowed = {file: button.refused(file, "?", "EINVAL") for file in (METHODS, GFP)}
    for device, text in lab.lines():
        if '"?" is not valid' not in text:
            said.setdefault(device, []).append(text)
    bound = module_guest.sh(f"ls {DRIVER}; ls {DEBUGFS}").split()
    lab.finish()
    return said, bound, allowed


@pytest.mark.parametrize("name", BAD)
def test_refused_with_a_message(probed, name):
    _, _, named, value, allowed, error = BAD[name]
    texts = probed[0][name]
    said = texts[0].removeprefix(f"{named}: ")
    assert said != texts[0], texts
    assert value in said
    for word in [probed[2][allowed]] if isinstance(allowed, str) else allowed:
        assert word in said.split(value, 1)[1], texts
    # The driver core takes ENXIO for "not my device" and says nothing more.
    failed = [int(PROBE_FAILED.match(text)[1]) for text in texts[1:]]
    assert failed == ([] if error == ENXIO else [error])
    # Nothing is left behind: neither bound nor with files.
    assert name not in probed[1]


def test_only_the_good_ones_are_bound(probed):
    said, bound, _ = probed
    assert said.keys() == {*BAD, "button", "neighbour", "twin-a", "twin-b"}
    for name in ("button", "neighbour"):
        assert len(said[name]) == 1 and READY.match(said[name][0])
        assert bound.count(name) == 2


def test_good_nodes_beside_them_work(guest, lab, button):
    assert len(re.findall(r"alloclab$", guest.sh("cat /proc/interrupts"), re.MULTILINE)) == 3
    assert [button.press().what, button.press().what] == ["allocated", "freed"]
    neighbour = lab.button("neighbour")
    neighbour.software_press(2)
    assert neighbour.counters("allocs", "frees") == (1, 1)


def test_line_that_is_taken(guest, lab):
    winner, loser = sorted(("twin-a", "twin-b"), key=lambda name: len(lab.texts(name)))
    assert len(lab.texts(winner)) == 1 and READY.match(lab.texts(winner)[0])
    assert int(PROBE_FAILED.match(lab.texts(loser)[-1])[1]) == EBUSY
    # What was set up before the interrupt was asked for is undone.
    assert not any(READY.match(text) for text in lab.texts(loser))
    assert guest.run(f"ls -d {DEBUGFS}/{loser} {DRIVER}/{loser}").output.count("No such") == 2
    lab.button(winner).software_press()
    guest.sh(f"echo {winner} >{DRIVER}/unbind; echo {loser} >{DRIVER}/bind")
    assert READY.match(lab.texts(loser)[-1])
    lab.button(loser).software_press()
    assert [event.what for event in lab.events(loser)] == ["allocated"]


def test_binding_a_bad_node_again_fails_again(guest, lab):
    result = guest.run(f"echo size-zero >{DRIVER}/bind")
    assert result.status != 0
    assert len(lab.texts("size-zero")) == 4
    assert guest.run(f"test -e {DRIVER}/size-zero").status != 0
