# SPDX-License-Identifier: GPL-2.0
"""The debugfs files: modes, every accepted form, every refusal."""

import re

import pytest

from lab import DEBUGFS, STANDARD, STANDARD_NODES, errno

BOOT = STANDARD
FILES = {"method": "600", "size": "600", "gfp": "600", "context": "600", "settings": "600",
         "press": "200", "live": "400", "pages": "400", "stats": "400"}
SINGLE = ("method", "size", "gfp", "context")
EINTR = 4


def test_names_and_modes(guest, button):
    listed = guest.sh(f"cd {button.directory}; stat -c '%n %a %U %G' *").splitlines()
    assert sorted(listed) == sorted(f"{name} {mode} root root" for name, mode in FILES.items())
    assert guest.sh(f"ls {DEBUGFS}").split() == STANDARD_NODES


def test_nothing_for_an_ordinary_user(guest, button):
    button.press()
    before = button.stats()
    # Even where the directory of debugfs itself can be entered.
    guest.sh("mount -o remount,mode=755 /sys/kernel/debug")
    assert guest.run(f"su user -c 'ls {button.directory}'").status == 0
    for file in FILES:
        for command in (f"cat {button.directory}/{file}", f"echo 1 >>{button.directory}/{file}"):
            assert errno(guest.run(f"su user -c '{command}'")) == "EACCES", command
    guest.sh("mount -o remount,mode=700 /sys/kernel/debug")
    assert errno(guest.run(f"su user -c 'ls {button.directory}'")) == "EACCES"
    assert button.stats() == before


def test_write_only_and_read_only_files(guest, button):
    # Root passes the mode bits; there is still nothing to read or write.
    assert guest.run(f"cat {button.directory}/press").output.startswith("cat: ")
    for file in ("live", "pages", "stats"):
        assert button.write(file, "1") == "EINVAL"


def test_method_accepts(button):
    methods = button.methods()
    assert methods[:4] == ["kmalloc", "kzalloc", "vmalloc", "coherent"]
    assert button.read("method") == "[cycle] " + " ".join(methods) + "\n"
    for method in [*methods, "cycle"]:
        button.set(method=method)
        words = [f"[{word}]" if word == method else word for word in ["cycle", *methods]]
        assert button.read("method") == " ".join(words) + "\n"
    assert button.write("method", "vmalloc", newline=False) is None
    assert button.write("method", "  kmalloc ") is None
    assert button.current() == "kmalloc"


@pytest.mark.core
def test_method_refuses(lab, button):
    button.set(method="kzalloc")
    words = ["cycle", *button.methods()]
    for value in ("malloc", "", "Kmalloc", "kmalloc kzalloc", "[kmalloc]", "kmallo", "kmallocs",
                  "cycle,"):
        allowed = button.refused("method", value, "EINVAL")
        assert re.findall(r"[a-z_]+", allowed)[-len(words):] == words


def test_each_method_alone(lab, button):
    for method in button.methods():
        button.set(method=method)
        button.software_press(4)
        done = [(event.method, event.what) for event in lab.events("button")[-4:]]
        assert done == [(method, "allocated"), (method, "freed")] * 2


def test_size_accepts(guest, button):
    assert button.read("size") == "default\n"
    for written, read in [("1", 1), ("64", 64), ("0100", 100), ("4096", 4096), ("4K", 4096),
                          ("4k", 4096), ("2M", 2 << 20), ("1m", 1 << 20), ("0G", None),
                          (f"{guest.largest_block >> 10}K", guest.largest_block)]:
        if read is None:
            assert button.write("size", written) == "EINVAL"
            continue
        button.set(size=written)
        assert button.read("size") == f"{read}\n"
    button.set(size="default")
    assert button.read("size") == "default\n"
    assert button.write("size", "8K", newline=False) is None
    assert button.read("size") == "8192\n"


@pytest.mark.core
def test_size_refuses_garbage(lab, button):
    button.set(size=100)
    for value in ("", "x", "-1", "+1", "0x40", "4KB", "4KK", "K", "4 K", "1.5M", "4T", "64,",
                  "Default", "default 64"):
        allowed = button.refused("size", value, "EINVAL")
        assert "default" in allowed and "bytes" in allowed


@pytest.mark.core
def test_size_refuses_by_limits(guest, lab, button):
    most = guest.largest_block
    button.set(method="kmalloc", size=most)
    for value, error in [("0", "EINVAL"), (str(most + 1), "E2BIG"), (f"{most >> 19}M", "E2BIG"),
                         ("1G", "E2BIG")]:
        allowed = button.refused("size", value, error)
        assert f"kmalloc takes 1 to {most} bytes" in allowed
    for value in ("18446744073709551616", "99999999999999999999999", "18446744073709551615K"):
        button.refused("size", value, "E2BIG")
    button.refused("size", "1" * 300, "E2BIG")
    button.set(method="vmalloc", size="default")
    # More than the guest has.
    assert "vmalloc takes 1 to " in button.refused("size", "1G", "E2BIG")


def test_limits_are_the_kernels_own(guest, button):
    total = int(re.search(r"MemTotal: +(\d+) kB", guest.sh("cat /proc/meminfo"))[1]) << 10
    limits = button.limits()
    for method in ("kmalloc", "kzalloc", "krealloc", "raw_kmalloc"):
        assert limits[method] == (guest.largest_block, "KMALLOC_MAX_SIZE")
    for method in ("coherent", "pages"):
        assert limits[method] == (guest.largest_block, "MAX_PAGE_ORDER")
    for method in ("vmalloc", "vzalloc", "raw_vmalloc"):
        assert limits[method] == (total, "total RAM")
    assert limits["kvmalloc"] == (min(total, (1 << 31) - 1), "INT_MAX and total RAM")
    assert limits["page"][0] == guest.page_size
    assert limits["static"][0] == 2048
    assert all(0 < largest <= total for largest, _ in limits.values())


def test_largest_size_works(lab, button):
    # So large a block is free then, whatever used the guest's memory before.
    lab.guest.sh("sync; cd /proc/sys/vm; echo 3 >drop_caches; "
                 "[ ! -e compact_memory ] || echo 1 >compact_memory", 60)
    free = int(re.search(r"MemFree: +(\d+) kB",
                         lab.guest.sh("cat /proc/meminfo"))[1]) << 10
    for method, (largest, name) in button.limits().items():
        fixed = "total RAM" not in name
        size = largest if fixed else min(largest, free // 8)
        button.set(size="default", method=method)
        button.set(size=size)
        button.software_press(2)
        done = [(event.method, event.what, event.bytes) for event in lab.events("button")[-2:]]
        assert done == [(method, what, size) for what in ("allocated", "freed")]


@pytest.mark.core
def test_what_every_method_refuses(lab, button):
    for value in ("0", "1G"):
        assert "every method refuses it" in button.refused("size", value, "EINVAL")


def test_method_refuses_the_size_that_is_set(lab, button):
    button.set(method="vmalloc", size="8M")
    assert str(8 << 20) in button.refused("method", "kmalloc", "E2BIG")


def test_cycle_passes_over_and_says_so_once(lab, button):
    limits = button.limits()
    large = [method for method, (largest, _) in limits.items() if largest >= 8 << 20]
    small = [method for method in limits if method not in large]
    assert {"kmalloc", "static"} < set(small) and {"vmalloc", "kvmalloc"} < set(large)
    button.set(size="default")
    said = len(lab.texts("button"))
    button.set(size="8M")
    texts = lab.texts("button")[said:]
    assert len(texts) == len(small)
    for method, text in zip(small, texts):
        largest, name = limits[method]
        assert text == (f"cycle: passed over, as {method} takes 1 to {largest} bytes ({name}), "
                        f"not {8 << 20}")
    assert button.counters("next") == (large[0],)
    button.software_press(2 * len(large))
    events = [event for event in lab.events("button") if event.what == "allocated"]
    assert [(event.method, event.bytes) for event in events] == \
        [(method, 8 << 20) for method in large]
    assert button.counters("next", "failures") == (large[0], 0)


def all_settings(button):
    """What the files of single settings say, in the words of the file of all."""
    said = {file: button.read(file).strip() for file in SINGLE} | {"method": button.current()}
    return " ".join(f"{name}={value}" for name, value in said.items()) + "\n"


def test_settings_accepts(button):
    assert button.read("settings") == "method=cycle size=default gfp=kernel context=thread\n"
    now = {"method": "cycle", "size": "default", "gfp": "kernel", "context": "thread"}
    for written, changed in [
            ("size=8K", {"size": "8192"}),
            ("method=vmalloc", {"method": "vmalloc"}),
            ("gfp=kernel+nowarn+zero method=kzalloc",
             {"gfp": "kernel+zero+nowarn", "method": "kzalloc"}),
            ("context=hard size=0100 gfp=atomic method=kmalloc",
             {"context": "hard", "size": "100", "gfp": "atomic", "method": "kmalloc"}),
            ("  size=default\tcontext=thread\nmethod=cycle   gfp=kernel ",
             {"size": "default", "context": "thread", "method": "cycle", "gfp": "kernel"}),
            ("context=thread", {})]:
        assert button.write("settings", written) is None, written
        now |= changed
        assert button.read("settings") == all_settings(button) == \
            " ".join(f"{name}={value}" for name, value in now.items()) + "\n"
    # What it says is what it takes.
    button.set(method="page", size=64, gfp="highuser+zero")
    said = button.read("settings")
    button.set(method="cycle", size="default", gfp="kernel")
    assert button.write("settings", said) is None
    assert button.read("settings") == said == all_settings(button)


@pytest.mark.core
@pytest.mark.ours
def test_settings_refuses(lab, button):
    button.set(method="kzalloc", size=100)
    every = "allowed are method=VALUE size=VALUE gfp=VALUE context=VALUE, each once"
    for value, word, allowed in [
            ("", "", every),
            ("size", "size", every),
            ("64", "64", every),
            ("press=1", "press=1", every),
            ("Size=64", "Size=64", every),
            ("size=64 colour=red method=vmalloc", "colour=red", every),
            ("size=64 size=64", "size=64", every),
            ("method=vmalloc gfp=kernel method=cycle", "method=cycle", every),
            ("size=64,method=vmalloc", "size=64,method=vmalloc", "allowed are default or bytes"),
            ("method=vmalloc size=", "size=", "allowed are default or bytes"),
            ("method=malloc size=64", "method=malloc", "allowed are cycle, kmalloc"),
            ("size=64 method=vmalloc gfp=kernel+kernel", "gfp=kernel+kernel", "allowed are one of"),
            ("size=64 context=soft", "context=soft", "allowed "),
            ("size = 64", "size", every)]:
        assert button.refused("settings", value, "EINVAL", word).startswith(allowed), value
    assert button.refused("settings", f"method=vmalloc size={1 << 64}", "E2BIG",
                          f"size={1 << 64}").startswith("allowed are numbers up to ")
    button.refused("settings", "size=1 " * 20, "E2BIG")
    assert all_settings(button) == "method=kzalloc size=100 gfp=kernel context=thread\n"


@pytest.mark.core
@pytest.mark.ours
def test_settings_are_judged_together(lab, button):
    # Each is refused with what the others were.
    button.set(method="raw_kmalloc", gfp="dma")
    assert "does not take dma" in button.refused("method", "vmalloc", "EINVAL")
    assert "takes 1 to" in button.refused("size", "64M", "E2BIG")
    assert button.write("settings", "size=64M gfp=kernel method=vmalloc") is None
    assert button.read("settings") == all_settings(button) == \
        f"method=vmalloc size={64 << 20} gfp=kernel context=thread\n"
    for back, error in [("method=raw_kmalloc", "E2BIG"), ("gfp=dma", "EINVAL"),
                        ("size=64 gfp=dma", "EINVAL"), ("method=raw_kmalloc gfp=dma", "E2BIG")]:
        button.refused("settings", back, error)
    assert button.write("settings", "size=64 gfp=dma method=raw_kmalloc") is None
    # Two that are right by themselves, and wrong together.
    assert "takes 1 to" in button.refused("settings", "method=static gfp=kernel size=4096",
                                          "E2BIG")
    assert button.read("settings") == "method=raw_kmalloc size=64 gfp=dma context=thread\n"


def test_press_accepts(lab, button):
    for count in (1, 1, 7, 100):
        before = button.counters("presses", "allocs", "frees")
        button.software_press(count)
        presses, allocs, frees = button.counters("presses", "allocs", "frees")
        assert presses == before[0] + count
        assert allocs + frees == presses
        assert allocs - frees == presses % 2
    # They are no edges.
    assert button.counters("edges", "bounces") == (0, 0)
    assert button.write("press", "1", newline=False) is None
    assert lab.events("button")[0].press == 1


@pytest.mark.core
def test_press_refuses(lab, button):
    for value in ("0", "1000001", "-1", "", "x", "1K", "1 2", "0x1", "default",
                  "99999999999999999999999"):
        assert "1 to 1000000" in button.refused("press", value, "EINVAL")


def test_signal_ends_presses_early(guest, button):
    button.set(method="kmalloc")
    result = guest.run(f"/root/interrupted_write {button.directory}/press 1000000")
    assert result.status == EINTR
    presses, allocs, frees = button.counters("presses", "allocs", "frees")
    assert 0 < presses < 1000000
    assert allocs + frees == presses
    button.software_press()
    assert button.counters("presses") == (presses + 1,)


def test_write_while_held_applies_to_the_next_allocation(lab, button):
    button.set(method="kmalloc", size=64, gfp="kernel")
    button.software_press()
    live = button.live() | {"age_ns": None}
    button.set(method="vmalloc", size=8192, gfp="kernel+zero")
    assert button.live() | {"age_ns": None} == live
    button.software_press()
    button.software_press()
    done = [(event.method, event.what, event.bytes) for event in lab.events("button")]
    assert done == [("kmalloc", "allocated", 64), ("kmalloc", "freed", 64),
                    ("vmalloc", "allocated", 8192)]
    assert button.live()["gfp"] == "kernel+zero"


def test_live(lab, button):
    assert button.read("live") == "none\n"
    for method in button.methods():
        button.set(method=method)
        button.software_press()
        event = lab.events("button")[-1]
        live = button.live()
        assert live["method"] == method
        assert live["size"] == str(event.bytes)
        assert live["address"] == event.address
        assert live.get("dma") == event.dma
        assert (live["gfp"], live["context"]) == ("kernel", "thread")
        assert live["press"] == str(event.press)
        assert live["label"] == "button"
        assert int(live["alloc_ns"]) > 0
        assert button.counters("bytes_held") == (event.bytes,)
        button.software_press()
        assert button.read("live") == "none\n"
        assert button.counters("bytes_held") == (0,)


def test_stats_format(button):
    button.set(method="vmalloc", size=8192)
    button.software_press(5)
    latency = r"\d+,\d+,\d+"
    lines = ["label: button", "edges: 0", "edges_in: hardirq=0 softirq=0 thread=0", "presses: 5",
             "bounces: 0", "deferred: 0", "allocs: 3", "frees: 2", "failures: 0",
             "bytes_held: 8192", "next: [a-z_]+"]
    for method in button.methods():
        counts = (3, 2) if method == "vmalloc" else (0, 0)
        lines.append(f"{method}: allocs={counts[0]} frees={counts[1]} failures=0 "
                     f"alloc_ns={latency} free_ns={latency}")
    text = button.read("stats")
    assert re.fullmatch("\n".join(lines) + "\n", text), text
    for method, counts in button.stats()[1].items():
        for name in ("alloc_ns", "free_ns"):
            middle, high, largest = (int(number) for number in counts[name].split(","))
            assert middle <= high <= largest
            assert (largest > 0) == (method == "vmalloc")


def test_cycle_continues_where_it_was(lab, button):
    methods = button.methods()
    button.software_press(2)
    assert button.counters("next") == (methods[1],)
    button.software_press(1)
    # Moves on with the free.
    assert button.counters("next") == (methods[1],)
    button.software_press(2 * len(methods) - 2)
    order = [event.method for event in lab.events("button") if event.what == "allocated"]
    assert order == [*methods, methods[0]]
