"""Line files are verified before they are read, and merged in one pass."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.errors import EnvironmentUnfit
from rehearsal.evidence import merge_lines, verify_lines
from rehearsal.inventory import LineFile


def keep(folder: Path, name: str, lines: list[str]) -> LineFile:
    text = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(text)
    return LineFile(path=name, lines=len(lines), sha256=hashlib.sha256(text).hexdigest())


def merge(folder: Path, left: list[str] | None, right: list[str] | None) -> tuple[int, list[tuple[str, str, str]]]:
    found = []

    def judge(key: bytes, expected: bytes | None, present: bytes | None) -> None:
        found.append((key.decode(), (expected or b"-\n").decode()[:-1], (present or b"-\n").decode()[:-1]))

    looked_at = merge_lines(
        None if left is None else keep(folder, "left", left),
        None if right is None else keep(folder, "right", right),
        folder,
        lambda line: line.split(b"\t")[0].rstrip(b"\n"),
        judge,
    )
    return looked_at, found


def test_missing_extra_and_changed(tmp_path: Path) -> None:
    looked_at, found = merge(tmp_path, ["a\t1", "b\t1", "d\t1"], ["a\t1", "b\t2", "c\t1", "e\t1"])
    assert looked_at == 5
    assert found == [("b", "b\t1", "b\t2"), ("c", "-", "c\t1"), ("d", "d\t1", "-"), ("e", "-", "e\t1")]


def test_a_file_that_was_never_kept_is_empty(tmp_path: Path) -> None:
    assert merge(tmp_path, None, ["a\t1"]) == (1, [("a", "-", "a\t1")])
    assert merge(tmp_path, ["a\t1"], None) == (1, [("a", "a\t1", "-")])
    assert merge(tmp_path, None, None) == (0, [])


def test_equal_lines_are_a_multiset(tmp_path: Path) -> None:
    assert merge(tmp_path, ["a", "a", "b"], ["a", "b", "b"]) == (4, [("a", "a", "-"), ("b", "-", "b")])


words = st.lists(st.sampled_from("abcdefgh"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(words, words)
def test_a_merge_is_the_difference_of_two_multisets(
    tmp_path_factory: pytest.TempPathFactory, left: list[str], right: list[str]
) -> None:
    _, found = merge(tmp_path_factory.getbasetemp(), sorted(left), sorted(right))
    for word in "abcdefgh":
        gone = sum(1 for key, _, present in found if key == word and present == "-")
        come = sum(1 for key, expected, _ in found if key == word and expected == "-")
        assert gone - come == left.count(word) - right.count(word)
        assert not (gone and come)


@pytest.mark.parametrize("content", [b"a\n", b"a\nb", b"a\nB\n", b"a\nb\nc\n", b""])
def test_a_cut_or_edited_file_is_named(tmp_path: Path, content: bytes) -> None:
    evidence = keep(tmp_path, "rows", ["a", "b"])
    verify_lines(evidence, tmp_path)
    (tmp_path / "rows").write_bytes(content)
    with pytest.raises(EnvironmentUnfit, match="cut or edited") as caught:
        verify_lines(evidence, tmp_path)
    assert caught.value.where == str(tmp_path / "rows")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    evidence = keep(tmp_path, "rows", ["a"])
    (tmp_path / "rows").unlink()
    with pytest.raises(EnvironmentUnfit, match="No such file") as caught:
        verify_lines(evidence, tmp_path)
    assert caught.value.where == str(tmp_path / "rows")


def test_both_files_are_verified_even_where_one_is_empty(tmp_path: Path) -> None:
    empty, edited = keep(tmp_path, "empty", []), keep(tmp_path, "edited", ["a"])
    (tmp_path / "edited").write_bytes(b"")
    with pytest.raises(EnvironmentUnfit, match="cut or edited"):
        merge_lines(empty, edited, tmp_path, bytes, lambda *_: None)


def test_an_unsorted_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="not sorted"):
        merge(tmp_path, ["b\t1", "a\t1"], ["c\t1"])


def test_a_line_that_is_none_is_an_error(tmp_path: Path) -> None:
    left, right = keep(tmp_path, "left", ["no tab"]), keep(tmp_path, "right", ["a\t1"])
    with pytest.raises(EnvironmentUnfit, match="cannot be read"):
        merge_lines(left, right, tmp_path, lambda line: line[: line.index(b"\t")], lambda *_: None)
