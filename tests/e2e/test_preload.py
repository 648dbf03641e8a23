# SPDX-License-Identifier: GPL-2.0
"""Module parameters: what is allocated from load to unload, and loads that are refused."""

import re

import pytest

from guest.events import ADDRESS
from lab import DEBUGFS, DRIVER, STANDARD, errno

BOOT = STANDARD
pytestmark = pytest.mark.wide
PARAMETERS = "/sys/module/alloclab/parameters"


def said(lab):
    """The module's own lines since the test began."""
    return [line.removeprefix("alloclab: ") for line in lab.guest.log_since(lab.start)
            if line.startswith("alloclab: preload")]


def refused(lab, parameters, error):
    """Loading has to fail with this error, and to leave nothing."""
    result = lab.guest.run(f"insmod /root/alloclab.ko {parameters}")
    assert errno(result) == error
    assert not lab.loaded()
    left = lab.guest.run(f"ls -d {DEBUGFS} {DRIVER} /sys/module/alloclab 2>/dev/null; "
                         "grep alloclab /proc/vmallocinfo /proc/slabinfo /proc/interrupts")
    assert left.output == ""


def test_nothing_by_default(guest, lab):
    assert guest.sh(f"cd {PARAMETERS}; grep . preload_*").split() == \
        ["preload_kmalloc:0", "preload_vmalloc:0"]
    assert guest.run("grep alloclab /proc/vmallocinfo").status != 0
    lab.unload()
    assert said(lab) == []


def test_from_load_to_unload(guest, lab):
    lab.unload()
    lab.load("preload_kmalloc=1000 preload_vmalloc=10000")
    assert guest.sh(f"cd {PARAMETERS}; grep . preload_*").split() == \
        ["preload_kmalloc:1000", "preload_vmalloc:10000"]
    matches = [re.fullmatch(rf"(preload_[kv]malloc): allocated (\d+) bytes at ({ADDRESS})", text)
               for text in said(lab)]
    assert [(match[1], match[2]) for match in matches] == \
        [("preload_kmalloc", "1000"), ("preload_vmalloc", "10000")]
    # So many pages and the guard page, found by the module's name and by the address.
    found = guest.sh("grep alloclab /proc/vmallocinfo").splitlines()
    assert len(found) == 1 and found[0].startswith(f"0x{matches[1][3]}-")
    page = guest.page_size
    area = (-(-10000 // page) + 1) * page
    assert found[0].split()[1] == str(area) and "[alloclab]" in found[0]
    # Buttons come and go meanwhile.
    button = lab.button()
    assert [button.press().what, button.press().what] == ["allocated", "freed"]
    lab.rebind()
    assert len(said(lab)) == 2
    lab.unload()
    assert sorted(said(lab)[2:]) == [
        f"{match[1]}: frees {match[2]} bytes at {match[3]}" for match in matches]
    # Without the module its name is gone, too: by address.
    assert f"0x{matches[1][3]}-" not in guest.sh("cat /proc/vmallocinfo")


def test_one_of_them(guest, lab):
    lab.unload()
    for name in ("preload_kmalloc", "preload_vmalloc"):
        start = len(said(lab))
        lab.load(f"{name}=4096")
        assert (guest.run("grep alloclab /proc/vmallocinfo").status == 0) == \
            (name == "preload_vmalloc")
        lab.unload()
        assert [text.split(": ")[0] for text in said(lab)[start:]] == [name] * 2


def test_freed_each_time(guest, lab):
    def available():
        return int(guest.sh("awk '/^MemAvailable:/ { print $2 }' /proc/meminfo")) >> 10

    lab.unload()
    before = available()
    guest.sh("for i in $(seq 16); do insmod /root/alloclab.ko preload_kmalloc=4194304 "
             "preload_vmalloc=4194304 && rmmod alloclab || exit 1; done", 60)
    # 64 MiB of each came and went.
    assert available() > before - 32
    assert len(said(lab)) == 64


def test_too_large(guest, lab):
    lab.unload()
    total = int(re.search(r"MemTotal: +(\d+) kB", guest.sh("cat /proc/meminfo"))[1]) << 10
    most = guest.largest_block
    # What is added to it must fit into a word, too.
    huge = 3 << 8 * guest.row.word_bytes - 2
    for size in (most + 1, huge):
        refused(lab, f"preload_kmalloc={size}", "E2BIG")
        assert said(lab)[-1] == (
            f"preload_kmalloc: {size} is not valid: raw_kmalloc takes 1 to {most} "
            f"bytes (KMALLOC_MAX_SIZE), not {size}")
        # What was had before is given back.
        size += total
        refused(lab, f"preload_kmalloc=1000 preload_vmalloc={size}", "E2BIG")
        got, why, freed = said(lab)[-3:]
        assert why == (f"preload_vmalloc: {size} is not valid: raw_vmalloc takes 1 to {total} "
                       f"bytes (total RAM), not {size}")
        assert freed == got.replace("allocated", "frees")
    lab.load()
    assert lab.button().press().what == "allocated"


def test_garbage_is_the_kernels_to_refuse(guest, lab):
    lab.unload()
    for value in ("abc", "-1", "1k", "", "99999999999999999999999"):
        start = guest.mark()
        error = "ERANGE" if value.isdecimal() else "EINVAL"
        refused(lab, f"preload_kmalloc={value}", error)
        assert said(lab) == []
        assert any(f"`{value}' invalid for parameter `preload_kmalloc'" in line
                   for line in guest.log_since(start)), value
    # They cannot be changed later.
    lab.load()
    assert guest.run(f"stat -c %a {PARAMETERS}/preload_kmalloc").output == "444\n"
