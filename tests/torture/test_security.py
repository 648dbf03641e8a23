# SPDX-License-Identifier: GPL-2.0
"""What nobody may learn: an address, by any message in any mode, and what memory held before."""

import re

from lab import KPTR, READABLE, STANDARD, WRITABLE

# The kernels it is for, and about how many seconds it takes there in quick scale; None: full alone.
RUNS = {"own": None, "stock": 12}
BOOT = STANDARD
MODES = (0, 1, 2)
# The kernel's half of the address space.
RAW = re.compile(r"fff[0-9a-f]{13}")
NONE = "0" * 16
PAGE_SHIFT = 12
# What the kernel shows of a module and a device to anybody who looks.
PUBLIC = ("/sys/module/alloclab /sys/bus/platform/drivers/alloclab/ "
          "/sys/bus/platform/devices/button/ /proc/modules /proc/interrupts /proc/slabinfo "
          "/proc/vmallocinfo")
SECRET = "alloclab-secret"


def in_every_mode(button):
    """What root reads in our files, by mode."""
    text = button.guest.sh(
        f"cd {button.directory}; for mode in {' '.join(map(str, MODES))}; do echo $mode >{KPTR}; "
        f"cat {' '.join(READABLE)}; echo ----; done; echo 0 >{KPTR}")
    return dict(zip(MODES, text.split("----\n")))


def each_held(button):
    """Have every method hold something in thread context, and in hard context if it can."""
    for method in button.methods():
        button.set(context="thread", gfp="kernel", method=method)
        yield method
        if button.write("gfp", "atomic") is None and button.write("context", "hard") is None:
            yield method


def test_no_address_but_to_root_in_mode_1(guest, lab, button, restrict, full, count):
    seen, pages, bases, contexts = [], set(), set(), set()
    for turn, method in enumerate(each_held(button)):
        for mode in MODES if full else [turn % len(MODES)]:
            restrict(mode)
            got = button.press()
            shown = in_every_mode(button)
            address = {mode: re.search("^address: (.*)$", shown[mode], re.M)[1] for mode in MODES}
            # As /proc/vmallocinfo shows them: what the log has, the address itself, nothing.
            assert (got.method, got.address, NONE) == (method, address[0], address[2])
            assert RAW.fullmatch(address[1]) and address[1] not in shown[0] + shown[2]
            seen += [shown[0], shown[1].replace(address[1], ""), shown[2]]

            live, runs = button.live(), button.runs()
            contexts.add(live["context"])
            pages |= {pfn + page for _, pfn, number in runs for page in range(number)}
            if method in ("kmalloc", "pages", "slab", "raw_kmalloc"):
                bases.add((int(address[1], 16) >> PAGE_SHIFT) - runs[0][1])

            restrict((mode + 1) % len(MODES))
            assert button.press().address == got.address
            # Of what was freed, nothing is told.
            assert (button.read("live"), button.read("pages")) == ("none\n", "none\n")
            count("presses", 2)
    assert contexts == {"thread", "hard"}

    # Page frame numbers tell root the addresses of the linear mapping, which nothing else may.
    base, = bases
    linear = [f"{base + pfn:013x}" for pfn in pages]
    log = guest.log_since(lab.start)
    assert len(linear) > 50 and all(RAW.match(page + "000") for page in linear)
    for text in [*seen, "\n".join(log)]:
        assert not RAW.search(text), RAW.search(text)
        assert not any(page in text for page in linear)


def test_no_address_in_failures_and_refusals(guest, lab, button, restrict):
    other = lab.button("fast")
    other.hold(method="static")
    button.set(method="static")
    for mode in MODES:
        restrict(mode)
        assert button.press().error == "EBUSY"
        button.refused("size", "0", "EINVAL")
        button.refused("method", f"static {mode}", "EINVAL")
    log = guest.log_since(lab.start)
    assert len([line for line in log if "EBUSY" in line]) == len(MODES)
    assert not any(map(RAW.search, log))


def test_files_are_roots(guest, button):
    shown = guest.sh(f"cd {button.directory}; stat -c '%n %a %u %g' *").splitlines()
    assert sorted(shown) == sorted(
        f"{name} {0o400 * (name in READABLE) + 0o200 * (name in WRITABLE):o} 0 0"
        for name in {*READABLE, *WRITABLE})


def test_nothing_for_an_ordinary_user(guest, button, restrict):
    button.set(method="vmalloc")
    button.press()
    for mode in MODES:
        restrict(mode)
        shown = guest.run(f"su user -c 'find {PUBLIC} -type f -exec cat {{}} +; id -u'").output
        assert shown.endswith("\n1000\n") and re.search(r"^alloclab .* 0x0{16}", shown, re.M)
        assert not RAW.search(shown), RAW.search(shown)


def test_old_content_is_never_shown(guest, lab, button):
    # Most of the free memory is filled, with a word that then lies in whatever is allocated.
    guest.sh(f"megabytes=$(($(grep MemFree /proc/meminfo | tr -dc 0-9) / 1024 / 2)); "
             f"yes {SECRET} | head -c ${{megabytes}}M >/run/secret; rm /run/secret", 60)
    for method in button.methods():
        button.set(method=method)
        button.software_press()
        assert SECRET not in guest.sh(f"cd {button.directory}; cat {' '.join(READABLE)}")
        button.software_press()
        assert SECRET not in guest.sh(f"cd {button.directory}; cat {' '.join(READABLE)}")
    assert not any(SECRET in line for line in guest.log_since(lab.start))
