# SPDX-License-Identifier: GPL-2.0
"""The bytes that were not asked for are told of and never touched, as KASAN and QEMU see it."""

import re

import pytest

from lab import Boot

# Of the suites, what is about zeroing: the detectors keep freed memory, which others count.
# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"debug": None}
BOOT = Boot("slack", append="kunit.filter_glob=alloclab_method.*zero*")
SIZES = (1, 65, 4097)
PAGE_SIZE = 4096
# What the driver writes into a page that it maps, as far as it was asked for.
POISON = 0x5a
ATTEMPTS = 20
MORE_SIZES = (7, 63, 100, 129, 1025, 2047, 4095, 12289, 100001)


def test_zeroed_to_the_last_byte(guest):
    start = guest.mark()
    guest.sh("insmod /root/alloclab_kunit.ko && rmmod alloclab_kunit", 300)
    log = guest.log_since(start)
    assert not [line for line in log if re.match(" *not ok ", line)]
    passed = {match[1] for match in map(re.compile(r"^ *ok \d+ (\w+)").match, log) if match}
    assert {"alloclab_method", "zeroed_memory_is_zero"} <= passed


def test_odd_sizes_of_every_method(guest, lab, button, full, count):
    sizes = " ".join(map(str, SIZES + MORE_SIZES * full))
    said = guest.sh(
        f"cd {button.directory}; for method in {' '.join(button.methods())}; do "
        "echo default >size; echo kernel >gfp; echo $method >method; echo kernel+zero >gfp; "
        f"for size in {sizes}; do echo $size >size || continue; "
        "echo 1 >press; echo held: $method $size; cat live; echo 1 >press; "
        "done; done 2>/dev/null", 300)
    methods = set()
    for text in said.split("held: ")[1:]:
        method, size = text.split()[:2]
        live = dict(line.split(": ", 1) for line in text.splitlines()[1:])
        assert (live["method"], live["size"]) == (method, size)
        assert int(live["usable"]) == int(size) + int(live["slack"])
        methods.add(method)
    assert methods == set(button.methods())
    allocs, frees, failures = button.counters("allocs", "frees", "failures")
    assert allocs == frees == len(said.split("held: ")) - 1 and failures == 0
    count("presses", allocs + frees)
    # There were bytes that nobody had asked for.
    assert any(int(slack) > 0 for slack in re.findall("^slack: (.*)$", said, re.M))


@pytest.mark.parametrize("method, before, asked, slack", [
    ("page", "kernel+zero", POISON, 0), ("pages", "kernel", POISON, POISON)])
def test_rest_of_a_page(guest, button, count, method, before, asked, slack):
    """KASAN does not watch it: QEMU reads a page that was held whole before."""
    for _ in range(ATTEMPTS):
        first, second = guest.sh(
            f"cd {button.directory}; echo page >method; echo {PAGE_SIZE} >size; "
            f"echo {before} >gfp; echo 1 >press; cat pages; echo 1 >press; "
            f"echo kernel >gfp; echo 65 >size; echo {method} >method; echo 1 >press; "
            "cat pages").splitlines()
        _, pfn, pages = map(int, second.split())
        assert (pages, button.live()["slack"]) == (1, str(PAGE_SIZE - 65))
        memory = guest.physical(pfn * PAGE_SIZE, PAGE_SIZE)
        button.software_press()
        count("presses", 4)
        if first == second:
            break
    assert first == second, "it never was the same page"
    assert memory[:65] == bytes([asked]) * 65 and memory[65:] == bytes([slack]) * len(memory[65:])
