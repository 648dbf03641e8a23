# SPDX-License-Identifier: GPL-2.0
"""make check on a tree with a fault: the check fails that is there for it, and no other."""

import os
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

from clone import SMALL
from guest.row import CLONE
from kernel.trial import Trial

SPDX = "SPDX-License-Identifier: GPL-2.0"
RUST = f"// {SPDX}\n\n"
SHELL = f"#!/bin/bash\n# {SPDX}\n\n"


class Fault(NamedTuple):
    """A file with a fault, and what is said of it."""

    check: str
    file: str
    text: str           # the file's text, or what takes the place of `old` in it
    said: str
    old: str = ""       # a pattern


# A tree without a fault that is read quickly: a file of each kind. Its `scripts` is a link, which
# no check follows.
FILES = {"Makefile": f"# {SPDX}\n", "some.sh": SHELL + 'echo "$1"\n', "some.py": f"# {SPDX}\n",
         "src/some.rs": RUST + "struct Some;\n", "rust/some.c": f"// {SPDX}\n",
         "rust/compat/some.rs": RUST + "pub(crate) struct Some;\n",
         "user/src/some.rs": RUST + "fn some() {}\n", "README.md": 160 * "Some.\n",
         "doctor": f"#!/bin/sh\n# {SPDX}\n\n" + 'echo "$1"\n'}
# What reads a file of these, and needs nothing else of the tree.
DT = ["dt-schema: binding, example", "dt-schema: overlays"]
QUICK = ["rustfmt", "user: rustfmt", "checkpatch", "checkpatch, scripts", "shellcheck",
         "shellcheck, POSIX", "flake8", "SPDX lines", "src/: no unsafe, no versions",
         "no private names of the kernel", "README: not too long", "one name for one type",
         "C's functions: none by hand"]
FAULTS = [
    Fault("rustfmt", "rust/some.rs", RUST + "fn  some() {}\n", "Diff in"),
    Fault("user: rustfmt", "user/src/some.rs", RUST + "fn  some() {}\n", "Diff in"),
    Fault("checkpatch", "rust/some.c", f"// {SPDX}\nint some; \n", "ERROR:TRAILING_WHITESPACE"),
    Fault("checkpatch, scripts", "some.sh", SHELL + "echo some \n", "ERROR:TRAILING_WHITESPACE"),
    Fault("shellcheck", "some.sh", SHELL + "echo $1\n", "SC2086"),
    Fault("shellcheck, POSIX", "doctor", f"#!/bin/sh\n# {SPDX}\n\n" + '[[ "$1" = 2 ]]\n', "SC3010"),
    Fault("flake8", "some.py", f"# {SPDX}\nimport os\n", "F401"),
    Fault(DT[0], "dts/alloclab,button.yaml", "alloclab,size = <1 2>;", "alloclab,size",
          old=r"label = .*;"),
    Fault(DT[1], "dts/virt-pl061.dtso", r"\g<0>\n\t\talloclab,sise = <1>;", "alloclab,sise",
          old=r"^\t\tinterrupts = .*$"),
    Fault("SPDX lines", "some.config", "CONFIG_SOME=y\n", "some.config: no SPDX line"),
    Fault("src/: no unsafe, no versions", "src/some.rs", RUST + "unsafe fn some() {}\n",
          "unsafe fn some"),
    Fault("src/: no unsafe, no versions", "src/some.rs",
          RUST + "fn some() {\n    kernel::bindings::some();\n}\n", "bindings::some"),
    Fault("src/: no unsafe, no versions", "src/some.rs",
          RUST + "#[cfg(kernel_7_0)]\nmod some;\n", "kernel_7_0"),
    Fault("src/: no unsafe, no versions", "src/some.rs", RUST + "#[cfg(has_some)]\nmod some;\n",
          "has_some"),
    Fault("no private names of the kernel", "rust/some.rs",
          RUST + "fn some() {\n    __some();\n}\n", "__some"),
    Fault("no private names of the kernel", "src/some.rs",
          RUST + "const SOME: u32 = __GFP_ZERO | __SOME;\n", "| __SOME"),
    Fault("README: not too long", "README.md", 161 * "Some.\n",
          "README.md: 161 lines, allowed are 160"),
    Fault("one name for one type", "rust/some.rs", RUST + "pub(crate) trait Some<T> {}\n",
          "Some: rust/some.rs src/some.rs"),
    Fault("C's functions: none by hand", "rust/some.rs",
          RUST + 'extern "C" {\n    fn some();\n}\n', "rust/some.rs:     fn some();"),
]
# What is compiled is a small module.
ROOT = "src/alloclab.rs"
BUILT = ["clippy, kernel debian", "rustdoc"]
BUILT_FAULTS = [
    Fault(BUILT[0], ROOT, RUST + SMALL + "\nfn one() -> u32 {\n    return 1;\n}\n\n"
          "const _: fn() -> u32 = one;\n", "needless_return"),
    Fault(BUILT[1], ROOT, RUST + SMALL.replace("Small.", "Small: [`Missing`].", 1),
          "unresolved link to `Missing`"),
]
# What reads one file of the whole tree and the kernel's.
ALONE = [
    Fault("C's types, kernel debian", "rust/helpers.rs", r"\1u32;", "-    pub fn alloclab_dma_mask",
          old=r"^(.*alloclab_dma_mask.* -> )\w+;"),
    # What fails without compiling anything.
    Fault("user: clippy", "user/Cargo.toml", 'rust-version = "1.999"', "requires rustc 1.999",
          old="^rust-version = .*$"),
    Fault("options for Raspberry Pi OS", "scripts/kernel/raspberry-pi.config",
          r"\g<0>\nCONFIG_NO_SUCH_OPTION=y", "CONFIG_NO_SUCH_OPTION", old="^CONFIG_RUST=y"),
]
# A page that lacks a row, says another number, or names what there is not.
DOC = [
    # The command's page of methods says less of them.
    Fault("doc: methods and flags", "doc/methods.md", r"\1 63 |", "-kmalloc | 64",
          old="^([|] `kmalloc` [|]) 64 [|]"),
    Fault("doc: debugfs files", "doc/debugfs.md", "", "pages", old="^[|] `pages` [|].*\n"),
    Fault("doc: device-tree properties", "doc/device-tree.md", "", "alloclab,gfp",
          old="^[|] `alloclab,gfp` [|].*\n"),
    Fault("doc: module parameters", "doc/device-tree.md", "", "preload_vmalloc",
          old="^[|] `preload_vmalloc` [|].*\n"),
    Fault("doc: parameters for USB", "doc/usb.md", "", "gfp", old="^[|] `gfp` [|].*\n"),
    Fault("doc: excerpts", "doc/probes.md", "Ok(devices.own)",
          "not in src/method/coherent.rs", old=r"Ok\(devices\.dma\)"),
    Fault("doc: kernels", "doc/kernels.md", "", "debian-old", old="^[|] `debian-old` [|].*\n"),
    Fault("doc: interfaces", "doc/kernels.md", "", "coherent", old="^[|] `coherent` [|].*\n"),
    Fault("doc: targets of make", "doc/testing.md", "", "make demo",
          old="^[|] `make demo` [|].*\n"),
    Fault("doc: torture tests", "doc/testing.md", "", "fuzz", old="^[|] `fuzz` [|].*\n"),
    Fault("doc: the command", "doc/command.md", "", "watch", old="^[|] `watch` [|].*\n"),
    Fault("doc: messages", "doc/errors.md", r"\g<0>\n| `nobody ever says this` | nothing |",
          "nobody ever says this", old="^[|] `missing here: .*$"),
    Fault("doc: figures of make bench", "README.md", r"\g<1>9.", "README.md",
          old=r"^(press: mean ratio )1\."),
    Fault("doc: links and paths", "doc/testing.md", r"\g<0>\n[nowhere](nowhere.md)\n", "nowhere.md",
          old="^# Testing$"),
]
pytestmark = pytest.mark.long
RESULT = re.compile(r"^(\S.*?) +\d+ files +[\d.]+ s  (ok|FAILED)$", re.M)


class Tree:
    """A tree with what the checks read."""

    def __init__(self, directory):
        self.directory = directory

    def put(self, fault):
        """Put a fault into it."""
        path = self.directory / fault.file
        text = fault.text
        if fault.old:
            text, count = re.subn(fault.old, text, path.read_text(encoding="utf-8"), count=1,
                                  flags=re.M)
            assert count, f"{fault.file}: {fault.old}"
        path.write_text(text, encoding="utf-8")

    def check(self, *names, command="scripts/check.sh"):
        """Have checks made; return (the status, name -> result, what was said)."""
        done = subprocess.run([command, *names], cwd=self.directory,
                              env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, dict(RESULT.findall(done.stdout)), done.stdout


@pytest.fixture(name="small")
def fixture_small(tmp_path):
    """The small tree."""
    tree = Tree(tmp_path / "tree")
    shutil.copytree(CLONE / "dts", tree.directory / "dts")
    (tree.directory / "scripts").symlink_to(CLONE / "scripts")
    for name, text in FILES.items():
        (tree.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.directory / name).write_text(text, encoding="utf-8")
    return tree


@pytest.fixture(name="whole")
def fixture_whole(tmp_path):
    """A copy of this tree."""
    return Tree(Trial(tmp_path / "tree").directory)


def expect(tree, fault, names):
    """Of the checks of these names only the one that is there for a fault fails."""
    tree.put(fault)
    status, results, said = tree.check(*names)
    assert results == {name: "FAILED" if name == fault.check else "ok" for name in names}, said
    assert fault.said in said
    assert f"{len(names) - 1} checks passed, 1 failed\n" in said
    assert status == 1


def test_every_check_has_a_fault():
    """Clippy's are the same for each kernel."""
    text = (CLONE / "scripts/check.sh").read_text(encoding="utf-8")
    names = re.findall(r"^\t?check (\w+|\"[^\"]*\") ", text, re.M)
    assert {name.strip('"').replace("$name", "debian") for name in names} == {
        fault.check for fault in FAULTS + BUILT_FAULTS + ALONE + DOC}


def test_no_fault(small):
    """Then all pass."""
    status, results, said = small.check(*QUICK, *DT)
    assert results == dict.fromkeys([*QUICK, *DT], "ok"), said
    assert f"{len(results)} checks passed, 0 failed\n" in said
    assert status == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check} {fault.said}")
def test_fault(small, fault):
    """What reads no device tree need not be asked about one."""
    expect(small, fault, QUICK + (DT if fault.check in DT else []))


@pytest.mark.parametrize("fault", BUILT_FAULTS, ids=lambda fault: fault.check)
def test_fault_of_a_build(whole, fault):
    """What reads no Rust need not be asked, and what formats it was."""
    expect(whole, fault, BUILT)


@pytest.mark.parametrize("fault", ALONE, ids=lambda fault: fault.check)
def test_fault_of_a_file(whole, fault):
    """No other check reads that of it which has the fault."""
    expect(whole, fault, [fault.check])


@pytest.mark.parametrize("fault", DOC, ids=lambda fault: fault.check)
def test_fault_of_a_page(whole, fault):
    """Nothing else reads doc/."""
    expect(whole, fault, [fault.check for fault in DOC])


def test_make(whole):
    """make passes the status on, and the name."""
    assert whole.check("check", "CHECK=flake8", command="make")[:2] == (0, {"flake8": "ok"})
    whole.put(next(fault for fault in FAULTS if fault.check == "flake8"))
    assert whole.check("check", "CHECK=flake8", command="make")[:2] == (2, {"flake8": "FAILED"})
    status, results, said = whole.check("check", "CHECK=flak?", command="make")
    assert (status, results) == (2, {})
    assert "alloclab: no check has a name that begins with 'flak?'\n" in said
