# SPDX-License-Identifier: GPL-2.0
"""Targets of make as a user calls them, in a copy of this tree."""

import json
import os
from pathlib import Path

import pytest

from clone import Copy
from languageserver import LanguageServer


@pytest.fixture(scope="module", name="tree")
def fixture_tree(tmp_path_factory):
    """A copy of this tree, in which the module is built once."""
    return Copy(tmp_path_factory.mktemp("targets") / "tree")


def defined(project, crate):
    """Where a crate's root is, by the name of the crate."""
    root, = [entry["root_module"] for entry in project["crates"]
             if entry["display_name"] == crate]
    return Path(root).parent


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


def test_doc(tree, row):
    """rustdoc of src/ and rust/, private items too, with links to the kernel's source."""
    assert tree.made("doc").splitlines()[-1] == "out/doc/alloclab/index.html"
    pages = tree.directory / "out/doc/alloclab"
    for page in ["index.html", "button/struct.Button.html", "rust/flag/struct.Flag.html"]:
        assert (pages / page).is_file()
    text = "".join(path.read_text(encoding="utf-8") for path in pages.rglob("*.html"))
    assert f'<a href="{row.source}/include/linux/slab.h">' in text
    assert 'href="srctree/' not in text
