# SPDX-License-Identifier: GPL-2.0
"""KASAN watches the bytes that were not asked for: they are told of, and never touched."""

import re

from lab import Boot

# Of the suites, what is about zeroing: the detectors keep freed memory, which others count.
BOOT = Boot("slack", append="kunit.filter_glob=alloclab_method.*zero*")
SIZES = (1, 65, 4097)
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
