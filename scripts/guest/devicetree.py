# SPDX-License-Identifier: GPL-2.0
"""QEMU's device tree with overlays of ours merged in."""

import subprocess
from pathlib import Path

# QEMU's tree has no symbols: what the overlays call by label.
SYMBOLS = {"gpio": "/pl061@9030000"}
WARNINGS = ["-Winterrupts_property", "-Winterrupt_provider", "-Wgpios_property",
            "-Wnode_name_vs_property_name"]
# What dtc itself stumbles over where a tree is wrong on purpose.
UNCHECKED = ["-Wno-interrupts_property", "-Wno-interrupts_extended_property"]


class TreeError(Exception):
    """A device tree could not be made."""


def run(*command):
    """Run a tool; return what it says. A status that is not 0 is a TreeError."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise TreeError(f"{' '.join(str(word) for word in command)}: "
                        f"status {done.returncode}\n{done.stdout}")
    return done.stdout


def compile_overlay(source, target, strict=True, less=()):
    """Compile the overlay at `source`; a warning is an error if `strict`, but for those in `less`.
    """
    said = run("dtc", "-@", *(WARNINGS if strict else UNCHECKED), *less, "-I", "dts", "-O",
               "dtb", "-o", target, source)
    if said and strict:
        raise TreeError(f"{source}: dtc says\n{said}")


def merge(options, overlays, directory):
    """Dump the tree of the machine that QEMU's `options` make, merge `overlays`, return the file.

    The options are Machine.options(), of which the last is the model.
    An overlay is the path of a .dtso, which must compile without warnings, or
    such a file's text, which need not: tests have wrong trees.
    """
    base = directory / "base.dtb"
    # A comma in an option of QEMU is written twice.
    dump = f"{options[-1]},dumpdtb={str(base).replace(',', ',,')}"
    run(*options[:-1], dump)
    for label, path in SYMBOLS.items():
        run("fdtput", "-p", "-t", "s", base, "/__symbols__", label, path)
    compiled = []
    for number, overlay in enumerate(overlays):
        strict = isinstance(overlay, Path)
        if not strict:
            text, overlay = overlay, directory / f"overlay{number}.dtso"
            overlay.write_text(text, encoding="utf-8")
        compiled.append(directory / f"overlay{number}.dtbo")
        compile_overlay(overlay, compiled[-1], strict)
    if not compiled:
        return base
    merged = directory / "merged.dtb"
    run("fdtoverlay", "-i", base, "-o", merged, *compiled)
    return merged
