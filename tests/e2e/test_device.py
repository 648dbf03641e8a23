# SPDX-License-Identifier: GPL-2.0
"""The device file: what is held is read, written and mapped, and taken away when it is freed."""

import re
import shlex

import pytest

from guest.events import PREFIX
from lab import DRIVER, STANDARD, errno

BOOT = STANDARD
pytestmark = pytest.mark.ours
# What memory is filled with that was not zeroed.
POISON = "5a"
ZEROED = ("vzalloc", "coherent")


def sizes(guest):
    """Each method whose memory user space may have -> sizes, with and without a rest of a page."""
    page = guest.page_size
    return {"vmalloc": (1, 5 * page + 7), "coherent": (page, 2 * page + 1), "page": (page, 100),
            # More than kmalloc has.
            "kvmalloc": (guest.largest_block + 1,), "vzalloc": (3 * page - 1,),
            "raw_vmalloc": (4 * page, 100_000), "pages": (page + 1, 4 * page)}


def take(guest, button, *steps, path=None):
    """Take the steps of /root/device; return what each has printed."""
    path = path or f"/dev/alloclab/{button.name}"
    result = guest.run(f"/root/device {path} {' '.join(map(shlex.quote, steps))}", 120)
    assert result.status == 0, result.output
    return result.output.splitlines()


def press(button):
    """The step that presses the button by its file; it prints 0."""
    return f"sh,echo 1 >{button.directory}/press"


def rebind(button):
    """The step that unbinds the button and binds it again; it prints 0."""
    return f"sh,cd {DRIVER} && echo {button.name} >unbind && echo {button.name} >bind"


def said(guest, start):
    """What the driver has logged since."""
    return [match["text"] for match in map(PREFIX.match, guest.log_since(start)) if match]


def hold(button, method="vmalloc", size=None, gfp="kernel"):
    """Have so many bytes held, four pages if it is not said how many; return `live`."""
    size = size or 4 * button.guest.page_size
    button.guest.sh(f"cd {button.directory}; grep -q none live || echo 1 >press")
    button.set(settings=f"method={method} size={size} gfp={gfp}", press=1)
    # Not by the log: of so many lines some may be dropped.
    live = button.live()
    assert (live["method"], live["size"]) == (method, str(size)), live
    return live


@pytest.mark.wide
def test_name_and_mode(guest, lab, button):
    shown = guest.sh("cd /dev/alloclab && stat -c '%n %a %u %g %F' *").splitlines()
    assert sorted(shown) == [f"{name} 600 0 0 character special file" for name in lab.bound()]
    assert errno(guest.run(f"su user -c 'cat /dev/alloclab/{button.name}'")) == "EACCES"
    guest.sh(f"echo {button.name} >{DRIVER}/unbind")
    assert guest.run(f"ls /dev/alloclab/{button.name}").status != 0
    guest.sh(f"echo {button.name} >{DRIVER}/bind; ls /dev/alloclab/{button.name}")
    lab.unload()
    assert guest.run("ls /dev/alloclab/*").status != 0


@pytest.mark.wide
def test_kernel_and_user_space_agree(guest, button):
    page = guest.page_size
    for method, several in sizes(guest).items():
        for size in several:
            pages = -(-size // page)
            live = hold(button, method, size)
            assert live["mapped"] == "0"
            got = take(guest, button, "open", f"put,0,{size},7", f"map,0,0,{pages}",
                       f"check,0,{size},7", f"fill,0,{size},9", f"same,0,{size},9",
                       # The last page alone, in a second mapping.
                       f"map,0,{pages - 1},1", f"set,1,{(size - 1) % page},ee",
                       f"get,0,{size - 1}", f"read,0,{size - 1},8",
                       f"all,0,{size},{pages * page},00")
            assert got == ["0", str(size), "0", "same", "0", "same", "0", "0", "ee", "ee",
                           "all"], (method, size)
            assert button.live() | {"age_ns": 0} == live | {"age_ns": 0}


def test_nothing_old_is_shown(guest, button):
    page = guest.page_size
    # By the first access, whatever that is.
    first = {"map": ("map,0,0,1", "0"), "read": ("read,0,0,1", None), "write": ("write,0,0,", "0")}
    for method, several in sizes(guest).items():
        for size in several:
            pages = -(-size // page)
            for gfp in ("kernel", "kernel+zero"):
                for way, (step, answer) in first.items():
                    filled = "00" if method in ZEROED or gfp != "kernel" else POISON
                    zeroed = hold(button, method, size, gfp)["zeroed"]
                    got = take(guest, button, "open", step, f"map,0,0,{pages}",
                               f"all,{int(way == 'map')},0,{size},{filled}",
                               f"all,{int(way == 'map')},{size},{pages * page},00")
                    assert got == ["0", answer or filled, "0", "all", "all"], (method, size, way)
                    assert button.live()["zeroed"] == zeroed


@pytest.mark.wide
def test_what_is_not_of_pages_of_its_own(guest, button):
    methods = [method for method in button.methods() if method not in sizes(guest)]
    assert {"kmalloc", "slab", "devm", "list", "static"} < set(methods)
    allowed = " ".join(method for method in button.methods() if method in sizes(guest))
    # What kmalloc has.
    for method in [*methods, "kvmalloc"]:
        live = hold(button, method, 64)
        assert "mapped" not in live
        start = guest.mark()
        assert take(guest, button, "open", "map,0,0,1", "read,0,0,1", "write,0,0,00") == \
            ["0", "ENXIO", "ENXIO", "ENXIO"]
        lines = said(guest, start)
        assert [line.partition(": ")[0] for line in lines] == ["mmap", "read", "write"]
        assert all(f" not what {method} allocates, as " in line
                   and line.endswith(f": allowed are {allowed}") for line in lines), lines
        assert button.live() | {"age_ns": 0} == live | {"age_ns": 0}


@pytest.mark.wide
def test_nothing_held(guest, button):
    assert take(guest, button, "open", "map,0,0,1", "read,0,0,1", "write,0,0,00") == \
        ["0", "ENXIO", "ENXIO", "ENXIO"]


@pytest.mark.wide
def test_what_is_refused(guest, button):
    page = guest.page_size
    size = 2 * page + 10
    hold(button, size=size)
    for step, error, line in [
            ("map,0,0,4", "EINVAL", "mmap: 4 pages from 0 on are not valid: there are 3"),
            ("map,0,1,3", "EINVAL", "mmap: 3 pages from 1 on are not valid: there are 3"),
            ("map,0,3,1", "EINVAL", "mmap: 1 pages from 3 on are not valid: there are 3"),
            (f"map,0,{1 << 48},1" if guest.row.word_bytes == 8 else "map,0,524287,1",
             "EINVAL", None),
            ("map,0,0,1,private", "EINVAL",
             "mmap: MAP_PRIVATE is not valid: allowed is MAP_SHARED"),
            ("map,0,0,1,private,r", "EINVAL",
             "mmap: MAP_PRIVATE is not valid: allowed is MAP_SHARED"),
            ("map,0,0,1,exec", "EINVAL",
             "mmap: PROT_EXEC is not valid: allowed are PROT_READ and PROT_WRITE"),
            (f"read,0,{size + 1},1", "EINVAL",
             f"read: byte {size + 1} is not valid: allowed are 0 to {size}"),
            (f"write,0,{size},ff", "EINVAL",
             f"write: 1 bytes from {size} on are not valid: there are {size}"),
            (f"write,0,{size - 1},ffff", "EINVAL",
             f"write: 2 bytes from {size - 1} on are not valid: there are {size}"),
            ("read,0,-1,1", "EINVAL", None)]:
        start = guest.mark()
        assert take(guest, button, "open", step) == ["0", error], step
        if line:
            assert said(guest, start) == [line]
    # Nothing was written; to the end, and at the end.
    assert take(guest, button, "open", f"read,0,{size - 2},8", f"read,0,{size},8",
                f"write,0,{size - 2},0102", f"read,0,{size - 3},8") == \
        ["0", POISON * 2, "", "2", POISON + "0102"]


@pytest.mark.core
def test_rights_of_a_mapping(guest, button):
    hold(button)
    assert take(guest, button, "open", "map,0,0,4", "protect,0,rx", "remap,0,5", "set,0,0,11",
                "protect,0,r", "set,0,0,22", "protect,0,rw", "set,0,0,33", "remap,0,2", "get,0,0",
                f"get,0,{2 * guest.page_size}") == \
        ["0", "0", "EACCES", "EFAULT", "0", "0", "SIGSEGV", "0", "0", "0", "33", "SIGSEGV"]
    assert take(guest, button, "open,r", "map,0,0,4", "map,0,0,4,r", "get,0,0", "set,0,0,44",
                "protect,0,rw", "write,0,0,00", "read,0,0,1") == \
        ["0", "EACCES", "0", "33", "SIGSEGV", "EACCES", "EBADF", "33"]
    assert take(guest, button, "open,w", "map,0,0,4", "write,0,0,55", "read,0,0,1") == \
        ["0", "EACCES", "1", "EBADF"]


def mapped(button):
    """The step that shows how often what is held is mapped, and what it shows."""
    return f"sh,grep ^mapped: {button.directory}/live", lambda number: [f"mapped: {number}", "0"]


@pytest.mark.core
def test_fork_shares_and_parts_are_unmapped(guest, button):
    hold(button)
    page = guest.page_size
    step, shows = mapped(button)
    assert take(guest, button, "open", "map,0,0,4", step, "fork", step, "set,0,5,77",
                "unmap,0,1,1", step, f"get,0,{page}", f"get,0,{2 * page}", "join", step,
                "get,0,5", f"get,0,{page}", "unmap,0,0,1", step, "unmap,0,2,1", step,
                f"set,0,{3 * page},66", f"read,0,{3 * page},1", "unmap,0,0,4", step) == [
        "0", "0", *shows(1), *shows(2), "0", "0", *shows(3), "SIGSEGV", POISON, *shows(1),
        "77", POISON, "0", *shows(1), "0", *shows(2), "0", "66", "0", *shows(0)]


@pytest.mark.core
def test_64_mappings_of_two_processes(guest, button):
    hold(button)
    step, shows = mapped(button)
    maps = [f"map,0,{place % 4},1" for place in range(64)]
    sets = [f"set,{place},{place},{place:02x}" for place in range(64)]
    gets = [f"get,{place},{place}" for place in range(64)]
    lost = ["SIGBUS"] * 64
    values = [f"{place:02x}" for place in range(64)]
    assert take(guest, button, "open", *maps, *sets, step, "fork", *gets, step, press(button),
                *gets, "join", *gets) == [
        "0", *["0"] * 128, *shows(64), *values, *shows(128), "0", *lost, *lost]
    assert button.read("live") == "none\n"


@pytest.mark.core
def test_press_takes_mappings_away(guest, lab, button):
    for method, several in sizes(guest).items():
        hold(button, method, several[0])
        start = guest.mark()
        # A mapping that was touched, and one that was not.
        assert take(guest, button, "open", "map,0,0,1", "map,0,0,1", "set,0,0,11",
                    press(button), "get,0,0", "set,1,0,11", "read,0,0,1", "map,0,0,1",
                    # The file means what is held now, the mapping what was held.
                    press(button), "get,0,0", "get,1,0", "set,1,0,22", "map,0,0,1", "set,2,0,33",
                    "get,1,0", "read,0,0,1", "unmap,0,0,1", "unmap,1,0,1", "get,2,0") == \
            ["0", "0", "0", "0", "0", "SIGBUS", "SIGBUS", "ENXIO", "ENXIO", "0", "SIGBUS",
             "SIGBUS", "SIGBUS", "0", "0", "SIGBUS", "33", "0", "0", "33"], method
        whats = [event.what for event in lab.events(button.name)[-2:]]
        assert whats == ["freed", "allocated"] and said(guest, start)


@pytest.mark.core
def test_unbind_takes_mappings_away(guest, lab, button):
    hold(button)
    assert take(guest, button, "open", "map,0,0,4", "set,0,0,11", rebind(button), "get,0,0",
                "set,0,4096,11", "read,0,0,1", "write,0,0,00", "map,0,0,1", press(button),
                "get,0,0", "read,0,0,1", "open", "read,1,0,1", "unmap,0,0,4") == \
        ["0", "0", "0", "0", "SIGBUS", "SIGBUS", "EIO", "EIO", "EIO", "0", "SIGBUS", "EIO", "0",
         "ENXIO", "0"]
    assert button.press().what == "freed"


@pytest.mark.core
def test_rmmod_is_busy_while_open_or_mapped(guest, lab, button):
    hold(button)
    unload = f"sh,rmmod {lab.driver} 2>&1"
    # delete_module() says EWOULDBLOCK of a module that is in use.
    busy = [f"rmmod: can't unload module '{lab.driver}': Resource temporarily unavailable", "1"]
    got = take(guest, button, "open", unload, "map,0,0,4", "close,0", unload, "set,0,0,11",
               f"sh,echo {button.name} >{DRIVER}/unbind", unload, "get,0,0", "unmap,0,0,4",
               unload)
    assert got == ["0", *busy, "0", "0", *busy, "0", "0", *busy, "SIGBUS", "0", "0"]
    assert not lab.loaded()


@pytest.mark.wide
@pytest.mark.edges
@pytest.mark.hard
def test_what_the_interrupt_has_allocated(guest, lab):
    button = lab.button("interrupt")
    button.set(method="page", size=100)
    button.inject(1)
    # The press that frees is the thread's.
    edge = (f"sh,insmod /root/alloclab_inject.ko irq={button.irq()} count=1; "
            "rmmod alloclab_inject; usleep 500000")
    assert take(guest, button, "open", "map,0,0,1", "set,0,99,11", "read,0,99,1", edge,
                "get,0,99") == ["0", "0", "0", "11", "0", "SIGBUS"]
    assert button.counters("allocs", "frees", "deferred") == (1, 1, 1)


def test_nodes_of_other_names_share_one_fate(guest, button):
    hold(button)
    number = guest.sh(f"cat /sys/class/misc/alloclab!{button.name}/dev").strip().split(":")
    guest.sh(f"rm -f /tmp/other; mknod /tmp/other c {' '.join(number)}")
    assert take(guest, button, "open", "map,0,0,1", "set,0,0,11", press(button), "get,0,0",
                path="/tmp/other") == ["0", "0", "0", "0", "SIGBUS"]
    guest.sh("rm /tmp/other")


def test_lines_are_limited(guest, lab, button):
    hold(button)
    start = guest.mark()
    take(guest, button, "open", *["map,0,9,1"] * 400, *["read,0,99999999,1"] * 400)
    lines = said(guest, start)
    # On a slow machine it takes more than one interval.
    assert 50 < len(lines) <= 303 and all(re.match("mmap: |read: |burst of ", line)
                                          for line in lines)
