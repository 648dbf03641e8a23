# SPDX-License-Identifier: GPL-2.0
"""Real edges, from QEMU's button through the PL061 to the thread half."""

import re

import pytest

from guest.events import ADDRESS, DMA, READY, REMARKS, Event, parse_remark
from lab import DEBUGFS, DRIVER, STANDARD

BOOT = STANDARD
pytestmark = pytest.mark.wide
# Where one is specified; the others' are what they are. Those of `page` and `pages` are pages.
DEFAULTS = {"kmalloc": 64, "kzalloc": 64, "vmalloc": 4096, "coherent": 1024, "krealloc": 4096,
            "kvmalloc": 256 << 10, "vzalloc": 4096, "raw_kmalloc": 64, "raw_vmalloc": 4096,
            "devm": 64, "page": None, "pages": None, "static": 2048}


@pytest.fixture(name="defaults")
def fixture_defaults(guest):
    """The default size of each method that has a specified one."""
    return DEFAULTS | {"page": guest.page_size, "pages": 2 * guest.page_size}


@pytest.mark.core
@pytest.mark.edges
def test_ready_line(lab, button):
    texts = lab.texts(button.name)
    assert len(texts) == 1
    ready = READY.match(texts[0])
    assert ready, texts
    assert (ready["debounce"], ready["method"]) == ("5", "cycle")
    interrupts = lab.guest.sh("cat /proc/interrupts")
    assert re.search(rf"^ *{button.irq()}:.* Edge .*alloclab", interrupts, re.MULTILINE)


@pytest.mark.core
def test_every_method_by_a_press(lab, button, defaults):
    methods = button.methods()
    assert list(DEFAULTS)[:4] == methods[:4] and set(DEFAULTS) <= set(methods)
    expected = []
    for number, method in enumerate(methods):
        got = button.press()
        freed = button.press()
        assert (got.method, got.what, got.press) == (method, "allocated", 2 * number + 1)
        assert (freed.method, freed.what, freed.press) == (method, "freed", 2 * number + 2)
        assert got.address == freed.address
        assert got.bytes == freed.bytes == defaults.get(method, got.bytes)
        expected += [got, freed]
    counters, each = button.stats()
    assert each.keys() == set(methods)
    for method, counts in each.items():
        assert (counts["allocs"], counts["frees"], counts["failures"]) == (1, 1, 0), method
    presses = 2 * len(methods)
    edges = presses if lab.guest.row.tree else 0
    assert {name: counters[name] for name in
            ("edges", "presses", "bounces", "allocs", "frees", "failures", "bytes_held")} == {
        "edges": edges, "presses": presses, "bounces": 0, "allocs": len(methods),
        "frees": len(methods), "failures": 0, "bytes_held": 0}
    assert counters["next"] == methods[0]
    assert lab.events(button.name) == expected
    # Nothing else was said, but for the remarks that some methods make.
    texts = [text for text in lab.texts(button.name) if not parse_remark(text)]
    assert len(texts) == 1 + presses
    assert {method for method, _ in lab.remarks(button.name)} == set(REMARKS) & set(methods)


def test_log_format(guest, lab, button, defaults):
    button.software_press(2 * len(button.methods()))
    patterns = []
    for number, method in enumerate(button.methods()):
        dma = rf", dma {DMA}," if method in ("coherent", "dmapool") else ""
        size = defaults.get(method, r"\d+")
        pages = -(-defaults.get(method, 0) // guest.page_size)
        runs = rf", {pages} pages in \d+ runs" if pages > 1 else ""
        if method == "static":
            # It lies where the module's data lie.
            runs = r"(?:, 2 pages in \d runs)?"
        remarks = 3 if method == "list" else int(method in REMARKS)
        patterns += [
            rf"{method}: allocated {size} bytes at {ADDRESS}{dma} in \d+ ns "
            rf"\(press {2 * number + 1}\){runs}",
            *[f"{method}: {REMARKS.get(method)}"] * remarks,
            rf"{method}: freed {size} bytes at {ADDRESS} in \d+ ns \(press {2 * number + 2}\)"]
    texts = lab.texts(button.name)[1:]
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
    assert lines[0].split()[1] == str(2 * button.guest.page_size)
    assert re.search(r" pages=1 vmalloc\b", lines[0])
    assert button.live()["address"].removeprefix("0x") == got.address
    freed = button.press()
    assert freed.address == got.address
    after = button.guest.run(f"grep ^0x{got.address}- /proc/vmallocinfo").output
    assert lines[0] not in after


@pytest.mark.core
def test_rmmod_while_held_frees_and_says_so(guest, lab):
    # As many methods at once as there are buttons in thread context.
    names = [name for name in guest.sh(f"ls {DEBUGFS}").split() if name != "interrupt"]
    methods = lab.button().methods()
    while methods:
        held = {}
        for name, method in zip(names, methods):
            held[name] = lab.button(name).hold(size="default", gfp="kernel", method=method)[0]
            assert held[name].method == method
        lab.unload()
        for name, got in held.items():
            # What is the device's is not ours to free.
            what = "left" if got.method == "devm" else "freed"
            assert lab.events(name)[-1] == Event(name, got.method, what, got.bytes, None,
                                                 got.address)
            how = r"in \d+ ns" if what == "freed" else "to the device, which frees it"
            assert re.fullmatch(
                rf"{got.method}: {what} {got.bytes} bytes at {got.address} {how} \(unbind\)",
                lab.texts(name)[-1])
        methods = methods[len(names):]
        lab.load()


def test_devm_is_freed_by_the_device(guest, lab, button):
    def available():
        return int(guest.sh("awk '/^MemAvailable:/ { print $2 }' /proc/meminfo")) >> 10

    before = available()
    guest.sh(f"cd {DRIVER}; for i in $(seq 64); do (cd {button.directory}; echo devm >method && "
             f"echo 1M >size && echo 1 >press) && echo {button.name} >unbind && "
             f"echo {button.name} >bind || exit 1; done", 60)
    # 64 MiB were left to it.
    assert [event.what for event in lab.events(button.name)].count("left") == 64
    assert available() > before - 32


@pytest.mark.edges
def test_the_static_buffer_has_one_holder(lab, button):
    other = lab.button("fast")
    for each in (button, other):
        each.set(method="static")
    got = button.press()
    assert (got.what, got.bytes) == ("allocated", 2048)
    for number in (1, 2):
        other.software_press()
        assert lab.events("fast")[-1] == Event("fast", "static", "failed", 2048, number,
                                               error="EBUSY")
    assert lab.texts("fast")[-1] == "static: allocation of 2048 bytes failed: EBUSY (press 2)"
    assert other.counters("failures", "presses", "allocs") == (2, 2, 0)
    # Nor for a part of it, and its holder goes on holding it.
    other.set(size=1)
    other.software_press()
    assert (other.live(), button.live()["address"]) == (None, got.address)
    assert button.press().what == "freed"
    other.software_press()
    assert other.live()["address"] == got.address
    # An unbind gives it back.
    lab.rebind("fast")
    assert button.press().what == "allocated"


@pytest.mark.core
@pytest.mark.excused("debug", "leaks: with KASAN 64 MiB of list take minutes; kmemleak looks")
def test_nothing_leaks(guest, button):
    def available():
        return int(guest.sh("awk '/^MemAvailable:/ { print $2 }' /proc/meminfo")) >> 10

    limits = button.limits()
    before = available()
    for method, (largest, _) in limits.items():
        button.set(size="default", method=method)
        button.set(size=min(largest, 1 << 20))
        button.software_press(128)
        assert button.stats()[1][method]["frees"] == 64
        # 64 MiB came and went, of most.
        assert available() > before - 32, method


def test_rmmod_while_empty_says_nothing(lab, button):
    button.press()
    button.press()
    before = lab.texts(button.name)
    lab.unload()
    assert lab.texts(button.name) == before


def test_loading_again_starts_anew(lab, button):
    button.press()
    lab.unload()
    lab.load()
    assert button.press().press == 1
    assert button.counters("presses", "allocs", "frees") == (1, 1, 0)
