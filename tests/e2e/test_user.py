# SPDX-License-Identifier: GPL-2.0
"""The command, as a user of a board calls it: all but `watch`, `map` and a board's
`gpio`."""

import json
import re
import subprocess

import pytest

from guest.command import command_files
from guest.events import PREFIX
from guest.row import CLONE
from lab import DRIVER, STANDARD

BOOT = STANDARD
pytestmark = [pytest.mark.ours, pytest.mark.command]

FAILED, USAGE, REFUSED, GONE, INTERRUPTED = 1, 2, 3, 4, 130
COMMANDS = ["status", "set", "press", "watch", "map", "user", "compare", "gpio", "completions",
            "man"]
MOST_BYTES = 4 << 20
TOO_MUCH = 4 << 60
BASE = "method=cycle size=default gfp=kernel context=thread"
# A method whose guarantees the program knows, in its source.
GUARANTEE = re.compile(r"\"(\w+)\",\s*guarantee\(")


def fields(text):
    """`key: value` lines."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def test_program(row):
    """It is small, and needs no library of the guest."""
    program = command_files(row)["bin/alloclab"]
    assert program.stat().st_size <= MOST_BYTES
    headers = subprocess.run(["readelf", "-lW", program], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    assert "LOAD" in headers and "INTERP" not in headers and "DYNAMIC" not in headers


@pytest.mark.wide
def test_status(lab, button, command):
    """What it shows is what the files say."""
    size = 3 * lab.guest.page_size
    button.hold(method="vmalloc", size=size)
    said = json.loads(command("status --json"))["buttons"]
    names = [state["name"] for state in said]
    assert names == lab.bound()
    state = said[names.index(button.name)]
    live, (device, methods) = button.live(), button.stats()
    assert state["settings"] == {"method": "vmalloc", "size": str(size), "gfp": "kernel",
                                 "context": "thread"}
    age = int(live.pop("age_ns"))
    assert state["held"].pop("age_ns") <= age
    assert {key: str(value) for key, value in state["held"].items()} == live
    assert state["stats"]["presses"] == device["presses"] == 1
    shown = {method["name"]: method for method in state["stats"]["methods"]}
    assert list(shown) == list(methods)
    median, p99, most = map(int, methods["vmalloc"]["alloc_ns"].split(","))
    assert shown["vmalloc"]["alloc_ns"] == {"median": median, "p99": p99, "max": most}

    text = command("status")
    assert f"\nheld: vmalloc, {size} bytes at {live['address']}, 3 pages in " in text
    assert re.search(rf"^vmalloc +1 +0 +0 +{median} +{p99} +{most} ", text, re.M), text


def test_without_module(guest, command):
    """Without the module each command says what is missing."""
    for arguments in ["status", "set size=1", "press", "watch", "map", "compare"]:
        said = command(arguments, GONE)
        assert said == "alloclab: the module is not loaded: insmod alloclab.ko\n"


def test_as_a_user(lab, guest):
    """Only root may read debugfs; that is said."""
    result = guest.run("su user -c 'alloclab status'")
    assert result.status == REFUSED and "only root may read it" in result.output
    assert lab.loaded()


def test_names(lab, button, command):
    """Of several buttons one is named."""
    names = ", ".join(lab.bound())
    assert command("press", USAGE) == f"alloclab: name one of the buttons: {names}\n"
    said = command("press none", GONE)
    assert said == f'alloclab: no button is called "none": there are {names}\n'
    assert button.counters("presses") == (0,)


def test_set(lab, button, command):
    """All or nothing in one write, and the settings as they are then."""
    said = command(f"set {button.name} method=vmalloc size=8K gfp=kernel+zero")
    assert said == "method=vmalloc size=8192 gfp=kernel+zero context=thread\n"
    assert (button.current(), button.read("size")) == ("vmalloc", "8192\n")
    # What the cycle passes over, the kernel says.
    said = command(f"set {button.name} {BASE.replace('default', '5000')}").splitlines()
    assert "cycle: passed over, as " in said[0]
    assert said[-1] == BASE.replace("default", "5000")
    assert said[:-1] == [text for text in lab.texts(button.name) if "passed over" in text]


@pytest.mark.parametrize("words", ["size=0", "method=malloc", "gfp=kernel+what", "context=soft",
                                   "colour=red", "method=vmalloc size=99G", "size=1 size=2"])
def test_set_refused(lab, button, command, words):
    """The kernel's reason is shown, word for word, and nothing has changed."""
    before = button.read("settings")
    said = command(f"set {button.name} {words}", REFUSED)
    refused = [text for text in lab.texts(button.name) if "is not valid" in text]
    assert len(refused) == 1
    why = refused[0].removeprefix("settings: ")
    assert said == f"alloclab: {button.name}: {why}\n"
    assert button.read("settings") == before


def test_set_after_a_burst(lab, button, command):
    """Where the log's limit has dropped the reason, that is said in its place."""
    # On a slow machine the limit may begin anew between the two.
    for _ in range(8):
        before = len([text for text in lab.texts(button.name) if "is not valid" in text])
        button.software_press(200)
        said = command(f"set {button.name} size=0", REFUSED)
        if len([text for text in lab.texts(button.name) if "is not valid" in text]) == before:
            break
        assert "the kernel's log has no reason" not in said
    assert said.startswith(f"alloclab: {button.name}/settings: Invalid argument")
    assert "the kernel's log has no reason" in said


def test_press(button, command):
    """So many presses, and what is held then."""
    said = command(f"press {button.name} -n 35")
    assert said.startswith("35 presses carried out; held: ")
    assert button.counters("presses", "failures") == (35, 0)
    assert f", {button.live()['size']} bytes at {button.live()['address']}" in said


@pytest.mark.parametrize("signal", ["INT", "TERM"])
def test_press_ended_by_a_signal(button, command, guest, signal):
    """It says how many presses were carried out."""
    button.set(method="kmalloc")
    said = guest.run(f"alloclab press {button.name} -n 100000000 & press=$!; {button.begun()}; "
                     f"sleep 1; kill -{signal} $press; wait $press", 60)
    assert said.status == INTERRUPTED
    counted = re.search(r"; (\d+) of 100000000 presses were carried out$", said.output.strip())
    assert (int(counted[1]),) == button.counters("presses")
    assert int(counted[1]) > 0


def test_press_ended_by_unbind(lab, button, guest):
    """A button that goes away ends it."""
    said = guest.run(f"alloclab press {button.name} -n 100000000 & press=$!; {button.begun()}; "
                     f"echo {button.name} >{DRIVER}/unbind; wait $press", 60)
    assert said.status == GONE
    assert re.search(r"; [1-9]\d* of 100000000 presses were carried out$", said.output.strip())
    guest.sh(f"echo {button.name} >{DRIVER}/bind")
    assert lab.button().counters("presses") == (0,)


@pytest.mark.wide
@pytest.mark.parametrize("method", ["malloc", "calloc", "realloc", "mmap"])
def test_user(guest, command, row, method):
    """What there is before and after the pages are touched."""
    said = fields(command(f"user {method} --size 1M --touch"))
    page = guest.page_size
    # realloc doubles it.
    size = 2 << 20 if method == "realloc" else 1 << 20
    pages = (int(said["address"], 16) % page + size + page - 1) // page
    assert int(said["usable"]) >= size
    mapping = "mmap or mremap: " if method == "realloc" else "mmap: "
    assert said[f"{method}_did"].startswith(mapping) and said[f"{method}_did"].endswith(" mapped")
    assert said["touched"] == f"{pages} of {pages} pages"
    assert said["zeroed"] == ("yes" if method in ("calloc", "mmap") else "no")
    if row.config().get("PROC_PAGE_MONITOR") == "y":
        before, after = (re.fullmatch(rf"(\d+) of {pages} pages", said[key])[1]
                         for key in ("resident_before", "resident_after"))
        assert int(before) < pages if method != "realloc" else int(before) <= pages
        assert int(after) == pages
        runs, longest = map(int, re.fullmatch(r"(\d+), the longest of (\d+) pages",
                                              said["physical_runs"]).groups())
        assert 1 <= runs <= pages and longest <= pages <= runs * longest
    assert said["c_library"].startswith("GNU C Library 2.")
    assert "munmap: " in said["munmap_did" if method == "mmap" else "free_did"]


def test_user_small(command):
    """A small block is one of the heap, which the C library keeps when it is freed."""
    said = fields(command("user malloc --size 100"))
    assert said["malloc_did"].startswith(("no system call", "brk: "))
    assert said["free_did"] == "no system call: the heap keeps it"
    assert said["touched"].startswith("0 of ")


def test_user_touches_some(guest, command):
    """Each page that is touched is a fault, and no other one is."""
    pages = (1 << 20) // guest.page_size
    said = fields(command("user mmap --size 1M --touch=5"))
    assert said["resident_before"] == f"0 of {pages} pages"
    assert said["touched"] == f"5 of {pages} pages"
    # And a few for the program's own code.
    assert 5 <= int(said["touch_faults"]) <= 8
    assert said["resident_after"] == f"5 of {pages} pages"


def test_user_realloc(command):
    """It says whether it moved; the content is kept, and when it fails the old block is, too."""
    said = fields(command("user realloc --size 64 --to 1M"))
    assert said["content_kept"] == "yes" and said["moved"] in ("yes", "no")
    said = fields(command("user realloc --size 64 --to 4E", FAILED))
    assert said["old_block"] == "kept, with its content"
    assert said["alloclab"].startswith(f"realloc of {TOO_MUCH} bytes failed: Cannot allocate")


@pytest.mark.parametrize("method", ["malloc", "calloc", "mmap"])
def test_user_fails(command, method):
    """More than there can be is an error; more than there is, is not touched."""
    said = command(f"user {method} --size 4E", FAILED)
    assert f"alloclab: {method} of {TOO_MUCH} bytes failed: Cannot allocate memory" in said
    assert " are not touched: at most " in command(f"user {method} --size 400M --touch", REFUSED)


def test_user_as_a_user(guest):
    """Page frame numbers are for root; the rest is for all."""
    said = fields(guest.sh("su user -c 'alloclab user mmap --size 64K --touch'"))
    assert said["physical_runs"] == "unknown: only root is told page frame numbers"
    assert said["resident_after"].split()[0] == said["touched"].split()[0]


def test_compare(lab, button, command):
    """Both sides, with what each guarantees, and where it ran; the settings are put back."""
    button.set(method="kzalloc", size=100)
    methods = button.methods()
    # So few that the log's limit drops no line.
    said = command(f"compare {button.name} --size 4K --press 2", timeout=120)
    assert re.match(r"size: 4096 bytes; pages: 1, of \d+ bytes each\nran on: linux,dummy-virt "
                    r"\(emulated: the device tree says linux,dummy-virt\)\n", said), said
    rows = [line.split() for line in said.splitlines() if line.startswith(("user ", "kernel "))]
    assert [row[:2] for row in rows] == [
        *(["user", name] for name in ("malloc", "calloc", "realloc", "mmap")),
        *(["kernel", name] for name in methods)]
    by_name = {row[1]: row for row in rows}
    # Nothing is unknown but what a method guarantees that the program does not know, and slab takes
    # no object of that size.
    known = GUARANTEE.findall((CLONE / "user/src/compare.rs").read_text(encoding="utf-8"))
    assert {line.split()[1] for line in said.splitlines() if "?" in line} == set(methods) - {*known}
    times, *_, contiguous, zeroed, dma, sleeps = by_name["vmalloc"][2:]
    assert (times, contiguous, zeroed, dma, sleeps) == ("2", "virtual", "asked", "no", "yes")
    assert by_name["slab"][2] == "0"
    assert re.search(r"^not of this size: slab: \S+: .* takes 1 to \d+ bytes", said, re.M), said
    counters = button.stats()[1]
    for name in methods:
        assert int(by_name[name][2]) == counters[name]["allocs"]
    assert button.read("settings") == "method=kzalloc size=100 gfp=kernel context=thread\n"
    assert lab.events(button.name)[-1].what == "freed"


def test_compare_holds(button, command):
    """What is held is not freed for it."""
    button.hold(method="kmalloc", size=64)
    assert "holds something" in command(f"compare {button.name} --press 1", REFUSED)
    assert button.live()


@pytest.mark.virt
def test_gpio_elsewhere(command):
    """A machine whose registers are not known is refused by its name."""
    said = command("gpio 17", REFUSED)
    assert said.startswith("alloclab: this is linux,dummy-virt: known are the registers of the ")


def test_help(command):
    """Help, man page and completions, each of all commands; the exit codes."""
    said = command("--help")
    listed = re.findall(r"^  (\w+)  ", said.partition("Commands:\n")[2].partition("\n\n")[0], re.M)
    assert listed == [*COMMANDS, "help"]
    for code in (0, FAILED, USAGE, REFUSED, GONE, INTERRUPTED):
        assert re.search(rf"^  {code:<4} \w", said, re.M)
    man = command("man")
    for name in COMMANDS:
        assert f"alloclab\\-{name}(1)" in man
        assert command(f"man {name}").startswith(".ie")
        assert command(f"help {name}") and command(f"{name} -h")
    for shell in ["bash", "zsh", "fish"]:
        assert all(name in command(f"completions {shell}") for name in COMMANDS)
    assert "unrecognized subcommand" in command("mak", USAGE)


def test_output_that_is_not_taken(lab, command, guest):
    """A reader that ends early is no panic."""
    assert lab.loaded()
    assert "panicked" not in guest.run("alloclab status | true; alloclab man | head -n 1").output
    assert "standard output" in guest.run("alloclab status >/dev/full").output


def test_lines_are_ours(lab, button, command):
    """The command adds nothing to the kernel's log but what its presses do."""
    command(f"press {button.name}")
    command("status")
    texts = [text for device, text in lab.lines() if device == button.name]
    assert [text for text in texts if not re.search(r"press 1|^ready: ", text)] == []
    assert all(PREFIX.match(f"alloclab {button.name}: {text}") for text in texts)
