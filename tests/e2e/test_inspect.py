# SPDX-License-Identifier: GPL-2.0
"""What was really got: `live`, `pages`, the log and the kernel's own files agree on it."""

import re

import pytest

from lab import DRIVER, STANDARD

BOOT = STANDARD
pytestmark = pytest.mark.wide
MIB = 1 << 20
# What is particular to a method.
DETAILS = {
    "krealloc": ["steps", "moves"], "kvmalloc": ["got"], "page": ["mapping"],
    "pages": ["order"],
    "slab": ["cache", "object_size", "object_align", "constructor"],
    "mempool": ["element_size", "reserve"],
    "dmapool": ["block_size", "block_align", "boundary"], "list": ["records"]}
# Whose memory user space may have; kvmalloc's where it is vmalloc's.
OWN_PAGES = ("vmalloc", "vzalloc", "raw_vmalloc", "coherent", "page", "pages")


def keys_of(method, live):
    """The keys that `live` has to have, in their order."""
    keys = ["label", "method", "size", "usable", "slack", "address", "alignment"]
    keys += ["dma"] if "dma" in live else []
    if method != "list":
        keys += ["pages", "runs", "longest_run", "contiguous", "node"]
    keys += ["dma_mask"] if "dma" in live else []
    keys += [*DETAILS.get(method, []), "zeroed"]
    keys += ["mapped"] if method in OWN_PAGES or live.get("got") == "vmalloc" else []
    return keys + ["gfp", "context", "alloc_ns", "age_ns", "press"]


def check_pages(event, live, runs, page):
    """The runs of the file `pages` add up to what `live` and the log say."""
    assert int(live["pages"]) == sum(run[2] for run in runs)
    assert int(live["runs"]) == len(runs)
    assert int(live["longest_run"]) == max(run[2] for run in runs)
    assert live["contiguous"] == ("yes" if len(runs) == 1 else "no")
    assert (event.pages, event.runs) == \
        ((int(live["pages"]), len(runs)) if int(live["pages"]) > 1 else (None, None))
    place = 0
    for first, pfn, pages in runs:
        assert (first, pages > 0, pfn > 0) == (place, True, True)
        place += pages
    # Runs that follow each other would be one.
    assert all(one[1] + one[2] != two[1] for one, two in zip(runs, runs[1:]))
    if int(live["alignment"]) >= page:
        assert int(live["pages"]) == -(-int(live["usable"]) // page)


def check(button, event, live):
    """Everything that holds for every method; returns the runs."""
    method = event.method
    assert list(live) == keys_of(method, live)
    assert int(live["size"]) == event.bytes
    assert int(live["usable"]) >= event.bytes
    assert int(live["slack"]) == int(live["usable"]) - event.bytes
    assert (live["address"], live.get("dma")) == (event.address, event.dma)
    alignment = int(live["alignment"])
    assert alignment >= 8 and alignment & (alignment - 1) == 0
    assert (live["context"], live["press"]) == ("thread", str(event.press))
    assert int(button.live()["age_ns"]) > int(live["age_ns"]) >= 0
    runs = button.runs()
    if method == "list":
        # Its records lie anywhere.
        assert (event.pages, runs) == (None, [])
    else:
        assert live["node"] == "0"
        check_pages(event, live, runs, button.guest.page_size)
    return runs


@pytest.mark.parametrize("size", ["default", 1, "3 pages and 1", MIB])
def test_every_method(button, size):
    for method, (largest, limit) in button.limits().items():
        wanted = 3 * button.guest.page_size + 1 if size == "3 pages and 1" else size
        wanted = wanted if wanted == "default" else min(wanted, largest)
        event, live = button.hold(method=method, size=wanted)
        assert wanted in ("default", event.bytes)
        runs = check(button, event, live)
        if limit.split()[0] in ("KMALLOC_MAX_SIZE", "MAX_PAGE_ORDER"):
            assert len(runs) == 1, method
        button.set(press=1, size="default")
        assert button.read("pages") == "none\n"


def test_dma_address_fits_the_mask_and_the_pages(button):
    for method in ("coherent", "dmapool"):
        event, live = button.hold(method=method)
        dma, mask = int(event.dma, 16), int(live["dma_mask"], 16)
        assert re.fullmatch(r"0x[0-9a-f]{16}", live["dma_mask"])
        assert mask & (mask + 1) == 0 and 0 < dma and dma + int(live["usable"]) - 1 <= mask
        # QEMU's devices see memory where the CPU sees it.
        assert button.runs()[0][1] == dma // button.guest.page_size
        if method == "dmapool":
            size, align, boundary = (int(live[key]) for key in DETAILS[method])
            assert (size, align, boundary) == (256, 64, 4096)
            assert dma % align == 0
            assert dma // boundary == (dma + size - 1) // boundary


def test_slab_has_a_cache_of_its_own(guest, lab, button):
    def row():
        found = guest.run(f"grep '^alloclab-{button.name} ' /proc/slabinfo").output.split()
        return [int(field) for field in found[1:4]]

    # One for each device, held or not.
    shown = guest.sh("ls -d /sys/kernel/slab/alloclab-*").split()
    assert [path.rpartition("alloclab-")[2] for path in shown] == \
        guest.sh("ls /sys/kernel/debug/alloclab").split()
    assert len(row()) == 3
    live = button.hold(method="slab")[1]
    active, _, object_size = row()
    assert active >= 1
    assert live["cache"] == f"alloclab-{button.name}"
    assert (live["object_size"], live["object_align"]) == ("256", "64")
    assert re.fullmatch(r"fills with 0x[0-9a-f]{2}", live["constructor"])
    assert int(live["alignment"]) >= 64
    assert object_size >= int(live["object_size"])
    cache = f"/sys/kernel/slab/alloclab-{button.name}"
    assert guest.sh(f"cat {cache}/object_size {cache}/align").split() == ["256", "64"]
    # It cannot be merged with another one.
    assert guest.sh(f"cat {cache}/ctor").strip()
    guest.sh(f"echo {button.name} >{DRIVER}/unbind")
    assert lab.events(button.name)[-1].what == "freed"
    assert row() == [] and guest.run(f"test -e {cache}").status != 0
    others = guest.sh("ls /sys/kernel/debug/alloclab").split()
    assert others or not guest.row.tree
    slabs = guest.sh("cat /proc/slabinfo")
    assert all(f"alloclab-{name} " in slabs for name in others)


def in_vmallocinfo(guest, pattern):
    """The lines of /proc/vmallocinfo with the pattern in them."""
    return guest.run(f"grep '{pattern}' /proc/vmallocinfo").output.splitlines()


def test_raw_vmalloc_is_found_by_the_modules_name(guest, button):
    assert in_vmallocinfo(guest, "alloclab") == []
    for size in (4096, 10000):
        event, _ = button.hold(method="raw_vmalloc", size=size)
        found = in_vmallocinfo(guest, "alloclab")
        assert len(found) == 1 and found[0].startswith(f"0x{event.address}-")
        pages = -(-size // guest.page_size)
        # With the guard page.
        assert found[0].split()[1] == str((pages + 1) * guest.page_size)
        assert re.search(rf"\[{guest.driver}\] pages={pages} vmalloc\b", found[0])
        button.software_press()
        assert in_vmallocinfo(guest, "alloclab") == []


def test_the_crates_vmalloc_is_found_by_address_only(guest, button):
    for method in ("vmalloc", "vzalloc", "kvmalloc"):
        size = 2 * guest.largest_block if method == "kvmalloc" else 3 * guest.page_size
        event, _ = button.hold(method=method, size=size)
        found = in_vmallocinfo(guest, f"^0x{event.address}-")
        assert len(found) == 1 and found[0].split()[1] == str(size + guest.page_size)
        # The kernel's own function called it, not the module. On amd64 and 32-bit Arm that function
        # jumps to the allocator, which then sees whoever called it.
        by_module = "[alloclab]" in found[0]
        assert by_module or "realloc" in found[0].split()[2]
        assert guest.row.arch in ("amd64", "armhf") or not by_module
        assert len(in_vmallocinfo(guest, "alloclab")) == by_module
        button.software_press()
        assert found[0] not in in_vmallocinfo(guest, f"^0x{event.address}-")
        button.set(size="default")


def test_krealloc_says_how_it_grew(lab, button):
    # Doubles from 64 bytes.
    for size, steps in ((1, 0), (64, 0), (65, 1), (128, 1), (129, 2), (4096, 6), (MIB, 14)):
        said = len(lab.remarks(button.name))
        event, live = button.hold(method="krealloc", size=size)
        remarks = lab.remarks(button.name)[said:]
        moves = int(live["moves"])
        assert remarks == [("krealloc", {"steps": steps, "moves": moves})]
        assert int(live["steps"]) == steps and 0 <= moves <= steps
        assert event.bytes == size


def test_kvmalloc_says_which_it_got(guest, lab, button):
    for size, got in ((1, "kmalloc"), (guest.page_size, "kmalloc"),
                      (2 * guest.largest_block, "vmalloc")):
        said = len(lab.remarks(button.name))
        _, live = button.hold(method="kvmalloc", size=size)
        assert lab.remarks(button.name)[said:] == [("kvmalloc", {"got": got})]
        assert live["got"] == got
        assert got == "vmalloc" or live["contiguous"] == "yes"


def test_pages_says_the_order(button):
    page = button.guest.page_size
    for size, order in ((1, 0), (page, 0), (page + 1, 1), (5 * page, 3), (256 * page, 8)):
        event, live = button.hold(method="pages", size=size)
        assert live["order"] == str(order)
        assert int(live["usable"]) == page << order
        assert event.pages == (1 << order if order else None)


def test_mempool_shows_its_reserve(button):
    _, live = button.hold(method="mempool")
    assert (live["element_size"], live["reserve"]) == ("1024", "4 of 4")
    assert int(live["usable"]) == 1024


def test_list_is_printed_in_order(lab, button):
    names = ("kmalloc with KERNEL", "kmalloc with ATOMIC", "vmalloc")
    event, live = button.hold(method="list")
    assert live["records"] == "3"
    record = event.bytes // 3
    for count in (3, 1, 5, 40):
        said = len(lab.remarks(button.name))
        event, live = button.hold(method="list", size=count * record)
        assert (event.bytes, live["records"]) == (count * record, str(count))
        remarks = [remark for _, remark in lab.remarks(button.name)[said:]]
        # The first 16, the heaviest first.
        assert [(remark["number"], remark["records"], remark["weight"], remark["name"])
                for remark in remarks] == [
            (number, count, count - number, names[(count - number) % 3])
            for number in range(1, min(count, 16) + 1)]
        addresses = [remark["address"] for remark in remarks]
        assert addresses[0] == event.address and len(set(addresses)) == len(addresses)
    # Not a whole record is one more.
    _, live = button.hold(method="list", size=record + 1)
    assert live["records"] == "2" and int(live["usable"]) == 2 * record
