# SPDX-License-Identifier: GPL-2.0
"""Targets of make as a user calls them, in a copy of this tree."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from clone import Copy
from languageserver import LanguageServer

TERMINAL_SECONDS = 600
NANOPI = "rockchip/rk3399-nanopi-m4"


@pytest.fixture(scope="module", name="tree")
def fixture_tree(tmp_path_factory):
    """A copy of this tree, in which the module is built once."""
    return Copy(tmp_path_factory.mktemp("targets") / "tree")


def defined(project, crate):
    """Where a crate's root is, by the name of the crate."""
    root, = [entry["root_module"] for entry in project["crates"]
             if entry["display_name"] == crate]
    return Path(root).parent


@pytest.mark.long
def test_rust_analyzer(tree, row):
    """A language server finds what is defined in src/, in rust/, in the kernel and in Rust."""
    assert tree.made("rust-analyzer", f"KERNEL={row.name}").splitlines()[-1] == (
        f"rust-project.json is for {row.release}")
    path = tree.directory / "rust-project.json"
    project = json.loads(path.read_text(encoding="utf-8"))
    # The directories that are at the same place inside the build root and outside.
    shared = (str(tree.directory) + "/", os.environ["ALLOCLAB_CACHE"] + "/")
    paths = [project["sysroot"], project["sysroot_src"]]
    for crate in project["crates"]:
        paths += [crate["root_module"], *crate.get("source", {}).get("include_dirs", [])]
        paths += [crate[key] for key in ["proc_macro_dylib_path"] if key in crate]
    assert [path for path in paths if not (path.startswith(shared) and Path(path).exists())] == []

    kernel = defined(project, "kernel")
    with LanguageServer(tree.directory) as server:
        for source, within, name, place in [
                ("src/alloclab.rs", "platform::Module<", "Module",
                 tree.directory / "rust/platform.rs"),
                # Within one of the kernel's macros.
                ("src/lab.rs", "Button::new(", "new", tree.directory / "src/button.rs"),
                ("src/button.rs", "Delta::from_millis", "from_millis", kernel / "time.rs"),
                ("src/lab.rs", "Option<", "Option", defined(project, "core") / "option.rs")]:
            found = server.definition(tree.directory / source, within, name)
            assert found == [(place, name)], f"{source}: {name}"
            assert name in server.hover(tree.directory / source, within, name)
        assert server.health == "ok"


@pytest.mark.long
def test_doc(tree, row):
    """rustdoc of src/ and rust/, private items too, with links to the kernel's source."""
    assert tree.made("doc").splitlines()[-2:] == [
        "out/doc/alloclab/index.html", "out/doc/alloclab_usb/index.html"]
    assert (tree.directory / "out/doc/alloclab_usb/rust/usb/struct.Interface.html").is_file()
    pages = tree.directory / "out/doc/alloclab"
    for page in ["index.html", "button/struct.Button.html", "rust/flag/struct.Flag.html"]:
        assert (pages / page).is_file()
    text = "".join(path.read_text(encoding="utf-8") for path in pages.rglob("*.html"))
    assert f'<a href="{row.source}/include/linux/slab.h">' in text
    assert 'href="srctree/' not in text


def test_demo_on_no_bus(tree):
    """A bus that there is no demo of."""
    status, _, said = tree.make("demo", "BUS=pci")
    assert status != 0 and "alloclab: BUS=pci is not valid: allowed are i2c, spi and usb\n" in said


@pytest.mark.long
def test_demo_on_a_bus(tree):
    """Each method that is possible there is carried out, and why another one is not is said."""
    for bus, device in (("i2c", "0-0010"), ("spi", "spi0.0")):
        said = tree.made("demo", f"BUS={bus}")
        summary = json.loads((tree.directory / "out/demo/summary.json").read_text("utf-8"))
        methods = summary["methods"]
        assert summary["presses"] == 2 * len(methods) - 1 and "devm" in methods
        assert f"alloclab {device}: kmalloc: allocated 64 bytes at" in said
        for method in ("coherent", "dmapool"):
            assert method not in methods
            assert f"alloclab {device}: cycle: passed over, as {method} is for a device" in said
    said = tree.made("demo", "BUS=usb")
    summary = json.loads((tree.directory / "out/demo/summary.json").read_text("utf-8"))
    assert "usb_coherent" in summary["methods"] and "coherent" in summary["methods"]
    assert summary["presses"] == 2 * len(summary["methods"]) - 1
    assert "alloclab_usb 1-1:1.0: usb_coherent: allocated 1024 bytes at" in said


@pytest.mark.long
def test_overlay(tree, tmp_path):
    """For a board that Debian has a tree of, and for the file of a tree that is elsewhere."""
    made = tree.directory / "out/overlay/rk3399-nanopi-m4.dtb"
    said = tree.made("overlay", f"BOARD={NANOPI}", "GPIO=gpio0:6", "MERGE=1")
    assert f"{made.relative_to(tree.directory)}: the board's tree with the button\n" in said
    path = shutil.copy(made, tmp_path / "elsewhere.dtb")
    said = tree.made("overlay", f"BOARD={path}", "GPIO=gpio0:8", "MERGE=1")
    assert "out/overlay/elsewhere.dtb: the board's tree with the button\n" in said
    assert path.read_bytes() == made.read_bytes()
    status, _, said = tree.make("overlay", f"BOARD={path}", "GPIO=gpio0:6", "MERGE=1")
    assert status != 0 and "the line is in use: interrupts of /button; free are 0, 2-3, 8" in said


@pytest.mark.long
def test_doctor(tree):
    """What scripts/doctor says of this machine; make tells its status."""
    alone = subprocess.run(["scripts/doctor"], cwd=tree.directory, env=tree.environment,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    status, output, said = tree.make("doctor")
    assert output == alone.stdout and output.splitlines()[-1].startswith("building: ")
    assert bool(status) == bool(alone.returncode)
    assert status == 0 or f"doctor] Error {alone.returncode}\n" in said


class Terminal:
    """A command on a terminal of its own."""

    SIZE = (33, 101)

    def __init__(self, tree, *command):
        self._ours, self._its = pty.openpty()
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", *self.SIZE, 0, 0))
        self._settings = termios.tcgetattr(self._its)
        self._said = ""
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command], cwd=tree.directory,
            env=tree.environment, stdin=self._its, stdout=self._its, stderr=self._its,
            start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        os.close(self._ours)
        os.close(self._its)

    def type(self, text):
        """Type a text."""
        os.write(self._ours, text.encode())

    def wait(self, pattern):
        """Wait until what was said since the last wait matches; return the match."""
        until = time.monotonic() + TERMINAL_SECONDS
        while True:
            match = re.search(pattern, self._said)
            if match:
                self._said = self._said[match.end():]
                return match
            left = until - time.monotonic()
            assert left > 0, f"{pattern}: not in {self._said}"
            ended = self._process.poll() is not None
            if select.select([self._ours], [], [], min(left, 1))[0]:
                self._said += os.read(self._ours, 65536).decode("utf-8", "replace")
            else:
                assert not ended, f"{pattern}: not in {self._said}"

    def end(self):
        """Wait until the command has ended; return its status."""
        return self._process.wait(TERMINAL_SECONDS)

    def restored(self):
        """Whether the terminal is set as it was before."""
        return termios.tcgetattr(self._its) == self._settings


# The kernel's log may come after it.
PROMPT = "~ # "
NO_GUEST = ("press: no guest is running in this clone; start one with `make shell` in another "
            "terminal\n")


def test_shell_and_press(tree):
    """The guest on a terminal, pressed from outside, left by poweroff."""
    status, _, said = tree.make("press")
    assert status != 0 and said.startswith(NO_GUEST)
    status, _, said = tree.make("shell")
    assert status != 0 and "shell: needs a terminal; `make demo` runs without one\n" in said
    with Terminal(tree, "make", "shell") as shell:
        shell.wait("Things to try:")
        shell.wait(PROMPT)
        shell.type("echo size: $(stty size)\n")
        shell.wait(r"size: %d %d\s" % Terminal.SIZE)
        shell.wait(PROMPT)
        for number, what in enumerate(["allocated", "freed"], 1):
            assert tree.made("press") == "pressed: see the other terminal\n"
            shell.type(f"until dmesg | grep 'press [{number}]'; do sleep 1; done\n")
            shell.wait(rf"alloclab button: kmalloc: {what} 64 bytes at \S+ in .*\(press {number}\)")
            shell.wait(PROMPT)
        with Terminal(tree, "make", "shell") as second:
            second.wait("shell: a guest of this clone is running already; `make press` presses "
                        "its button")
            assert second.end() != 0
        shell.type("poweroff\n")
        assert shell.end() == 0
        assert shell.restored()
    assert tree.make("press")[0] != 0
    assert "(press 2)" in (tree.directory / "out/shell/serial.log").read_text(encoding="utf-8")


def test_shell_left_by_the_monitor(tree):
    """Ctrl-A X ends QEMU."""
    with Terminal(tree, "make", "shell") as shell:
        shell.wait(PROMPT)
        shell.type("\x01x")
        assert shell.end() == 0
        assert shell.restored()
