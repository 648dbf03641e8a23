#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make rust-analyzer and make doc: what a language server and rustdoc need to know of our crates.

Both take it from how the kernel's make has compiled the modules. Runs in the build root.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from guest.row import CLONE, Row, RowError

PROJECT = CLONE / "rust-project.json"
# The crate roots of this tree, and where their modules are besides.
ROOTS = ["src/alloclab.rs", "src/alloclab_usb.rs", "tests/kunit/alloclab_kunit.rs",
         "tests/bench/alloclab_pairs.rs"]
# What only the compilation of a root has: its flags in Kbuild.
CFG = {"src/alloclab_usb.rs": ["usb"]}
SHARED = [CLONE / "src", CLONE / "rust"]
LINK = re.compile(r'(<a href=")srctree/([^"#]+)')


class Compiled:
    """How a module's root was compiled in a directory that the kernel's make has built in."""

    def __init__(self, directory, name="alloclab"):
        self.directory = directory
        path = directory / f"src/.{name}.o.cmd"
        try:
            line = path.read_text(encoding="utf-8").splitlines()[0]
        except OSError as error:
            raise RowError(f"{directory}: {name}.rs was not compiled there: {error}") from error
        text = line.partition(" := ")[2].replace("$$", "$").replace("$(pound)", "#")
        lexer = shlex.shlex(text, posix=True, punctuation_chars=";")
        lexer.whitespace_split = True
        words = list(lexer)
        # Another command may follow, which looks at the object.
        words = words[:words.index(";")] if ";" in words else words
        self.environment = {}
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            self.environment[name] = value
        # The first word is the compiler, the last one the source.
        self.arguments = words[1:-1]

    def values(self, option):
        """The values of an option that rustc was given, those in files of options too."""
        return list(self._values(option, self.arguments))

    def _values(self, option, words):
        for word, following in zip(words, [*words[1:], ""]):
            if word.startswith("@"):
                text = (self.directory / word[1:]).read_text(encoding="utf-8")
                yield from self._values(option, text.splitlines())
            elif word == option:
                yield following
            elif word.startswith(f"{option}="):
                yield word.partition("=")[2]


def make_project(row):
    """Write rust-project.json for a row whose modules are built.

    The kernel's make describes its own crates and those of Rust. The paths are the ones that are
    the same inside the build root and outside.
    """
    built = CLONE / "out/build" / row.name
    compiled = Compiled(built)
    rust = Path(os.environ["ALLOCLAB_ROOT"]) / "usr"
    library = (rust / "lib/rustlib/src/rust/library").resolve()
    subprocess.run(["make", "-C", row.build, f"M={CLONE}", f"MO={built}",
                    f"RUST_LIB_SRC={library}", "rust-analyzer"],
                   stdout=subprocess.DEVNULL, check=True)
    project = json.loads((built / "rust-project.json").read_text(encoding="utf-8"))
    project["sysroot"] = str(rust)
    project["sysroot_src"] = str(library)
    numbers = {crate["display_name"]: number for number, crate in enumerate(project["crates"])}
    needed = ["core", *(value.rpartition(":")[2] for value in compiled.values("--extern"))]
    for name in ROOTS:
        root = CLONE / name
        project["crates"].append({
            "display_name": root.stem, "root_module": str(root), "is_workspace_member": True,
            "deps": [{"crate": numbers[crate], "name": crate} for crate in needed],
            "cfg": compiled.values("--cfg") + CFG.get(name, []),
            "edition": compiled.values("--edition")[0],
            "env": {"RUST_MODFILE": "This is only for rust-analyzer"},
            "source": {"include_dirs": sorted({str(root.parent), *map(str, SHARED)}),
                       "exclude_dirs": []}})
    new = PROJECT.with_suffix(".tmp")
    new.write_text(json.dumps(project, indent=4) + "\n", encoding="utf-8")
    new.replace(PROJECT)
    print(f"rust-project.json is for {row.release}")


def document(row, built, out, name):
    """Have rustdoc read a module's root, and what it has of src/ and rust/, as it was compiled in a
    directory.
    """
    compiled = Compiled(built, name)
    # What is said of the compiler's output, some kernels with the crate's name, is not for rustdoc.
    arguments = [word for before, word in zip(["", *compiled.arguments], compiled.arguments)
                 if not {before, word} & {"--out-dir", "--crate-name"}
                 and not word.startswith("--emit")]
    shutil.rmtree(out / name, ignore_errors=True)
    subprocess.run(["rustdoc", *arguments, "--crate-name", name, "--document-private-items",
                    "-Dwarnings", "--out-dir", out, CLONE / f"src/{name}.rs"],
                   cwd=built, check=True,
                   env={**os.environ, **compiled.environment, "RUSTC_BOOTSTRAP": "1"})
    # Links to the kernel's source, as the kernel's own make has them.
    for path in out.glob(f"{name}/**/*.html"):
        text = path.read_text(encoding="utf-8")
        for _, header in LINK.findall(text):
            if not (row.source / header).exists():
                raise RowError(f"{path.relative_to(out)}: the kernel's source has no {header}")
        path.write_text(LINK.sub(rf"\g<1>{row.source}/\2", text), encoding="utf-8")


def main():
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description="What make rust-analyzer and make doc do.")
    parser.add_argument("task", choices=["rust-analyzer", "doc"])
    parser.add_argument("row", help="a row of scripts/kernel/table")
    parser.add_argument("--built", type=Path, help="where the modules were compiled for the row")
    parser.add_argument("--out", type=Path, default=CLONE / "out/doc", help="where the pages go")
    arguments = parser.parse_args()
    row = Row.find(arguments.row)
    if arguments.task == "rust-analyzer":
        make_project(row)
    else:
        built = arguments.built or CLONE / "out/build" / row.name
        for name in ("alloclab", "alloclab_usb"):
            # Not every kernel has the second.
            if name == "alloclab" or (built / f"src/.{name}.o.cmd").is_file():
                document(row, built, arguments.out, name)
                print(f"{arguments.out.relative_to(CLONE)}/{name}/index.html")


if __name__ == "__main__":
    try:
        main()
    except RowError as error:
        sys.exit(f"alloclab: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
