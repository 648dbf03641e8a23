# SPDX-License-Identifier: GPL-2.0
"""A press costs no more than the record says.

Whoever makes it cost more writes the record anew, with the reason, in the same commit: in the
build root, `tests/bench.py --record REASON`.
"""

import warnings

import pytest

from bench import (SIZES, boot, costs, entries, exceeded, figures, files_of, missing, others,
                   record_of, records, surroundings)

# By so much of what the record says a cost may grow.
MOST = 0.01


def grown(before, now):
    """What costs more than it may, as a line each; what is no more measured, too.

    What an allocator costs depends on the memory that is free, hence on the length of a path in a
    module, and is the same in C: a cost has grown by what it has grown beyond C's.
    """
    return [f"{name}: {now.get(name)}, the record says {[rust, c]}"
            for name, (rust, c) in before.items()
            if name not in now or now[name][0] - now[name][1] - (rust - c) > MOST * rust]


def test_what_has_grown_is_found():
    before = {"press kmalloc 64": [1000, 900], "text": [1000, 300], "pair list 64": [1000, 990]}
    assert grown(before, before) == []
    assert grown(before, {**before, "press kmalloc 64": [1010, 900], "text": [900, 300]}) == []
    # The allocator's state, the same for both.
    assert grown(before, {**before, "pair list 64": [1273, 1263]}) == []
    assert len(grown(before, {"press kmalloc 64": [1011, 900], "text": [1000, 300]})) == 2


def test_what_exceeds_is_found():
    def entry(what, rust, method="kmalloc", size=SIZES[0], c=1000):
        return {"what": what, "method": method, "size": size, "rust": rust, "c": c,
                "ratio": rust / c}

    good = [entry("press", 1010), entry("press-shown", 1000), entry("pair", 1400),
            entry("pair", 1010, "raw_kmalloc"), entry("press-64-buttons", 1530, c=1500),
            entry("press", 2030, size=SIZES[1], c=2000)]
    assert exceeded(good) == []
    for bad in (entry("press", 1051, "page"), entry("press-shown", 1051, "page"),
                entry("pair", 1011, "raw_kmalloc"), entry("press-64-buttons", 1545, c=1500),
                entry("press", 2052, size=SIZES[1], c=2000)):
        assert exceeded([*good, bad]), bad
    assert exceeded([*good, *(entry("press", 1040, name) for name in ("page", "slab"))]) == [
        "press: the mean ratio is above 1.02"]


def test_what_is_missing_is_named():
    """A new method has none in C at first."""
    lines = missing({("press", "new", 64): {"rust": [5000], "c": []},
                     ("load", "", 0): {"rust": [], "c": [1]}})
    assert lines[:2] == ["press new 64: there is none in C", "load: there is none in Rust"]
    assert "press kmalloc 64: not measured, the record has it" in lines[2:]
    assert not any(line.startswith("text: ") for line in lines)


def test_another_configuration_is_found():
    here = {**records()[-1]["surroundings"], "configuration": "another"}
    assert others(here)[-1] == {"configuration": "another"}


@pytest.fixture(scope="module", name="now")
def fixture_now(row, group):
    """What everything costs now."""
    return costs(entries(figures(boot(row, group.logs.parent, 1, files_of(row))), row))


def test_everything_is_measured(row, now):
    assert now.keys() >= records()[-1]["costs"].keys()
    if record_of(row) is None:
        other = others(surroundings(row))
        # A change of this tree does that, another machine does not.
        assert {"configuration"} not in map(set, other), (
            "only the kernel's configuration differs from that of a record: write the record anew")
        warnings.warn(f"not compared: there is no record of these surroundings; in the newest one "
                      f"there is another {' and '.join(other[-1])} than {other[-1]}")


@pytest.mark.recorded
def test_costs(row, now):
    record = record_of(row)
    assert not grown(record["costs"], now), "\n".join(grown(record["costs"], now))
