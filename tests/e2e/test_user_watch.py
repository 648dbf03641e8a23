# SPDX-License-Identifier: GPL-2.0
"""`alloclab watch` on a serial terminal, as an emulator of terminals shows it."""

import re

import pytest

from lab import DRIVER, STANDARD, Lab

pytestmark = [pytest.mark.ours, pytest.mark.command, pytest.mark.terminal]
BOOT = STANDARD._replace(name="terminal", terminal=True)
KEYS = "p press  P 100 presses  m M method  + - d size  c context  e other  q quit"


def watch(terminal, button, before=""):
    """Start it; return its process id when its screen is there."""
    pid = terminal.run(f"env TERM=linux {before} /bin/alloclab watch {button.name}")
    terminal.wait("presses ")
    # The last that is drawn.
    terminal.wait(KEYS)
    return pid


def duration(ns):
    """Nanoseconds as the screen shows them."""
    for unit, size in [("s", 10 ** 9), ("ms", 10 ** 6), ("us", 10 ** 3)]:
        if ns >= size:
            return f"{ns // size}.{ns * 10 // size % 10} {unit}"
    return f"{ns} ns"


def gone(guest, pid):
    """Whether a process ends, within 20 seconds."""
    return guest.run(f"for i in $(seq 200); do kill -0 {pid} 2>/dev/null || exit 0; "
                     "usleep 100000; done; exit 1", 60).status == 0


def test_screen(terminal, button):
    """What is held, page by page; counts; the keys."""
    button.hold(method="vmalloc", size="40K")
    watch(terminal, button)
    terminal.wait("vmalloc 40960 bytes ")
    lines = terminal.lines
    assert lines[0] == f"{button.name}: method=vmalloc size=40960 gfp=kernel context=thread"
    assert lines[1] == "presses 1 (0 not seen)  edges 0  bounces 0  deferred 0  failures 0"
    assert lines[23] == KEYS
    live = button.live()
    text = "\n".join(lines)
    assert f"|at {live['address']}" in text
    assert f"|{live['pages']} pages in {live['runs']} runs, longest {live['longest_run']}" in text
    drawn = "".join(chr(ord("a") + number % 26) * pages
                    for number, (_, _, pages) in enumerate(button.runs()))
    assert f"|{drawn} " in text
    median = button.stats()[1]["vmalloc"]["alloc_ns"].split(",")[0]
    assert re.search(rf"^.*\|vmalloc +1 +{duration(int(median))} ", text, re.M), text
    # One allocation was seen.
    assert re.search(r"^\|.* (ns|us|ms) +1 #+", text, re.M), text


def test_keys(terminal, guest, button, lab):
    """Keys press and change settings; what the kernel refuses is said with its reason."""
    pid = watch(terminal, button)
    terminal.type("p")
    terminal.wait("presses 1 ")
    terminal.wait("pressed  (q quit)")
    assert button.counters("presses") == (1,)
    terminal.type("m")
    terminal.wait("method=kmalloc size=default")
    terminal.type("M")
    terminal.wait("method=cycle size=default")
    terminal.type("+")
    terminal.wait("size=128 ")
    terminal.type("-")
    terminal.wait("size=64 ")
    terminal.type("d")
    terminal.wait("size=default ")
    terminal.type("egfp=atomic\r")
    terminal.wait("gfp=atomic ")
    terminal.type("esize=0\r")
    why = terminal.wait("is not valid: ")
    refused = [text for text in lab.texts(button.name) if "is not valid" in text]
    assert why.startswith(f"{button.name}: " + refused[-1].removeprefix("settings: ")[:60])
    terminal.type("P")
    terminal.wait("presses 101 (")
    # Of presses that come at once, one is seen.
    terminal.wait("presses 101 (99 not seen)")
    terminal.type("q")
    assert gone(guest, pid)
    terminal.settled()
    # The terminal is as it was.
    assert "-echo " not in guest.sh("stty -a -F /dev/ttyS0")
    assert terminal.written.rfind(b"\x1b[?1049l") > terminal.written.rfind(b"\x1b[?1049h")


def test_picture(terminal, button, left_by):
    """What doc/ shows of it: after some presses, in colours. The picture is left with the logs."""
    button.software_press(2 * len(button.methods()))
    button.hold(method="vmalloc", size="256K")
    watch(terminal, button, before="LANG=C.UTF-8")
    terminal.wait(KEYS)
    for _ in range(8):
        terminal.type("p")
        terminal.read(0.7)
    terminal.wait("262144 bytes")
    picture = terminal.svg()
    left_by("svg").write_text(picture, encoding="utf-8")
    for part in [">262144<", ">vmalloc<", ">held<", ">┌<"]:
        assert part in picture, part


def test_edge(terminal, button):
    """A press of the button itself is shown by the next poll."""
    watch(terminal, button)
    button.press()
    terminal.wait("presses 1 (0 not seen)  edges 1 ")


def test_size_unknown(terminal, button):
    """A terminal that does not tell its size is taken for 80 by 24, until it does."""
    terminal.forget()
    watch(terminal, button)
    terminal.wait(KEYS)
    assert terminal.lines[23] == KEYS
    terminal.resize(100, 30)
    terminal.wait(KEYS)
    assert terminal.lines[29] == KEYS


@pytest.mark.parametrize("size", [(120, 40), (40, 12), (20, 5)])
def test_resize(terminal, guest, button, size):
    """Another size shows the same again; a very small one does no harm."""
    button.hold(method="vmalloc", size="40K")
    pid = watch(terminal, button)
    terminal.resize(*size)
    terminal.wait(f"{button.name}: method=vm")
    if size[0] > 80:
        terminal.wait("40960 bytes")
        terminal.wait(KEYS)
        assert terminal.lines[-1] == KEYS
    terminal.resize(80, 24)
    terminal.wait(KEYS)
    guest.sh(f"kill -0 {pid}")


def test_colours(terminal, button):
    """NO_COLOR takes the colours away, and nothing else."""
    button.hold(method="vmalloc", size="40K")
    watch(terminal, button, before="NO_COLOR=1")
    terminal.wait(KEYS)
    plain = terminal.settled()
    assert terminal.colours == set()
    terminal.type("q")
    # The session ends a second after the program, and would take the terminal from the next one.
    terminal.settled(quiet=3)
    watch(terminal, button)
    terminal.wait(KEYS)
    assert terminal.settled() == plain
    assert terminal.colours


def test_unicode(terminal, button):
    """In a locale of UTF-8 the frames are lines."""
    watch(terminal, button, before="LANG=C.UTF-8")
    assert "┌ held ─" in terminal.wait(" held ")


def test_device_goes_away_and_comes_back(terminal, guest, button):
    """Unbound and bound under it."""
    button.software_press(2)
    watch(terminal, button)
    guest.sh(f"echo {button.name} >{DRIVER}/unbind")
    terminal.wait("away: no button is called")
    guest.sh(f"echo {button.name} >{DRIVER}/bind")
    terminal.wait("presses 0 (0 not seen)")
    terminal.wait(KEYS)


def test_module_goes_away_and_comes_back(terminal, guest, lab, button):
    """No file is held open, so rmmod works at once, or after a few tries."""
    watch(terminal, button)
    guest.sh("for i in $(seq 10); do rmmod alloclab && exit; usleep 70000; done; exit 1")
    terminal.wait("away: the module is not loaded")
    Lab.load(lab)
    terminal.wait(KEYS)


def test_ctrl_c_and_signals(terminal, guest, button):
    """Each way out leaves the terminal as it was."""
    pid = watch(terminal, button)
    terminal.type("\x03")
    assert gone(guest, pid)
    pid = watch(terminal, button)
    guest.sh(f"kill {pid}")
    assert gone(guest, pid)
    terminal.wait("a signal ended it")


def test_without_terminal(lab, button, command):
    """A line for what was seen, and the end after so many seconds."""
    said = command(f"watch {button.name} --seconds 2 | cat")
    command(f"press {button.name}")
    assert re.fullmatch(rf"{button.name}: presses 0, edges 0, .*, skipped 0; method=cycle .*; "
                        r"held: nothing\n", said)
    said = lab.guest.sh(
        f"rm -f /tmp/seen; alloclab watch {button.name} --seconds 100 >/tmp/seen 2>/dev/null & "
        "watch=$!; until grep -qs 'presses 1,' /tmp/seen; do usleep 50000; done; "
        f"alloclab press {button.name} -n 5 >/dev/null; "
        "until grep -q 'presses 6,' /tmp/seen; do usleep 50000; done; "
        "kill $watch; wait; cat /tmp/seen", 60)
    lines = said.splitlines()
    assert "presses 1," in lines[0] and "skipped 0" in lines[0]
    assert "presses 6," in lines[-1]
    assert "\x1b" not in said


def test_progress_bar(terminal, guest, button):
    """A long run of presses has a bar on a terminal, and Ctrl-C ends it."""
    button.set(method="kmalloc")
    pid = terminal.run(f"/bin/alloclab press {button.name} -n 100000000")
    line = terminal.wait(" a second")
    assert re.fullmatch(r"\[#*\.+\] \d+ of 100000000 presses, \d+ a second", line), line
    terminal.type("\x03")
    terminal.wait("presses were carried out")
    assert gone(guest, pid)
