# SPDX-License-Identifier: GPL-2.0
"""make overlay for the boards whose trees Debian ships: thirty of them, or all."""

import subprocess
from collections import Counter, defaultdict

import pytest

from board.overlay import make
from board.tree import Board, BoardError
from readback import buttons, cells, changed, flat, interrupt_parent, users

# In quick scale: one or more of each vendor that has a board which can take a button.
BOARDS = """
allwinner/sun50i-a64-pine64 allwinner/sun50i-h616-orangepi-zero2 allwinner/sun50i-h6-orangepi-3
amd/amd-overdrive-rev-b1 apm/apm-mustang arm/juno
broadcom/bcm2711-rpi-4-b broadcom/bcm2712-rpi-5-b broadcom/bcm2837-rpi-3-b cix/sky1-orion-o6
exynos/exynos850-e850-96 exynos/exynos5433-tm2
freescale/fsl-ls1028a-rdb freescale/imx8mm-evk freescale/imx8mq-librem5-r4
hisilicon/hi6220-hikey hisilicon/hi3660-hikey960
marvell/armada-3720-espressobin marvell/armada-8040-mcbin
mediatek/mt8173-elm mediatek/mt7986a-bananapi-bpi-r3
nvidia/tegra210-p3450-0000 nvidia/tegra234-p3737-0000+p3701-0000
qcom/sdm845-db845c qcom/x1e80100-crd
renesas/r8a77951-salvator-xs renesas/r9a07g044l2-smarc
rockchip/rk3399-nanopi-m4 ti/k3-am625-sk xilinx/zynqmp-zcu102-rev1.0
""".split()
# Of all, at least so many.
LEAST = 1500


class Result:
    """What came of a board: what is wrong, or why it cannot be."""

    def __init__(self, refused="", wrong=""):
        self.refused = refused
        self.wrong = wrong


def line_for(board):
    """The controller and the line for a test: with a label where there is one, among most users."""
    found = [one for one in board.usable() if one.free]
    found.sort(key=lambda one: (not one.labels, -len(one.users)))
    return found[0], found[0].free[0]


def attempt(name, path, schema, directory):
    """Make the overlay, or a whole tree where there are no labels; read back what came of it."""
    try:
        board = Board(path)
        if not board.usable():
            return Result(refused=board.lacks())
        controller, line = line_for(board)
        # As a user names it.
        asked = board.find(f"{controller.name}:{controller.text(line)}")
        assert asked == (controller, line), (controller.name, line)
        whole = not controller.labels
        made = make(name, board, *asked, directory / "made", whole)
    except BoardError as error:
        return Result(refused=str(error))
    before = flat(path)
    if not whole:
        merged = directory / "merged.dtb"
        subprocess.run(["fdtoverlay", "-i", path, "-o", merged, made], check=True)
        made = merged
    return Result(wrong=misled(before, flat(made), controller.node.path, list(line)) or
                  str(schema.objections(made) or ""))


def misled(before, after, controller, line):
    """What is wrong with the button in a tree; nothing if all is right."""
    found = buttons(after)
    if len(found) != 1:
        return f"buttons: {found}"
    if interrupt_parent(after, found[0]) != controller:
        return f"the parent is {interrupt_parent(after, found[0])}, not {controller}"
    own = before[controller]
    if "gpio-controller" not in own or "interrupt-controller" not in own:
        return f"{controller} is no controller of GPIOs and interrupts"
    said = cells(after[found[0]]["interrupts"])
    if said != [*line, 2] or len(said) != cells(own["#interrupt-cells"])[0]:
        return f"interrupts: {said}"
    if users(before, controller, line):
        return f"in use: {users(before, controller, line)}"
    if changed(before, after):
        return f"changed: {changed(before, after)[:4]}"
    return ""


@pytest.fixture(scope="module", name="results")
def fixture_results(trees, full, schema, tmp_path_factory):
    """What came of each board."""
    directory = tmp_path_factory.mktemp("made")
    return {name: attempt(name, trees[name], schema, directory)
            for name in (trees if full else BOARDS)}


def report(results):
    """The boards that do not take the button, by vendor and reason."""
    reasons = defaultdict(list)
    for name, result in results.items():
        if result.refused or result.wrong:
            vendor, _, board = name.partition("/")
            reasons[vendor, result.refused or result.wrong].append(board)
    taken = Counter(name.partition("/")[0] for name, result in results.items()
                    if not (result.refused or result.wrong))
    total = Counter(name.partition("/")[0] for name in results)
    lines = [f"{sum(taken.values())} of {sum(total.values())} board trees take the button"]
    for vendor, number in sorted(total.items()):
        lines.append(f"{vendor}: {taken[vendor]} of {number}")
        lines += [f"  {', '.join(boards)}: {reason}"
                  for (whose, reason), boards in sorted(reasons.items()) if whose == vendor]
    return "\n".join(lines) + "\n"


def vendors(names):
    """The vendors of boards."""
    return {name.partition("/")[0] for name in names}


def test_what_is_made_is_right(results):
    wrong = {name: result.wrong for name, result in results.items() if result.wrong}
    assert not wrong


def test_enough_boards_take_it(results, full, out):
    text = report(results)
    out.mkdir(parents=True, exist_ok=True)
    (out / "boards.txt").write_text(text, encoding="utf-8")
    taken = [name for name, result in results.items() if not result.refused]
    if full:
        assert len(taken) >= LEAST, text
        assert vendors(taken) == vendors(BOARDS), text
    else:
        assert taken == BOARDS and len(BOARDS) == 30, text
