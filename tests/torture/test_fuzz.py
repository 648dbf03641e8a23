# SPDX-License-Identifier: GPL-2.0
"""A fuzzer over all files of a button, its device file and the module's parameters (fuzz.c,
fuzz_device.c, fuzz_load.c).

Half of the inputs come from a seed that never changes, the others from one that is new in each run.
"""

import re
from pathlib import Path

import pytest

from guest.events import parse_remark
from lab import DROPPED, Boot

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"own": None, "debug": 90}
BOOT = Boot("fuzz", memory=1024)
SEEDS = (Path(__file__).parent / "seeds").read_text(encoding="ascii")
# Kept, so that two runs can be compared.
SEED = 4
# Row -> inputs of a seed in full and in quick scale, and which of the refused writes is followed by
# a look at all files: each n-th.
INPUTS = {"debug": (7_500, 1_000), "own": (500_000, 10_000)}
EVERY = {"debug": 8, "own": 2}
# Loads of a seed in full and in quick scale; what the file of seeds has is among them.
LOADS = {"debug": (60, 20), "own": (200, 40)}
# Steps of a seed with the device file, likewise.
STEPS = {"debug": (100_000, 10_000), "own": (1_000_000, 50_000)}
FULL_SECONDS = 3600
# As the driver limits its lines.
LINES, SECONDS = 100, 5
STAMPED = re.compile(r"^\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? alloclab [^ :]+: (.*)$")


def seeds(guest):
    """Put the seeds where the fuzzers read them."""
    guest.sh(f"cat >/tmp/seeds <<'END'\n{SEEDS}\nEND")


@pytest.fixture(name="seed", params=["kept", "new"])
def fixture_seed(request):
    """The seed of the fuzzer's random numbers."""
    if request.param == "kept":
        return SEED
    seed = request.config.getoption("--seed")
    print(f"--seed {seed} repeats it")
    return seed


def figures(output):
    """What a fuzzer counted, which is its last line."""
    return {key: int(value) for key, value in
            (field.split("=") for field in output.splitlines()[-1].split())}


def stamped(guest, start):
    """The lines of buttons in the log as it is on disk, as (seconds, text), without remarks.

    Those come on top of an event's line.
    """
    guest.mark()
    lines = guest.log.path.read_bytes().split(b"\n")[start:]
    assert all(32 <= byte < 127 or byte in b"\r\t" for line in lines for byte in line)
    found = [STAMPED.match(line.decode("ascii").rstrip("\r")) for line in lines]
    return [(float(match[1]), match[2]) for match in found
            if match and not parse_remark(match[2])]


def test_files(guest, lab, button, row, full, count, seed):
    seeds(guest)
    start = guest.mark()
    inputs = INPUTS[row.variety][0 if full else 1]
    output = guest.run(f"/root/fuzz {button.directory} {seed} {inputs} {EVERY[row.variety]} "
                       "/tmp/seeds", FULL_SECONDS)
    assert output.status == 0, output.output[max(output.output.find("WRONG"), 0):]
    done = figures(output.output)
    print(done)
    assert done["inputs"] >= inputs
    assert done["accepted"] > inputs / 20 and done["refused"] > inputs / 5, done
    # The counters balance.
    presses, allocs, frees, failures, held = button.counters(
        "presses", "allocs", "frees", "failures", "bytes_held")
    assert presses == done["presses"] == allocs + frees + failures
    assert (allocs, held) == (frees, 0)
    # Unloading says what was dropped last.
    lab.finish()
    # The log is not flooded: at any time, and on the whole.
    lines = stamped(guest, start)
    assert lines
    took = lines[-1][0] - lines[0][0]
    bursts = sum(bool(DROPPED.search(text)) for _, text in lines)
    assert bursts
    assert len(lines) - bursts <= LINES * (int(took / SECONDS) + 2)
    assert bursts <= took / SECONDS + 2
    for first, (began, _) in enumerate(lines):
        # Two of the driver's intervals can begin in one of ours.
        beyond = first + 2 * (LINES + 1)
        assert beyond >= len(lines) or lines[beyond][0] - began >= SECONDS
    count("inputs", done["inputs"])


def test_device_file(guest, lab, button, row, full, count, seed):
    steps = STEPS[row.variety][0 if full else 1]
    output = guest.run(f"/root/fuzz_device {button.name} {seed} {steps}", FULL_SECONDS)
    assert output.status == 0, output.output[max(output.output.find("WRONG"), 0):]
    done = figures(output.output)
    print(done)
    assert all(number > steps / 500 for number in done.values()), done
    presses, allocs, frees, failures, held = button.counters(
        "presses", "allocs", "frees", "failures", "bytes_held")
    assert (presses, failures, held) == (done["presses"], 0, 0) and allocs == frees
    count("inputs", steps)


def test_loads(guest, lab, row, full, count, seed):
    lab.unload()
    seeds(guest)
    start = guest.mark()
    loads = LOADS[row.variety][0 if full else 1]
    output = guest.run(f"/root/fuzz_load /root/alloclab.ko {seed} {loads} /tmp/seeds",
                       FULL_SECONDS)
    assert output.status == 0, output.output[max(output.output.find("WRONG"), 0):]
    done = figures(output.output)
    print(done)
    assert done["inputs"] >= loads and done["accepted"] > loads / 10
    # What was allocated is freed in each load, and what is refused is said in one line.
    said = [line for line in guest.log_since(start) if line.startswith("alloclab: preload_")]
    allocated, freed, refused = ([line for line in said if word in line]
                                 for word in (": allocated ", ": frees ", " is not valid: "))
    assert sorted(line.replace("frees", "allocated") for line in freed) == sorted(allocated)
    assert len(refused) <= done["refused"]
    failed = [line for line in said if ": allocation of " in line]
    assert len(said) == len(allocated) + len(freed) + len(refused) + len(failed)
    lab.load()
    assert lab.button().press().what == "allocated"
    count("inputs", done["inputs"])
