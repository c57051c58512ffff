"""A file that the backup set held and no inventory listed was uploaded in between: it is explained, and no loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from record_builder import make_files, make_record, write_lines

from rehearsal.backup_set import Artefact, ArtefactState, measure_tree, verify_set
from rehearsal.differences import compare_files
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import Differences, LineFile
from rehearsal.judging import judge
from rehearsal.record import Record
from rehearsal.verdicts import Finding, Verdict

WHOLE = {"ab/ab1": b"one", "cd/cd1": b"two"}
NEW = "bb/bb2"


def list_set(folder: Path, files: dict[str, bytes]) -> LineFile:
    tree = folder / "set"
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    listing: list[bytes] = []
    measure_tree(tree, listing)
    return write_lines(folder, "inventory/set/file-storage-0/entries", [line.decode()[:-1] for line in listing])


def compare(folder: Path, after: dict[str, bytes], in_set: dict[str, bytes] | None) -> Differences:
    held = None if in_set is None else list_set(folder, in_set)
    return compare_files(make_files(folder, "before", WHOLE), make_files(folder, "after", after), folder, 20, held)


def test_an_extra_file_that_the_set_held_is_explained(tmp_path: Path) -> None:
    found = compare(tmp_path, {**WHOLE, NEW: b"new"}, {**WHOLE, NEW: b"new"})
    assert (found.total, found.explained_total, found.compared) == (0, 1, 3)
    assert [(extra.subject, extra.detail) for extra in found.explained] == [(NEW, "file, 3 bytes")]


@pytest.mark.parametrize(
    ("after", "in_set"),
    [
        ({**WHOLE, NEW: b"new"}, None),  # no listing: an old record, or a damaged set
        ({**WHOLE, NEW: b"new"}, WHOLE),  # the set did not hold it
        ({**WHOLE, NEW: b"other"}, {**WHOLE, NEW: b"new"}),  # another size
        ({**WHOLE, NEW: b"NEW"}, {**WHOLE, NEW: b"new"}),  # other bytes
        ({**WHOLE, "bb/bb3": b"new"}, {**WHOLE, NEW: b"new"}),  # the same bytes elsewhere
    ],
)
def test_anything_else_is_a_difference(
    after: dict[str, bytes], in_set: dict[str, bytes] | None, tmp_path: Path
) -> None:
    found = compare(tmp_path, after, in_set)
    assert (found.total, found.explained_total) == (1, 0)
    assert found.named[0].kind == "extra"


def test_the_set_explains_no_missing_and_no_changed_file(tmp_path: Path) -> None:
    found = compare(tmp_path, {"ab/ab1": b"1ne"}, {"ab/ab1": b"1ne"})  # what was backed up was wrong already
    assert [(difference.kind, difference.subject) for difference in found.named] == [
        ("changed", "ab/ab1"),
        ("missing", "cd/cd1"),
    ]


def test_an_edited_listing_is_no_evidence(tmp_path: Path) -> None:
    held = list_set(tmp_path, {**WHOLE, NEW: b"new"})
    (tmp_path / held.path).write_text("")
    with pytest.raises(EnvironmentUnfit, match="cut or edited"):
        compare_files(make_files(tmp_path, "before", WHOLE), make_files(tmp_path, "after"), tmp_path, 20, held)


def test_the_listing_is_sorted_as_inventories_are_and_holds_directories(tmp_path: Path) -> None:
    held = list_set(tmp_path, {"ab/z": b"", "ab-c": b"1", "abc": b"22"})
    lines = [json.loads(line) for line in (tmp_path / held.path).read_text().splitlines()]
    assert [line[:3] for line in lines] == [
        ["ab", "dir", 0],
        ["ab-c", "file", 1],
        ["ab/z", "file", 0],
        ["abc", "file", 2],
    ]


def test_only_a_set_that_is_intact_is_listed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"a")
    size, sha256, _ = measure_tree(tmp_path / "tree")
    whole = Artefact(path="tree", kind="tree", size=size, sha256=sha256, store="file-storage-0")
    kept: list[str] = []
    states = verify_set(tmp_path, [whole], lambda artefact, _: kept.append(artefact.store))
    assert (states[0].intact, kept) == (True, ["file-storage-0"])
    (tmp_path / "tree" / "b").write_bytes(b"smuggled in")
    kept.clear()
    verify_set(tmp_path, [whole], lambda artefact, _: kept.append(artefact.store))
    assert kept == []


def lose_files(folder: Path, after: dict[str, bytes]) -> Record:
    """The builder's perfect record, with file-storage lost in place of session-db."""
    record = make_record(folder)
    database, files = record.stores
    files.lost, database.lost = True, False
    files.loss, database.loss = database.loss, None
    assert database.marker is not None
    assert files.marker is not None
    database.marker.found, files.marker.found = database.marker.written, None
    files.before, files.after = make_files(folder, "before", WHOLE), make_files(folder, "after", after)
    files.set_lines = list_set(folder, {**WHOLE, NEW: b"new"})
    record.artefacts = (ArtefactState(path="x", expected_size=1, found_size=1, expected_sha256="a", found_sha256="a"),)
    return record


def find(folder: Path, record: Record) -> list[Finding]:
    return [finding for finding in judge(record, folder).findings if finding.check == "files"]


def test_a_pass_tells_what_came_with_the_backup(tmp_path: Path) -> None:
    (finding,) = find(tmp_path, lose_files(tmp_path, {**WHOLE, NEW: b"new"}))
    assert finding.verdict is Verdict.PASS
    assert "1 came with the backup, uploaded after the inventory" in finding.message
    assert finding.details == (f"{NEW}: file, 3 bytes, as in the set",)


def test_other_damage_stays_a_failure(tmp_path: Path) -> None:
    (finding,) = find(tmp_path, lose_files(tmp_path, {"ab/ab1": b"one", NEW: b"new"}))
    assert finding.verdict is Verdict.FAIL
    assert "cd/cd1" in finding.subject
