# SPDX-License-Identifier: GPL-2.0
"""A press costs no more than the record says.

Whoever makes it cost more writes the record anew, with the reason, in the same commit: in the
build root, `tests/bench.py --record REASON`.
"""

import json

from bench import RECORD, boot, costs, entries, figures, files_of, surroundings

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


def test_costs(row, capsys, request):
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    out = request.config.getoption("--logs").parent
    now = costs(entries(figures(boot(row, out, 1, files_of(row))), row))
    # Wherever it runs, everything was measured.
    assert now.keys() >= record["costs"].keys()
    others = {name: value for name, value in surroundings(row).items()
              if record["surroundings"][name] != value}
    if others:
        with capsys.disabled():
            print(f"not compared: the record is of other surroundings than {others}")
        return
    assert not grown(record["costs"], now), "\n".join(grown(record["costs"], now))
