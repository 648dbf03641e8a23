# SPDX-License-Identifier: GPL-2.0
"""An overlay with a button for any board, or the board's whole tree with the button in it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from board.tree import BoardError
from guest.devicetree import TreeError, compile_overlay, run

# What the overlay calls the controller where the tree has no label for it.
LABEL = "alloclab_gpio"
NAMES = ["button", "alloclab-button"]
FALLING = 2
SOURCE = """// SPDX-License-Identifier: GPL-2.0
/* {board}: a button on line {line} of {controller}. */
/dts-v1/;
/plugin/;

&{{/}} {{
\t{name} {{
\t\tcompatible = "alloclab,button";
\t\tinterrupt-parent = <&{label}>;
\t\tinterrupts = <{cells}>;\t/* line {line}, IRQ_TYPE_EDGE_FALLING */
\t}};
}};
"""


def unpack(package, directory):
    """Unpack the trees of Debian's package linux-base; return them as trees_in() does."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                          stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-f", "-", "-C", directory, "--wildcards", "*/dtb/*.dtb"],
                       stdin=archive.stdout, check=True)
    return trees_in(directory)


def trees_in(directory):
    """The trees of a package that was unpacked there, by vendor/name."""
    top = next(directory.glob("**/dtb"))
    return {str(path.relative_to(top)).removesuffix(".dtb"): path
            for path in sorted(top.rglob("*.dtb"))}


def make(name, board, controller, line, stem, whole=False):
    """Make STEM.dtbo and its source, or if `whole` STEM.dtb, the tree with that in it.

    Fdtoverlay applies the overlay in any case. `name` is the board's.
    """
    if not (board.symbols and controller.labels or whole):
        raise BoardError(f"{name}: its tree has no label for {controller.name} (in "
                         "__symbols__), so no overlay can name it; MERGE=1 makes a whole tree")
    label = controller.labels[0] if controller.labels else LABEL
    node = next(node for node in NAMES if not board.has(f"/{node}"))
    source, overlay, merged = (stem.with_name(f"{stem.name}.{end}")
                               for end in ("dtso", "dtbo", "dtb"))
    text = SOURCE.format(
        board=name, line=controller.text(line), controller=controller.node.path, name=node,
        label=label, cells=" ".join(map(str, (*line, FALLING))))
    with tempfile.TemporaryDirectory(prefix="alloclab-") as directory:
        try:
            made = merge(board, controller, label, text, Path(directory))
        except TreeError as error:
            raise BoardError(f"{name}: {error}") from error
        if whole:
            shutil.copyfile(made, merged)
            return merged
        shutil.copyfile(made.with_name("made.dtbo"), overlay)
    source.write_text(text, encoding="utf-8")
    return overlay


def merge(board, controller, label, text, directory):
    """The tree of a board with the overlay whose source is `text`; all below `directory`."""
    source, overlay, base, merged = (directory / f"made.{end}"
                                     for end in ("dtso", "dtbo", "base", "dtb"))
    source.write_text(text, encoding="utf-8")
    shutil.copyfile(board.path, base)
    compile_overlay(source, overlay)
    if not controller.labels:
        run("fdtput", "-p", "-t", "s", base, "/__symbols__", label, controller.node.path)
    if not controller.node.has("phandle"):
        run("fdtput", "-t", "u", base, controller.node.path, "phandle", str(board.free_phandle()))
    run("fdtoverlay", "-i", base, "-o", merged, overlay)
    if not controller.labels:
        # As the board's own tree has it.
        gone = ["-d", merged, "/__symbols__", label] if board.symbols else \
            ["-r", merged, "/__symbols__"]
        run("fdtput", *gone)
    return merged
