# SPDX-License-Identifier: GPL-2.0
"""Which kernel is taken when the archive moves: made-up archives, no network."""

import hashlib
import os
import shutil

import pytest

from archive import RUSTC, SNAPSHOT, SUITE, Archive, Tree, fill, run
from guest.row import Row

# Version of the archive's package -> line of scripts/kernel/tested.
V734, V7212, V739, V741 = (f"{version}-1~bpo13+1" for version in
                           ("7.3.4", "7.2.12", "7.3.9", "7.4.1"))
OLD = f"5.0.{os.getpid()}-1"
HEADERS = f"linux-headers-7.3.4+deb13-arm64:arm64={V734}"
TESTED = [("backports", V734, SNAPSHOT, RUSTC), ("backports", V7212, SNAPSHOT, RUSTC),
          ("6.18", "6.18.15-1~bpo13+1", SNAPSHOT, "-")]


@pytest.fixture(name="archive")
def fixture_archive(tmp_path):
    """The archive as it is now; empty."""
    return Archive(tmp_path / "archive")


@pytest.fixture(name="dated")
def fixture_dated(tmp_path):
    """Where dated copies are."""
    return tmp_path / "dated"


@pytest.fixture(name="tree")
def fixture_tree(tmp_path, archive, dated):
    """A tree that names 7.3.4 as preferred and 7.2.12 as tested too."""
    return Tree(tmp_path / "tree", TESTED, archive, dated)


def test_preferred(tree, archive):
    """A newer series does not matter."""
    fill(archive, V7212, V734, V739, V741)
    record, said = tree.resolve()
    assert record == {"RELEASE": "7.3.4+deb13-arm64", "VERSION": V734, "SERIES": "7.3",
                      "REMARK": "''"}
    assert "kernel, backports: 7.3.4+deb13-arm64, package version" in said
    assert tree.remarks() == ""


def test_warm(tree, archive):
    """What is recorded needs no archive."""
    fill(archive, V734)
    first, _ = tree.resolve()
    shutil.rmtree(archive.directory)
    assert tree.resolve() == (first, "")


def test_preferred_vanished(tree, archive):
    fill(archive, V7212, V739, V741)
    record, said = tree.resolve()
    assert record["VERSION"] == V7212
    remark = (f"kernel, backports: {V7212}, as the preferred {V734} cannot be had; "
              "this tree was tested on both\n")
    assert said.endswith(remark)
    assert tree.remarks() == remark


def test_half_arrived(tree, archive):
    """Sources come before images: what has no image is not there yet."""
    fill(archive, V7212)
    archive.kernel(V734, image=False)
    archive.kernel(V741, image=False)
    archive.index()
    assert tree.resolve()[0]["VERSION"] == V7212


@pytest.mark.parametrize("missing", ["linux-headers", "linux-modules", "linux-source"])
def test_incomplete(tree, archive, missing):
    fill(archive, V7212, V734)
    for path in archive.pool.glob(f"{missing}-7.3*"):
        path.unlink()
    archive.index()
    assert tree.resolve()[0]["VERSION"] == V7212


def test_newest_of_tested_series(tree, archive):
    """Both series are named as tested; of the newer one, 7.3.10 has no image yet."""
    fill(archive, "7.2.20-1~bpo13+1", V739, V741)
    archive.kernel("7.3.10-1~bpo13+1", image=False)
    archive.index()
    record, said = tree.resolve()
    assert record["VERSION"] == V739
    remark = (f"kernel, backports: {V739}, as the preferred {V734} cannot be had; "
              "this tree was NOT TESTED on it (make update asks the archive anew)\n")
    assert said.endswith(remark)
    assert tree.remarks() == remark


def test_newest(tree, archive):
    fill(archive, "7.0.13-1~bpo13+1", V741)
    record, _ = tree.resolve()
    assert record["VERSION"] == V741
    assert "NOT TESTED" in tree.remarks()


def test_nothing(tree, archive):
    archive.index()
    status, output, said = tree.run("scripts/kernel/resolve.sh", "backports")
    assert (status, output) == (1, "")
    assert said.splitlines()[-1] == (
        "alloclab: kernel, backports: no version of it can be had: neither one that this tree "
        f"was tested on ({V734}, {V7212}) nor another. Try again when the archive can be reached.")
    assert not list((tree.cache / "versions").glob("backports*"))


def download(tree, *arguments, version=V734):
    """Have scripts/setup/archive.sh download a version's packages; return what came."""
    directory = tree.directory / "downloads"
    directory.mkdir()
    status, _, said = tree.run(
        "bash", "-euc", '. scripts/setup/lib.sh; . scripts/setup/archive.sh; download "$@"', "bash",
        "a download", directory, version, *arguments)
    assert status == 0, said
    return [path.name for path in directory.iterdir()]


@pytest.mark.parametrize("expired", [False, True], ids=["valid", "expired"])
def test_dated(tree, archive, dated, expired):
    """No tested version is in the archive: the dated copy has it, however old its Release."""
    fill(archive, V741)
    copy = fill(Archive(dated / SNAPSHOT), V7212, V734)
    copy.index(valid_days=-100 if expired else 7)
    record, said = tree.resolve()
    assert record["VERSION"] == V734 and record["REMARK"] == "''"
    assert f"the archive no longer has {V734}; its dated copy has it" in said
    assert len(download(tree, "download", HEADERS)) == 1


def test_dated_source(tree, archive, dated):
    fill(archive, V741)
    fill(Archive(dated / SNAPSHOT), V734)
    names = download(tree, "source", "--download-only", "--tar-only", f"linux={V734}")
    assert names == ["linux_7.3.4.orig.tar.xz"]


def test_dated_elsewhere(tree, archive, dated, tmp_path):
    """Our variable names another address."""
    fill(archive, V741)
    fill(Archive(tmp_path / "elsewhere" / SNAPSHOT), V734)
    tree.environment["ALLOCLAB_SNAPSHOTS"] = f"copy:{tmp_path}/elsewhere/@SNAPSHOTID@"
    assert not dated.exists()
    assert tree.resolve()[0]["VERSION"] == V734


@pytest.mark.parametrize("address", ["copy:/nowhere", "copy:/no where/@SNAPSHOTID@"])
def test_dated_address_is_none(tree, archive, address):
    """What the variable may be is said, and the next best is taken."""
    fill(archive, V741)
    tree.environment["ALLOCLAB_SNAPSHOTS"] = address
    record, said = tree.resolve()
    assert record["VERSION"] == V741
    assert f"archive: '{address}' is not the address of dated copies: set ALLOCLAB_SNAP" in said


def test_vanished_after_it_was_recorded(tree, archive, dated):
    """The list of packages is older than the archive: the dated copy is asked."""
    fill(archive, V734)
    tree.resolve()
    archive.remove(V734)
    fill(Archive(dated / SNAPSHOT), V734)
    assert len(download(tree, "download", HEADERS)) == 1


def test_dated_dead(tree, archive):
    """The dated copy does not answer: that is said, and the next best is taken."""
    fill(archive, V739)
    record, said = tree.resolve()
    assert record["VERSION"] == V739
    assert f"archive: dated copy of {SNAPSHOT}: " in said
    assert "NOT TESTED" in said.splitlines()[-1]


def test_archive_expired(tree, archive):
    """Nobody keeps the mirror up: said, and what is known of it is used."""
    fill(archive, V7212)
    tree.run("apt-get", "update")
    fill(archive, V734).index(valid_days=-1)
    record, said = tree.resolve()
    assert record["VERSION"] == V7212
    assert "archive: current versions: the archive's list of packages has expired" in said


def test_archive_fresh(tree, archive):
    """The list of packages is older than the tree: it is asked for anew."""
    fill(archive, V7212)
    tree.run("apt-get", "update")
    fill(archive, V734)
    assert tree.resolve()[0]["VERSION"] == V734


def test_series(tree, archive):
    """An own kernel needs the source alone, of its series alone."""
    for version in ("6.18.12-1~bpo13+1", "6.18.15-1~bpo13+1", "6.18.20-1~bpo13+1", "6.19.1-1"):
        archive.source(version)
    fill(archive, V734)
    assert tree.resolve("6.18")[0] == {"RELEASE": "6.18.15", "VERSION": "6.18.15-1~bpo13+1",
                                       "SERIES": "6.18", "REMARK": "''"}


def test_series_moved(tree, archive):
    archive.source("6.18.20-1~bpo13+1")
    archive.source("6.19.1-1~bpo13+1")
    archive.index()
    assert tree.resolve("6.18")[0]["VERSION"] == "6.18.20-1~bpo13+1"
    assert "NOT TESTED" in tree.remarks("6.18")


def test_series_gone(tree, archive):
    """Another series would be another row."""
    fill(archive, V734)
    status, _, said = tree.run("scripts/kernel/resolve.sh", "6.18")
    assert status == 1
    assert "alloclab: kernel, 6.18: no version of it can be had" in said


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "not listed"])
def test_source_kept(tree, archive, listed):
    """The source is gone, but the archive keeps the package that has it too."""
    version = "6.18.15-1~bpo13+1"
    archive.source(version)
    archive.package("linux-source-6.18", version, "all")
    package, = archive.pool.glob("linux-source-6.18_*")
    content = package.read_bytes()
    if not listed:
        archive.remove(version)
    fill(archive, V734)
    archive.remove(version)
    tree.name([("6.18", version, SNAPSHOT, "-", hashlib.sha256(content).hexdigest())])

    # Another than the tree names.
    package.write_bytes(content + b".")
    status, _, said = tree.run("scripts/kernel/resolve.sh", "6.18")
    assert f"archive: {package.name}, which it does not list: " in said or listed
    assert status == (0 if listed else 1)

    package.write_bytes(content)
    record, _ = tree.resolve("6.18")
    assert (record["VERSION"], record["REMARK"]) == (version, "''")
    if listed:
        names = download(tree, "source", "--download-only", "--tar-only", f"linux={version}",
                         version=version)
        assert names == ["linux-source.deb"]
    else:
        taken = tree.cache / "debs" / version / "linux-source.deb"
        assert taken.read_bytes() == content


def test_two_trees(tree, archive, dated, tmp_path):
    """Trees that name different versions share the cache, each with its own choice."""
    fill(archive, V7212, V734)
    other = Tree(tmp_path / "other", TESTED[1:], archive, dated)
    assert tree.resolve()[0]["VERSION"] == V734
    assert other.resolve()[0]["VERSION"] == V7212
    assert tree.resolve()[0]["VERSION"] == V734
    assert other.remarks() == tree.remarks() == ""


def test_old_tree(tree, archive):
    """An old state of the tree gets its kernel while the cache has it."""
    fill(archive, V741)
    _, key, _ = tree.run(
        "bash", "-c", ". scripts/setup/lib.sh; . scripts/kernel/recipes.sh; source_key backports")
    (tree.cache / "sources" / f"{V7212}-{key.strip()}").mkdir(parents=True)
    (tree.cache / "debs" / V7212).mkdir(parents=True)
    (tree.cache / "debs" / V7212 / "linux-binary-7.2.12+deb13-arm64.deb").touch()
    assert tree.resolve()[0]["VERSION"] == V741
    tree.name(TESTED[1:2])
    (tree.cache / "debs" / V7212 / "linux-headers-7.2.12+deb13-arm64.deb").touch()
    record, _ = tree.resolve()
    assert (record["VERSION"], record["RELEASE"]) == (V7212, "7.2.12+deb13-arm64")


def test_another_rustc(tree, archive):
    """A stock kernel takes modules of the rustc that built it only."""
    tree.name([("backports", V734, SNAPSHOT, "9.99.0"), TESTED[1]])
    fill(archive, V7212, V734)
    record, said = tree.resolve()
    assert record["VERSION"] == V7212
    assert f"{V734} needs rustc 9.99.0, which the build root does not have" in said


def test_untested_kernel_of_another_rustc(tree, archive):
    """It is refused before its source is downloaded, with the reason and the remedy."""
    fill(archive, V739, rustc="9.99.0")
    status, _, said = tree.run("scripts/kernel/kernel.sh", "dir", "debian")
    assert status == 1
    here = run("rustc", "--version").strip()
    assert said.splitlines()[-1].startswith(
        f"alloclab: kernel debian: Debian built {V739} with 'rustc 9.99.0 (made up)', and the "
        f"build root has '{here}', but a Rust module needs the very same compiler: use a ")
    assert not (tree.cache / "sources").exists()


@pytest.mark.parametrize("there", [True, False], ids=["there", "dead"])
def test_rustc_of_the_root(tree, archive, dated, tmp_path, there):
    """Where the suite has another rustc by now, the dated copy's is installed."""
    archive.index()
    if there:
        copy = Archive(dated / SNAPSHOT, SUITE)
        for version in ("1.99.0+dfsg1-1", f"{RUSTC}+dfsg1-1"):
            for name in ("rustc", "rust-src", "rustfmt", "rust-clippy", "rust-analyzer", "cargo"):
                copy.package(name, version, "amd64")
        copy.index()
    fake = tmp_path / "bin/rustc"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho rustc 9.99.0 '(made up)'\n")
    fake.chmod(0o755)
    path = f"{fake.parent}:{tree.environment['PATH']}"
    with open(tree.environment["APT_CONFIG"], "a", encoding="utf-8") as configuration:
        configuration.write('APT::Get::Simulate "true";\n')
    status, _, said = tree.run("scripts/setup/rustc.sh", PATH=path)
    assert status == 0, said
    assert f"the archive has rustc 9.99.0 by now, but {V734} was built with {RUSTC}" in said
    log = tree.directory / f"out/log/build-root-rustc-{RUSTC}.log"
    if there:
        installed = [line.split()[1:3] for line in log.read_text(encoding="utf-8").splitlines()
                     if line.startswith("Inst ")]
        assert sorted(installed) == [[name, f"({RUSTC}+dfsg1-1"] for name in
                                     ("cargo", "rust-analyzer", "rust-clippy", "rust-src",
                                      "rustc", "rustfmt")]
    else:
        assert said.splitlines()[-1].startswith("build root: going on with rustc 9.99.0: only")
        assert not log.exists()


@pytest.fixture(name="newer")
def fixture_newer(tmp_path, archive, dated):
    """A tree that does not know the kernel which this one prefers, the only one there is."""
    row = Row.find("debian")
    fill(archive, row.version)
    # The real cache, which has that kernel; other clones may run this test now.
    tree = Tree(tmp_path / "tree", [("backports", OLD, SNAPSHOT, RUSTC)], archive, dated,
                cache=row.directory.parent.parent)
    tree.add_module()
    yield tree
    tree.forget()


def test_untested_demo(newer):
    """What was not tested is said first and last, and in the summary; the boot is noted."""
    booted = Row.find("debian").directory / "booted"
    booted.unlink(missing_ok=True)
    status, _, said = newer.run("scripts/task.sh", "demo")
    assert status == 0, said
    assert newer.remarks()
    assert said.endswith(newer.remarks()) and said.count(newer.remarks()) == 2
    summary = (newer.directory / "out/demo/summary.json").read_text(encoding="utf-8")
    assert '"tested": false' in summary
    assert booted.exists()


def test_untested_trees(newer):
    """The boards' trees are of that version, too."""
    newer.resolve()
    newer.replace("kernel/kernel.sh", "echo nowhere")
    status, _, said = newer.run("scripts/task.sh", "overlay", "", "", "")
    assert status == 1 and "say which board" in said
    assert newer.remarks()
    assert said.endswith(newer.remarks()) and said.count(newer.remarks()) == 2


def test_module_for_a_newer_kernel(newer):
    """A module that does not build: one sentence, then what the compiler said."""
    with open(newer.directory / "src/lab.rs", "a", encoding="utf-8") as source:
        source.write('compile_error!("an interface that is gone");\n')
    status, _, said = newer.run("scripts/task.sh", "build", "debian")
    assert status == 1
    sentence, _, compiler = said.partition(" The compiler said:\n")
    assert "is newer than this tree, and the module does not build for it." in sentence
    assert f"It is known to work with {OLD}." in sentence
    assert compiler.startswith("error: an interface that is gone\n")
    assert said.endswith(newer.remarks())
