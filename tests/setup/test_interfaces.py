# SPDX-License-Identifier: GPL-2.0
"""How a build finds out which interfaces a kernel has."""

import os
import re
import shutil
import subprocess

import pytest

from archive import run
from clone import ours, replace

PROBE = "rust/compat/coherent.rs"


def links(source, target, *own):
    """Make `target` a directory of links to what is in `source`, but for the names in `own`."""
    target.mkdir()
    for entry in source.iterdir():
        if entry.name not in own:
            (target / entry.name).symlink_to(entry)
    return target


@pytest.fixture(scope="module", name="mixed")
def fixture_mixed(row, tmp_path_factory):
    """A prepared tree that says 7.2: its crate is that of the row, but has one older interface."""
    top = tmp_path_factory.mktemp("mixed")
    source = links(row.source, top / "source", "Makefile", "rust")
    shutil.copy(row.source / "Makefile", source / "Makefile")
    replace(source / "Makefile", r"^VERSION = .*\nPATCHLEVEL = .*", "VERSION = 7\nPATCHLEVEL = 2")
    run("cp", "-as", row.source / "rust", source / "rust")
    replace(source / "rust/kernel/dma.rs", r"\bfn dma_address\b", "fn dma_handle")

    build = top / "build"
    run("cp", "-as", row.build, build)
    for name in ("Makefile", ".kernelvariables", "include/config/kernel.release",
                 "include/generated/utsrelease.h"):
        text = (build / name).read_text(encoding="utf-8")
        (build / name).unlink()
        text = text.replace(str(row.build), str(build)).replace(str(row.source), str(source))
        text = text.replace(row.release, "7.2.99")
        (build / name).write_text(text, encoding="utf-8")
    # The metadata of the crate, as the kernel's own make has made it.
    saved = (build / "rust/.kernel.o.cmd").read_text(encoding="utf-8").splitlines()[0]
    command = saved.partition(" := ")[2].replace("$$", "$").replace(r"\#", "#")
    command = re.sub(r"--emit=(dep-info|obj)=\S+", "", command)
    command = command.replace(str(row.build), str(build)).replace(str(row.source), str(source))
    (build / "rust/libkernel.rmeta").unlink()
    command += " -Zalways-encode-mir"
    subprocess.run(command, shell=True, check=True, cwd=build,
                   env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
    return build


def chosen(path):
    """The interfaces that a build has found."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("--cfg=") for line in lines if line.startswith("--cfg=")]


def unfinished(tree):
    """Have a build end after the probes, which is all that some tests wait for."""
    root = tree.directory / "src/alloclab.rs"
    root.write_text('compile_error!("so far");\n', encoding="utf-8")


@pytest.mark.long
def test_interface_and_not_the_number(mixed, tree):
    """The tree says 7.2; all its interfaces but one are newer, and each is found."""
    status, said = tree.build(mixed)
    assert status == 0, said
    cfgs = chosen(tree.out / "interfaces.rsp")
    assert cfgs == ["has_coherent_dma_handle", "has_i2c_driver_data",
                    "has_of_device_table_of_three", "has_platform_driver_data",
                    "has_threaded_irq_bound"]
    assert run("modinfo", "-F", "vermagic", tree.module).startswith("7.2.99 ")


def test_no_known_form(mixed, tree):
    """An interface has none of its forms: its name, the release and the forms, in one line."""
    replace(tree.directory / PROBE, r"\bdma_handle\(\)", "no_such_name()")
    status, said = tree.build(mixed)
    log = tree.out / "interfaces.log"
    forms = re.findall("^/// (.*)", (tree.directory / PROBE).read_text(encoding="utf-8"), re.M)
    assert status != 0
    assert ours(said) == [
        "alloclab: kernel 7.2.99: the interface coherent has none of the known forms; "
        f"log: {log}; known forms: {'; '.join(forms)}"]
    assert "no method named `no_such_name` found" in log.read_text(encoding="utf-8")
    assert "error[" not in said
    assert not tree.module.exists()


def test_failed_control(mixed, tree):
    """What a probe takes for granted does not compile: no form may be taken, old or new."""
    replace(tree.directory / PROBE, r"^use kernel", "use kernel::no_such_module;\n\nuse kernel")
    status, said = tree.build(mixed)
    assert status != 0
    (line,) = ours(said)
    assert line.startswith("alloclab: kernel 7.2.99: the control of the interface coherent does "
                           "not compile, so that its form cannot be found out; log: ")
    assert "error[" not in said


def test_newest_form(mixed, tree):
    """Of two forms that compile, the first is taken: an old one may compile for any reason."""
    unfinished(tree)
    (tree.directory / "rust/compat/made_up.rs").write_text(
        "//! Made up.\n\n/// new\n#[cfg(has_made_up_new)]\nmod form {}\n\n"
        "/// old\n#[cfg(has_made_up_old)]\nmod form {}\n", encoding="utf-8")
    assert "so far" in tree.build(mixed)[1]
    cfgs = chosen(tree.out / "interfaces.rsp")
    assert [cfg for cfg in cfgs if "made_up" in cfg] == ["has_made_up_new"]


def test_probes_run_once(mixed, tree):
    """A second build compiles no probe; a changed probe, metadata or flag has all compiled."""
    made = tree.out / "interfaces.rsp"
    unfinished(tree)

    def runs(*arguments):
        before = made.stat().st_mtime_ns if made.is_file() else 0
        _, said = tree.build(mixed, *arguments)
        assert not ours(said) and "so far" in said, said
        return made.stat().st_mtime_ns != before

    assert runs()
    assert not runs()
    (tree.directory / PROBE).touch()
    assert runs()
    (mixed / "rust/libkernel.rmeta").touch()
    assert runs()
    assert runs("KRUSTFLAGS=-Cdebuginfo=0")
    assert not runs("KRUSTFLAGS=-Cdebuginfo=0")
