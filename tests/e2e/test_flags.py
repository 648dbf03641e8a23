# SPDX-License-Identifier: GPL-2.0
"""Flags: which method takes which, what is refused and why, and that nothing changes then."""

import re

import pytest

from lab import STANDARD

BOOT = STANDARD
pytestmark = pytest.mark.wide
# All that the kernel crate's flags have.
CRATE = {"kernel", "atomic", "nowait", "+zero", "+nowarn", "+account"}
VMALLOC = ("vmalloc", "vzalloc", "raw_vmalloc")


@pytest.fixture(name="words")
def fixture_words(button):
    """The words of the flags, modifiers with their +, as a refusal lists them."""
    said = re.fullmatch(r"allowed are one of ([a-z0-9_ ]+), then any of ([a-z0-9_+ ]+)",
                        button.refused("gfp", "?", "EINVAL"))
    bases, modifiers = said[1].split(), said[2].split()
    assert all(word.startswith("+") for word in modifiers)
    return bases, modifiers


def spelt(word):
    """Flags with this word in them."""
    return f"kernel{word}" if word.startswith("+") else word


@pytest.fixture(name="takers")
def fixture_takers(guest, lab, button, words):
    """Which methods accept each word."""
    every = [*words[0], *words[1]]
    methods = button.methods()
    said = guest.sh(
        f"cd {button.directory}; for m in {' '.join(methods)}; do echo $m >method || exit; "
        f"for w in {' '.join(map(spelt, every))}; do echo $w >gfp && echo $m $w; done; "
        "echo kernel >gfp || exit; done 2>/dev/null").split("\n")
    lab.rebind()
    return {word: [method for method in methods if f"{method} {spelt(word)}" in said]
            for word in every}


def test_words(words):
    assert words[0] == ["kernel", "atomic", "nowait", "noio", "nofs", "user", "highuser", "dma",
                        "dma32"]
    assert words[1] == ["+zero", "+nowarn", "+noretry", "+retry_mayfail", "+nofail", "+high",
                        "+thisnode", "+account", "+comp"]


def test_who_takes_what(row, button, takers):
    methods = set(button.methods())
    # Somebody takes each; everybody takes the default.
    assert all(takers.values()) and set(takers["kernel"]) == methods
    assert all("page" in taking for taking in takers.values())
    for method in ("kmalloc", "kzalloc", "vmalloc", "vzalloc", "coherent", "kvmalloc"):
        taken = {word for word, taking in takers.items() if method in taking}
        assert {"+zero", "+nowarn", "+account"} <= taken <= CRATE, method
    assert not {"highuser", "dma32"} & {word for word in takers if "raw_kmalloc" in takers[word]}
    assert not set(VMALLOC) & {*takers["dma"], *takers["dma32"], *takers["highuser"]}
    assert {"+nofail", "noio", "nofs"} <= \
        {word for word in takers if "raw_vmalloc" in takers[word]}
    # Whether vmalloc may be called where nothing sleeps is the kernel's to say.
    source = (row.source / "mm/vmalloc.c").read_text(encoding="utf-8")
    supported = re.search(r"^#define GFP_VMALLOC_SUPPORTED (.*\\\n)*.*\n", source, re.MULTILINE)
    for word, flag in (("atomic", "GFP_ATOMIC"), ("nowait", "GFP_NOWAIT")):
        takes = bool(supported) and flag in supported[0]
        assert [method in takers[word] for method in VMALLOC] == [takes] * len(VMALLOC), word


def test_refused_word_names_who_takes_it(button, takers):
    methods = button.methods()
    refusers = {word: [method for method in methods if method not in taking]
                for word, taking in takers.items()}
    button.set(method="kmalloc", gfp="nowait+nowarn")
    button.software_press()
    for word, refusing in refusers.items():
        for method in refusing[:1] + refusing[-1:]:
            button.set(gfp="kernel", method=method)
            said = button.refused("gfp", spelt(word), "EINVAL")
            assert said == (f"{method} does not take {word.strip('+')}, which is for "
                            + " ".join(takers[word])), word
    # What is held was held all the time.
    assert (button.live()["gfp"], button.live()["press"]) == ("nowait+nowarn", "1")


def test_method_that_does_not_take_the_flags(button, takers):
    for word, method in (("noio", "kmalloc"), ("dma", "raw_vmalloc"), ("highuser", "pages"),
                         ("+comp", "list")):
        button.set(method="page", gfp=spelt(word))
        assert button.refused("method", method, "EINVAL") == \
            f"{method} does not take {word.strip('+')}, which is for {' '.join(takers[word])}"


def test_what_is_taken_works(guest, lab, button, takers):
    for method in button.methods():
        flags = [spelt(word) for word, taking in takers.items() if method in taking]
        # All of CRATE's modifiers together, too.
        together = [word for word in ("+zero", "+nowarn", "+account") if method in takers[word]]
        flags.append("kernel" + "".join(together))
        button.set(gfp="kernel", method=method)
        read = guest.sh(f"cd {button.directory}; for gfp in {' '.join(flags)}; do "
                        "echo $gfp >gfp && echo 1 >press && sed -n 's/^gfp: //p' live && "
                        "echo 1 >press || exit 1; done", 60)
        assert read.split() == flags
        counts = button.stats()[1][method]
        assert (counts["allocs"], counts["frees"], counts["failures"]) == \
            (len(flags), len(flags), 0), method
    assert lab.loaded()


def test_modifiers_in_any_order_are_printed_in_one(button, words):
    button.set(method="page")
    modifiers = [word for word in words[1] if word not in ("+noretry", "+retry_mayfail")]
    for order in (modifiers, modifiers[::-1], modifiers[3:] + modifiers[:3]):
        button.set(gfp="kernel" + "".join(order))
        assert button.read("gfp") == "kernel" + "".join(modifiers) + "\n"


def test_not_flags(button, words):
    button.set(gfp="nowait+nowarn")
    for value in ("", "users", "+zero", "zero", "kernel+", "kernel+zero+zero", "kernel+Zero",
                  "Kernel", "kernel zero", "kernel,zero", "kernel+atomic", "kernel++zero",
                  "GFP_KERNEL"):
        allowed = button.refused("gfp", value, "EINVAL")
        assert [word for word in words[0] + words[1] if f" {word}" not in allowed] == []


def test_combinations_that_make_no_sense(button):
    button.software_press()
    wait = "nofail has to wait, and with this base it must not sleep"
    exclude = "noretry, retry_mayfail and nofail exclude each other"
    for method in ("raw_kmalloc", "page", "pages", "slab"):
        button.set(method=method)
        for gfp, reason in (("atomic+nofail", wait), ("nowait+nofail", wait),
                            ("kernel+noretry+nofail", exclude),
                            ("kernel+noretry+retry_mayfail", exclude),
                            ("noio+retry_mayfail+nofail", exclude)):
            assert button.refused("gfp", gfp, "EINVAL") == f"{method}: {reason}"
    assert button.live()["press"] == "1"


def test_nofail_is_for_small_contiguous_blocks(guest, button):
    page = guest.page_size
    reason = "nofail is for at most two contiguous pages"
    debugged = "nofail is for at most half a page of kmalloc, which debugging may make two"
    for method, most, over in (("raw_kmalloc", page // 2, debugged), ("pages", 2 * page, reason)):
        button.set(size="default", gfp="kernel", method=method)
        button.set(size=most, gfp="kernel+nofail")
        assert button.refused("size", str(most + 1), "EINVAL") == f"{method}: {over}"
        button.set(gfp="kernel", size="1M")
        assert button.refused("gfp", "kernel+nofail", "EINVAL") == f"{method}: {reason}"
    # Pages that need not follow each other can be waited for.
    button.set(method="raw_vmalloc", gfp="kernel+nofail")
    button.software_press(2)
    assert button.stats()[1]["raw_vmalloc"]["frees"] == 1


def test_cycle_passes_over_who_does_not_take_it(lab, button, takers):
    start = len(lab.texts(button.name))
    button.set(gfp="noio")
    passed = [method for method in button.methods() if method not in takers["noio"]]
    assert lab.texts(button.name)[start:] == [
        f"cycle: passed over, as {method} does not take noio, which is for "
        + " ".join(takers["noio"]) for method in passed]
    button.software_press(2 * len(takers["noio"]))
    assert [event.method for event in lab.events(button.name) if event.what == "allocated"] == \
        takers["noio"]
    assert button.counters("next", "failures") == (takers["noio"][0], 0)


def test_what_every_method_refuses(button):
    button.software_press()
    said = button.refused("gfp", "highuser+noretry+nofail", "EINVAL")
    assert said.startswith("every method refuses it, as ")
    # Whatever else others do not take.
    for gfp in ("atomic+nofail", "nowait+zero+nofail"):
        said = button.refused("gfp", gfp, "EINVAL")
        assert said.startswith("every method refuses it, as ") and \
            said.endswith(": nofail has to wait, and with this base it must not sleep"), said
