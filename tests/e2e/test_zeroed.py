# SPDX-License-Identifier: GPL-2.0
"""What zeroed an allocation, as `live` says it, with and without init_on_alloc."""

import pytest

from lab import STANDARD

ALWAYS = {"kzalloc", "coherent", "vzalloc", "devm"}
NEVER = {"slab", "static", "list"}
# Filled by the slab allocator's debugging: the kernel does not zero what comes from this cache.
POISONED_SIZE = 192
ZEROING = f"init_on_alloc=1 slab_debug=P,kmalloc-{POISONED_SIZE}"


@pytest.fixture(scope="module", name="boot", params=["init_on_alloc=0 init_on_free=0", ZEROING])
def fixture_boot(request):
    """A guest whose kernel zeroes what it allocates, and one whose kernel does not."""
    name = "zeroing" if request.param == ZEROING else "not-zeroing"
    return STANDARD._replace(name=name, append=request.param)


def dirty(guest):
    """Fill memory that is free afterwards."""
    guest.sh("mkdir -p /tmp/dirty && mount -t tmpfs dirty /tmp/dirty && tr '\\0' x </dev/zero | "
             "head -c 4000000 >/tmp/dirty/file; umount /tmp/dirty", 120)


def content(guest, button, page):
    """What lies in the first page that the button holds."""
    return guest.physical(button.runs()[0][1] * page, page)


def test_every_method(button, boot):
    by_itself = "kernel" if boot.name == "zeroing" else "no"
    for method in button.methods():
        wanted = "asked" if method in ALWAYS else "no" if method in NEVER else by_itself
        assert button.hold(method=method)[1]["zeroed"] == wanted, method


def test_asked_for(button):
    for method in button.methods():
        button.set(gfp="kernel", method=method)
        if button.write("gfp", "kernel+zero") is None:
            assert button.hold()[1]["zeroed"] == "asked", method


def test_memory_is_as_it_is_said(guest, button, boot):
    page = int(button.hold(method="page")[1]["size"])
    words = set()
    for method in ("kmalloc", "kzalloc", "raw_kmalloc", "vmalloc", "raw_vmalloc", "pages"):
        dirty(guest)
        said = button.hold(method=method, size=page)[1]["zeroed"]
        zero = content(guest, button, page) == bytes(page)
        # Memory that nobody zeroed may be zero all the same.
        assert zero or said == "no", method
        words.add(said)
    assert words == {"asked", "kernel" if boot.name == "zeroing" else "no"}


def test_what_the_kernel_spares(button, boot):
    if boot.name == "zeroing":
        for size, zeroed in ((POISONED_SIZE, "no"), (POISONED_SIZE * 2, "kernel")):
            assert button.hold(method="kmalloc", size=size)[1]["zeroed"] == zeroed, size
        assert button.hold(method="kzalloc", size=POISONED_SIZE)[1]["zeroed"] == "asked"
