# SPDX-License-Identifier: GPL-2.0
"""What make matrix takes from make test: the same tree, the same kernel, and no failure hidden."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import matrix
import record
from record import RUN
from report import Result

ROW = SimpleNamespace(name="one", directory=Path("/cache/kernels/one-7.3-abc"), kind="own",
                      release="7.3.4", tested=True,
                      config=lambda: {"RUSTC_VERSION_TEXT": '"rustc 1.85.1 (Debian)"'})
LEARNT = {"loaded": True, "page_size": 16384, "not_possible": ["no line", "no line"]}


@pytest.fixture(name="tree")
def fixture_tree(tmp_path, monkeypatch):
    """A clone of two files, with what .gitignore names and with a record of its state."""
    monkeypatch.setattr(record, "CLONE", tmp_path)
    monkeypatch.setattr(record, "RECORD", tmp_path / "out/test/rows.json")
    for name, text in {".gitignore": "# products\n/out/\n/a.ko\n*.o\n", "src/a.rs": "a",
                       "b": "b"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "out/test").mkdir(parents=True)
    monkeypatch.setenv(record.STATE, record.state())
    record.write(tmp_path / "out/test", {"one": {"words": ["core"]}})
    return tmp_path


def test_products_are_not_the_tree(tree):
    for name in ("a.ko", "src/a.o", "out/x", ".git"):
        (tree / name).write_text("x", encoding="utf-8")
    assert record.read() == {"one": {"words": ["core"]}}


@pytest.mark.parametrize("change", [
    lambda tree: (tree / "src/a.rs").write_text("A", encoding="utf-8"),
    lambda tree: (tree / "c").write_text("", encoding="utf-8"),
    lambda tree: (tree / "b").rename(tree / "src/b"),
    lambda tree: (tree / "b").chmod(0o755)], ids=["content", "new", "name", "mode"])
def test_another_tree(tree, change):
    change(tree)
    assert record.read() == {}
    # Nor does a run say anything of a tree that has changed meanwhile.
    record.RECORD.unlink()
    record.write(tree / "out/test", {"one": {}})
    assert not record.RECORD.exists() and record.read() == {}


def found(words, *results, kunit=()):
    """The entry of a row that has run end-to-end tests and KUnit cases, with (marks, whether it
    failed) each.
    """
    return record.entry(ROW, words, [
        Result("test", RUN if marks == RUN else suite, "one", marks, failed, 1.0)
        for suite, cases in (("kunit", kunit), ("e2e", results))
        for marks, failed in cases], LEARNT)


def test_only_what_is_asked_for_counts():
    words = ["kunit", "core"]
    had = found(["all", "kunit"], ("core edges", False), ("", True), ("storms", True),
                kunit=[("", False)])
    entry = matrix.result("one", words, ROW, 1.0, had, record.entry(ROW, words, [], {}))
    assert (entry["kunit"], entry["e2e"]) == \
        ({"passed": 1, "failed": 0}, {"passed": 1, "failed": 0})
    assert (entry["rustc"], entry["page_size"], entry["seconds"]) == ("1.85.1", 16384, 5.0)
    assert entry["not_possible"] == ["no line (2 tests)"]
    assert matrix.wrong(entry, words) == []


def test_reasons_of_both_runs_are_added():
    had, new = found(["core"], ("core", False)), found(["storms"], ("storms", False))
    entry = matrix.result("one", ["core", "storms"], ROW, 0.0, had, new)
    assert entry["not_possible"] == ["no line (4 tests)"]


def test_what_make_test_did_not_run_is_missing():
    assert matrix.missing(["core", "storms"], ["core", "storm"]) == ["storms"]
    assert matrix.missing(["kunit", "core"], ["all", "setup"]) == ["kunit"]
    assert matrix.missing(["core"], ["all"]) == []
    # Of the boards' trees make test tries thirty, and of the long tests of set-up none.
    assert matrix.missing(["core", "boards", "long"], ["all", "boards", "setup"]) == [
        "boards", "long"]
    assert matrix.to_run(["core", "storms"], ["core", "storm"]) == ["storms", "!core", "!storm"]
    assert matrix.to_run(["core", "boards"], ["all"]) == ["boards"]
    assert matrix.to_run(["kunit", "all"], ["kunit", "core", "wide"]) == ["all", "!core", "!wide"]


def test_another_kernel():
    assert matrix.known_of("one", ROW, {"one": found(["core"], ("core", False))})["e2e"]
    other = SimpleNamespace(directory=Path("/cache/kernels/one-7.3-def"))
    assert not matrix.known_of("one", other, {"one": found(["core"], ("core", False))})["e2e"]


@pytest.mark.parametrize("row, words, entry, said", [
    (None, ["core"], found(["core"]), "was not built"),
    (ROW, ["core"], found(["core"], ("core", True), ("core", False)), "1 tests of e2e failed"),
    (ROW, ["core"], found(["core"], (RUN, True), ("core", False)), "1 tests of e2e failed"),
    (ROW, ["core"], found(["core"]), "no test of e2e passed"),
    (ROW, ["kunit", "core"], found(["core"], ("core", False)), "no test of kunit passed"),
    (ROW, ["core"], found(["core"], ("core", False)) | {"loaded": False}, "was not loaded")])
def test_what_is_wrong(row, words, entry, said):
    nothing = record.entry(ROW, words, [], {})
    assert matrix.wrong(matrix.result("one", words, row, 0.0, nothing, entry), words) == [said]


def test_what_is_wrong_beyond_make_test():
    def results(**failed):
        return record.entry(ROW, [], [Result("test", suite, "one", "", fails, 1.0)
                                      for suite, fails in failed.items()], {})
    assert matrix.wrong_beyond(matrix.NOTHING, ["core"]) == []
    words = ["core", "boards", "long"]
    assert matrix.wrong_beyond(matrix.NOTHING, words) == [
        "no test of boards was run", "no test of setup was run"]
    assert matrix.wrong_beyond(results(boards=False, setup=True), words) == [
        "1 tests of setup failed"]
    assert matrix.wrong_beyond(results(boards=False, setup=False), words) == []
