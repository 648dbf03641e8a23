# SPDX-License-Identifier: GPL-2.0
"""Real edges, from QEMU's button through the PL061 to the thread half."""

import re

from events import READY, Event
from lab import STANDARD

BOOT = STANDARD
DEFAULTS = {"kmalloc": 64, "kzalloc": 64, "vmalloc": 4096, "coherent": 1024}


def test_ready_line(lab, button):
    texts = lab.texts("button")
    assert len(texts) == 1
    ready = READY.match(texts[0])
    assert ready, texts
    assert (ready["debounce"], ready["method"]) == ("5", "cycle")
    interrupts = lab.guest.sh("cat /proc/interrupts")
    assert re.search(rf"^ *{button.irq()}:.* Edge .*alloclab", interrupts, re.MULTILINE)


def test_every_method_by_a_real_edge(lab, button):
    methods = button.methods()
    assert set(DEFAULTS) <= set(methods)
    expected = []
    for number, method in enumerate(methods):
        got = button.press()
        freed = button.press()
        assert (got.method, got.what, got.press) == (method, "allocated", 2 * number + 1)
        assert (freed.method, freed.what, freed.press) == (method, "freed", 2 * number + 2)
        assert got.address == freed.address
        assert got.bytes == freed.bytes == DEFAULTS.get(method, got.bytes)
        expected += [got, freed]
    counters, each = button.stats()
    assert each.keys() == set(methods)
    for method, counts in each.items():
        assert (counts["allocs"], counts["frees"], counts["failures"]) == (1, 1, 0), method
    presses = 2 * len(methods)
    assert {name: counters[name] for name in
            ("edges", "presses", "bounces", "allocs", "frees", "failures", "bytes_held")} == {
        "edges": presses, "presses": presses, "bounces": 0, "allocs": len(methods),
        "frees": len(methods), "failures": 0, "bytes_held": 0}
    assert counters["next"] == methods[0]
    # Nothing else was said.
    texts = lab.texts("button")
    assert len(texts) == 1 + presses
    assert lab.events("button") == expected


def test_log_format(lab, button):
    button.software_press(2 * len(button.methods()))
    address = r"[0-9a-f]{16}"
    patterns = []
    for number, method in enumerate(button.methods()):
        dma = rf", dma 0x{address}," if method == "coherent" else ""
        size = DEFAULTS.get(method, r"\d+")
        patterns += [
            rf"{method}: allocated {size} bytes at {address}{dma} in \d+ ns "
            rf"\(press {2 * number + 1}\)",
            rf"{method}: freed {size} bytes at {address} in \d+ ns \(press {2 * number + 2}\)"]
    texts = lab.texts("button")[1:]
    assert len(texts) == len(patterns)
    for text, pattern in zip(texts, patterns):
        assert re.fullmatch(pattern, text)


def test_vmalloc_is_found_by_grep_and_gone_after_the_free(button):
    button.set(method="vmalloc")
    got = button.press()
    found = button.guest.sh(f"grep {got.address} /proc/vmallocinfo").splitlines()
    lines = [line for line in found if line.startswith(f"0x{got.address}-")]
    assert len(lines) == 1
    # The area ends with a guard page.
    assert lines[0].split()[1] == "8192"
    assert re.search(r" pages=1 vmalloc\b", lines[0])
    assert button.live()["address"].removeprefix("0x") == got.address
    freed = button.press()
    assert freed.address == got.address
    after = button.guest.run(f"grep ^0x{got.address}- /proc/vmallocinfo").output
    assert lines[0] not in after


def test_rmmod_while_held_frees_and_says_so(lab, button):
    for method in button.methods():
        button.set(method=method)
        got = button.press()
        assert got.method == method
        lab.unload()
        freed = Event("button", method, "freed", got.bytes, None, got.address)
        assert lab.events("button")[-1] == freed
        assert re.fullmatch(
            rf"{method}: freed {got.bytes} bytes at {got.address} in \d+ ns \(unbind\)",
            lab.texts("button")[-1])
        lab.load()


def test_nothing_leaks(guest, button):
    def available():
        return int(guest.sh("awk '/^MemAvailable:/ { print $2 }' /proc/meminfo")) >> 10

    button.set(size="1M")
    before = available()
    for method in button.methods():
        button.set(method=method)
        button.software_press(128)
        assert button.stats()[1][method]["frees"] == 64
        # 64 MiB came and went.
        assert available() > before - 32, method


def test_rmmod_while_empty_says_nothing(lab, button):
    button.press()
    button.press()
    before = lab.texts("button")
    lab.unload()
    assert lab.texts("button") == before


def test_loading_again_starts_anew(lab, button):
    button.press()
    lab.unload()
    lab.load()
    assert button.press().press == 1
    assert button.counters("presses", "allocs", "frees") == (1, 1, 0)
