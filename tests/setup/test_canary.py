# SPDX-License-Identifier: GPL-2.0
"""make canary: kernels that the tree does not name yet, from made-up archives."""

import json

import pytest

from archive import RUSTC, SNAPSHOT, Archive, Tree, fill
from guest.row import Row

V734, V741 = (f"{version}-1~bpo13+1" for version in ("7.3.4", "7.4.1"))
TESTED = [("backports", V734, SNAPSHOT, RUSTC)]
# In place of building and testing: what a version is made of is taken from the archive, then
# there are modules with the interfaces and the results that $RESULTS has for the version.
TASK = r"""
set -eu
. scripts/setup/lib.sh
row=$2
source=$(awk -v n="$row" '$1 "" == n { print $3 }' scripts/kernel/table)
. "$(scripts/kernel/resolve.sh "$source")"
echo "$1 $row $source $VERSION" >>"$RESULTS/called"
mkdir -p "$ALLOCLAB_CACHE/sources" "$ALLOCLAB_CACHE/kernels/$row-$VERSION" out/log
if [ "$source" = backports ]; then
    (cd "$ALLOCLAB_CACHE/sources" && apt-get download -qq "linux-source-$SERIES=$VERSION") >&2
else
    (cd "$ALLOCLAB_CACHE/sources" && apt-get source --download-only -qq "linux=$VERSION") >&2
fi
mkdir -p "$ALLOCLAB_CACHE/sources/$VERSION-abc"
printf '%s\n' "RELEASE=$RELEASE" "VERSION=$VERSION" >"$ALLOCLAB_CACHE/kernels/$row-$VERSION/row"
touch "$ALLOCLAB_CACHE/kernels/$row-$VERSION/stamp"
echo 'error: an interface that is gone' >out/log/module-build.log
! [ -e "$RESULTS/$VERSION.does-not-build" ] || exit 1
mkdir -p "out/build/$row"
[ -e "$RESULTS/$VERSION.no-module" ] || touch "out/build/$row/alloclab.ko"
cp "$RESULTS/$VERSION.interfaces" "out/build/$row/interfaces.rsp" 2>/dev/null || :
if [ "$1" = kunit ]; then
    cat "$RESULTS/$VERSION.kunit" 2>/dev/null || echo '5 passed, 0 failed'
    ! [ -e "$RESULTS/$VERSION.kunit" ]
fi
"""


@pytest.fixture(name="archive")
def fixture_archive(tmp_path):
    """The backports; empty."""
    return Archive(tmp_path / "archive")


@pytest.fixture(name="tree")
def fixture_tree(tmp_path, archive):
    """A tree that names 7.3.4, and whose kernels are not really built."""
    tree = Tree(tmp_path / "tree", TESTED, archive, tmp_path / "dated")
    tree.replace("task.sh", TASK)
    tree.environment["RESULTS"] = str(tmp_path / "results")
    (tmp_path / "results").mkdir()
    return tree


def suite(archive, name, *versions):
    """One of the archive's next suites, with the sources of these versions alone."""
    other = Archive(archive.directory, name)
    for version in versions:
        other.source(version)
    other.index()


def result(tree, name, text=""):
    """Say what comes of a version."""
    (tree.directory.parent / "results" / name).write_text(text, encoding="utf-8")


def listing(directory):
    """All below a directory, with contents."""
    return {path: path.read_bytes() if path.is_file() else None for path in directory.rglob("*")}


def canary(tree):
    """Run it; return (its status, canary.json, what was called). Nothing else changes."""
    parts = [tree.directory / "scripts", tree.cache, tree.directory.parent / "apt/var"]
    before = [listing(part) for part in parts]
    status, _, said = tree.run("scripts/canary.py")
    assert [listing(part) for part in parts] == before
    text = (tree.directory / "out/canary/canary.json").read_text(encoding="utf-8")
    called = tree.directory.parent / "results/called"
    answer = json.loads(text)
    assert answer["status"] == status
    return (status, answer, called.read_text().splitlines() if called.exists() else [], said)


def test_newer(tree, archive):
    """Backports: the modules for Debian's own kernel, and a kernel of ours with KUnit."""
    fill(archive, V734, V741)
    status, answer, called, said = canary(tree)
    assert (status, answer["preferred"]) == (0, V734)
    assert called == [f"build debian backports {V741}", f"kunit kunit backports {V741}"]
    stock, own = answer["kernels"]
    for kernel, row, kunit in ((stock, "debian", None), (own, "kunit", {"passed": 5, "failed": 0})):
        kernel.pop("seconds")
        assert kernel == {
            "suite": "trixie-backports", "row": row, "kind": "stock" if row == "debian" else "own",
            "version": V741, "release": "7.4.1+deb13-arm64", "rustc": RUSTC, "fetched": True,
            "built": True, "kunit": kunit, "passed": True, "log": "", "complaint": [],
            "interfaces": None}
    assert "up to 300 MB are downloaded and 4 GB of disk used in out/canary." in said
    assert said.endswith("canary: all built and passed; out/canary/canary.json\n")


def test_next_suites(tree, archive):
    """Sources that are newer than what was tried before, each with a kernel of ours."""
    fill(archive, V734, "7.3.5-1~bpo13+1")
    # Newer as dpkg orders them, but the same kernel.
    suite(archive, "testing", "7.3.5-1")
    suite(archive, "unstable", "7.3.4-2", "7.4.1-1")
    suite(archive, "experimental", "7.5~rc3-1~exp1", "7.4.2-1")
    status, answer, called, _ = canary(tree)
    assert status == 0
    assert called == ["build debian backports 7.3.5-1~bpo13+1",
                      "kunit kunit backports 7.3.5-1~bpo13+1",
                      "kunit kunit 7.4 7.4.1-1", "kunit kunit 7.5 7.5~rc3-1~exp1"]
    assert {name: (asked["answered"], asked["newest"], asked["tried"])
            for name, asked in answer["suites"].items()} == {
        "trixie-backports": (True, "7.3.5-1~bpo13+1", True), "testing": (True, "7.3.5-1", False),
        "unstable": (True, "7.4.1-1", True), "experimental": (True, "7.5~rc3-1~exp1", True)}
    assert answer["kernels"][-1]["release"] == "7.5~rc3"


def test_suite_is_missing(tree, archive):
    """A mirror need not have all suites: that is told, and the others are tried."""
    fill(archive, V734, V741)
    suite(archive, "unstable", "7.5.1-1")
    status, answer, called, _ = canary(tree)
    assert status == 0
    assert [asked["answered"] for asked in answer["suites"].values()] == [True, False, True, False]
    assert called[-1] == "kunit kunit 7.5 7.5.1-1"


@pytest.mark.parametrize("what", ["does-not-build", "kunit"])
def test_fails(tree, archive, what):
    """Something did not build, or a test failed: the others are tried all the same."""
    fill(archive, V734, V741)
    suite(archive, "testing", "7.5.1-1")
    result(tree, f"{V741}.{what}", "4 passed, 1 failed\n")
    status, answer, called, said = canary(tree)
    assert (status, len(called)) == (1, 3)
    stock, own, other = answer["kernels"]
    assert (own["passed"], other["passed"]) == (False, True)
    if what == "kunit":
        assert (stock["passed"], own["built"], own["kunit"]) == (
            True, True, {"passed": 4, "failed": 1})
    else:
        assert not stock["passed"] and not stock["built"] and not own["built"]
        assert stock["complaint"] == ["error: an interface that is gone"]
        assert stock["log"] == "out/canary/trixie-backports/out/log/module-build.log"
        assert f"{V741}, row debian: NOT BUILT; see {stock['log']}\n" in said
    assert said.endswith("canary: something did not build or pass; out/canary/canary.json\n")


def test_no_tests(tree, archive):
    """No test has passed where none was run."""
    fill(archive, V734, V741)
    result(tree, f"{V741}.kunit", "0 passed, 0 failed\n")
    assert canary(tree)[0] == 1


def test_no_module(tree, archive):
    """Nothing is built where there is no module, whatever was said."""
    fill(archive, V734, V741)
    result(tree, f"{V741}.no-module")
    status, answer, *_ = canary(tree)
    assert status == 1
    assert [kernel["built"] for kernel in answer["kernels"]] == [False, False]


@pytest.mark.parametrize("there", [True, False], ids=["empty", "dead"])
def test_nothing(tree, archive, there):
    """Nothing could be fetched."""
    if there:
        archive.index()
    status, answer, called, said = canary(tree)
    assert (status, answer["kernels"], called) == (2, [], [])
    assert answer["suites"]["trixie-backports"] == {
        "answered": there, "newest": None, "tried": False}
    assert said.endswith("canary: nothing could be fetched; out/canary/canary.json\n")


def test_packages_are_missing(tree, archive):
    """The list of packages promises what the archive does not have."""
    fill(archive, V734, V741)
    for path in archive.pool.glob(f"*{V741}*"):
        path.unlink()
    status, answer, *_ = canary(tree)
    assert status == 2
    assert [kernel["fetched"] for kernel in answer["kernels"]] == [False, False]


def test_backports_are_dead(tree, archive):
    """Only a next suite answers: what it has is tried, but not all was."""
    suite(archive, "unstable", "7.5.1-1")
    status, answer, called, _ = canary(tree)
    assert (status, called) == (1, ["kunit kunit 7.5 7.5.1-1"])
    assert answer["kernels"][0]["passed"]


def test_interfaces(tree, archive):
    """What is new is told per interface, as against the preferred kernel."""
    fill(archive, V734, V741)
    tree.run("apt-get", "update")
    tree.resolve()
    (tree.directory / "rust/compat").mkdir(parents=True)
    for name in ("dma", "probe", "probe_data"):
        (tree.directory / f"rust/compat/{name}.rs").touch()
    known = "".join(f"--check-cfg=cfg({form})\n" for form in (
        "has_probe_data_new", "has_probe_data_old", "has_probe_old", "has_dma_old"))
    result(tree, f"{V734}.interfaces", known + "--cfg has_dma_old\n--cfg has_probe_data_old\n")
    result(tree, f"{V741}.interfaces", known + "--cfg=has_dma_old\n--cfg=has_probe_data_new\n")
    status, _, said = tree.run("scripts/canary.py")[:3]
    answer = json.loads((tree.directory / "out/canary/canary.json").read_text())
    assert status == 0
    for kernel in answer["kernels"]:
        assert kernel["interfaces"] == {
            "probe_data": {"new": ["has_probe_data_new"], "gone": ["has_probe_data_old"]}}
    assert (f"canary: {V741}, row debian: interface probe_data: has_probe_data_new in place of "
            "has_probe_data_old\n") in said


def test_again(tree, archive):
    """What earlier runs have left of other versions is removed."""
    fill(archive, V734, V741)
    canary(tree)
    fill(archive, "7.4.2-1~bpo13+1")
    canary(tree)
    cache = tree.directory / "out/canary/cache"
    assert [path.name for path in (cache / "sources").iterdir() if path.is_dir()] == [
        "7.4.2-1~bpo13+1-abc"]
    assert sorted(path.name for path in (cache / "kernels").iterdir()) == [
        "debian-7.4.2-1~bpo13+1", "kunit-7.4.2-1~bpo13+1"]


@pytest.mark.long
def test_real(tmp_path, archive):
    """With the preferred kernel, which every run has: it is not made a second time."""
    row = Row.find("debian")
    fill(archive, row.version)
    tree = Tree(tmp_path / "tree", [("backports", row.version, SNAPSHOT, RUSTC)], archive,
                tmp_path / "dated", cache=row.directory.parent.parent)
    tree.keep_row("debian")
    tree.add_module()
    try:
        status, _, said = tree.run("scripts/canary.py")
        assert status == 0, said
        kernel, = json.loads((tree.directory / "out/canary/canary.json").read_text())["kernels"]
        assert (kernel["release"], kernel["built"]) == (row.release, True)
        assert not list((tree.directory / "out/canary/cache").iterdir())
    finally:
        tree.forget()
