# SPDX-License-Identifier: GPL-2.0
"""make KDIR=: which kernels a module is built for, and what a build leaves."""

import subprocess

import pytest

from archive import run
from clone import ours, replace
from guest.row import Row


@pytest.mark.long
def test_build_leaves_the_module_alone(row, tree):
    """Nothing but the modules is left beside out/, and what follows builds."""
    before = tree.files()
    status, said = tree.build(row.build)
    assert status == 0, said
    assert tree.files() - before == {"alloclab.ko", "alloclab_usb.ko"}
    assert f"alloclab.ko is for {row.release}\n" in said

    # As make does for its own rows.
    out = tree.directory / "out/build/again"
    run("make", "-C", row.build, f"M={tree.directory}", f"MO={out}", "modules")
    assert (out / "alloclab.ko").is_file()

    assert tree.build(row.build, "clean")[0] == 0
    assert tree.files() == before
    assert not tree.out.exists()


def test_failed_build_leaves_nothing(row, tree):
    """The compiler writes long types to files: not into the tree."""
    long_type = "let x = (0u8, 0u16); " + "let x = (x, x, x, x); " * 6 + "let _: () = x;"
    with open(tree.directory / "src/lab.rs", "a", encoding="utf-8") as source:
        source.write(f"\nfn long() {{ {long_type} }}\n")
    before = tree.files()
    status, said = tree.build(row.build)
    assert status != 0
    assert "the full type name has been written to" in said or "long-type-" in said
    assert tree.files() == before


@pytest.mark.long
def test_output_elsewhere(row, tree, tmp_path):
    """O= and MO= are as for the kernel's own make."""
    tree.shrink()
    out = tmp_path / "elsewhere"
    before = tree.files()
    status, said = tree.build(row.source, f"O={row.build}", f"MO={out}")
    assert status == 0, said
    assert (out / "alloclab.ko").is_file()
    assert tree.files() - before == {"alloclab.ko", "alloclab_usb.ko"}
    assert not (tree.directory / "out").exists()


def test_built_in_place(row, tree):
    """What the kernel's own make left in the tree is named with what removes it."""
    tree.shrink()
    before = tree.files()
    run("make", "-C", row.build, f"M={tree.directory}", "modules", stderr=subprocess.DEVNULL)
    assert (tree.directory / "modules.order").is_file()
    status, said = tree.build(row.build)
    assert status != 0
    assert ours(said) == ["alloclab: this clone holds what the kernel's make has built in place: "
                          "'make clean' removes it, and 'make KDIR=' builds in out/."]
    run("make", "clean", cwd=tree.directory)
    assert tree.files() == before

    run("make", "-C", row.build, f"M={tree.directory}", "modules", stderr=subprocess.DEVNULL)
    run("make", "-C", row.build, f"M={tree.directory}", "clean")
    assert tree.files() == before


@pytest.fixture(name="kernel")
def fixture_kernel(row, tmp_path):
    """A prepared tree whose files may be changed."""
    kernel = tmp_path / "kernel"
    run("cp", "-as", row.build, kernel)
    return kernel


@pytest.mark.long
def test_llvm(tree):
    """LLVM=1 has clang compile all of it, for a kernel that clang has built."""
    debug = Row.find("debug")
    # The source's make, which has to be told: that of the build tree knows.
    status, said = tree.build(debug.source, f"O={debug.build}", "ARCH=arm64", "LLVM=1")
    assert status == 0, said
    assert f"alloclab.ko is for {debug.release}\n" in said
    compilers = run("readelf", "-p", ".comment", tree.out / "rust/helpers.o")
    assert "clang" in compilers and "GCC" not in compilers


def refused(tree, kernel, reason):
    """Expect one sentence, before anything is compiled."""
    before = tree.files()
    status, said = tree.build(kernel)
    assert status != 0
    assert [line for line in said.splitlines() if not line.startswith("make")] == [
        f"alloclab: {reason}"]
    assert tree.files() == before
    assert not (tree.directory / "out").exists()


PREPARE = ("in the source of this very kernel, with its .config, run 'make modules_prepare', and "
           "name that tree.")


def test_kernel_without_rust(kernel, tree):
    """CONFIG_RUST is not set."""
    replace(kernel / "include/config/auto.conf", "^CONFIG_RUST=y\n", "")
    refused(tree, kernel, f"the kernel of {kernel} has no Rust (CONFIG_RUST is not set), so no "
            "Rust module can be built for it: build it with CONFIG_RUST=y, or take another "
            "kernel.")


def test_kernel_of_another_rustc(kernel, tree):
    """A Rust module must be of the compiler that built the kernel."""
    replace(kernel / "include/config/auto.conf", "^CONFIG_RUSTC_VERSION_TEXT=.*",
            'CONFIG_RUSTC_VERSION_TEXT="rustc 1.99.0 (made up)"')
    here = run("rustc", "--version").strip()
    refused(tree, kernel, f"the kernel of {kernel} was built with 'rustc 1.99.0 (made up)', and "
            f"here is '{here}', but a Rust module needs the very same compiler: install that "
            "one, and name it with RUSTC=.")


def test_kernel_without_metadata(kernel, tree):
    """A package of headers, which has none of rust/."""
    (kernel / "rust/libkernel.rmeta").unlink()
    refused(tree, kernel, f"{kernel} has no Rust metadata (rust/libkernel.rmeta is missing), "
            f"which packages of headers leave out: {PREPARE}")


def test_kernel_that_is_not_prepared(row, tree, tmp_path):
    """A source, and a directory that is no kernel at all."""
    refused(tree, row.source, f"{row.source} is not the build tree of a kernel that is prepared "
            f"for modules: {PREPARE}")
    refused(tree, tmp_path, f"KDIR={tmp_path}: there is no kernel's tree.")
