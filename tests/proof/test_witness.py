"""The witness's own word: what differs, what does not, without a judge."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from rehearsal.proof.rivals import Rivals
from rehearsal.proof.witness import Witness, list_set
from rehearsal.tampering.operators import Operator

SUM = "a" * 64
MARK = "storage/ab/marker"


def listing(*paths: str, sha256: str = SUM) -> str:
    return "\0".join(
        [f"{path}\tf\t644\t1000:1000\t" for path in paths]
        + [f"{path}\t3" for path in paths]
        + [f"{sha256}  {path}" for path in paths]
    )


def witness(differs: Literal["content", "set", "procedure"], **seen: Any) -> Witness:
    operator = dataclasses.replace(Operator(name="x"), differs=differs)
    return dataclasses.replace(Witness(operator), **seen)


def test_nothing_struck_is_no_mutant() -> None:
    assert not witness("procedure").differs(())
    assert witness("procedure").differs(("session-db",))


def test_content_differs_by_what_the_stores_hold_and_not_by_marks() -> None:
    before = {"file-storage-0": listing("storage/a")}
    assert not witness("content", before=before, after=dict(before)).differs(("a",))
    assert witness("content", before=before, after={"file-storage-0": listing("storage/a", "storage/b")}).differs(
        ("a",)
    )
    with_mark = {"file-storage-0": listing("storage/a", MARK)}
    assert witness("content", before=before, after=with_mark).differs(("a",))
    assert not witness("content", before=before, after=with_mark).differs(("a",), (MARK,))
    assert witness("content", before={"auth": "1" * 64}, after={"auth": "2" * 64}).differs(("auth",), (MARK,))
    assert witness("content", before={"auth": "1" * 64}, after={}).differs(("auth",))


def test_a_set_differs_by_its_bytes_names_and_kinds(tmp_path: Path) -> None:
    stage: Any = SimpleNamespace(backup_folder=tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"abc")
    intact = list_set(stage)
    assert not witness("set", set_before=intact, set_after=list_set(stage)).differs(("a",))
    (tmp_path / "folder" / "a").write_bytes(b"abd")
    assert witness("set", set_before=intact, set_after=list_set(stage)).differs(("a",))
    (tmp_path / "folder" / "a").write_bytes(b"abc")
    (tmp_path / "folder" / "a").rename(tmp_path / "folder" / "A")
    assert witness("set", set_before=intact, set_after=list_set(stage)).differs(("a",))
    (tmp_path / "folder" / "a").symlink_to("A")
    (tmp_path / "folder" / "A").rename(tmp_path / "A")
    assert witness("set", set_before=intact, set_after=list_set(stage)).differs(("a",))


@pytest.mark.parametrize(("after", "seen"), [(SUM, False), ("b" * 64, True)])
def test_the_sample_sees_what_it_draws(after: str, seen: bool) -> None:
    before = {"file-storage-0": listing("storage/a", MARK)}
    rivals = Rivals(witness("content", before=before, after={"file-storage-0": listing("storage/a", sha256=after)}), 1)
    record: Any = SimpleNamespace(
        stores=[SimpleNamespace(name="file-storage-0", lost=True, kind="files")],
        commands=[SimpleNamespace(phase="restore", status=0), SimpleNamespace(phase="back up", status=1)],
    )
    concluded = rivals.conclude(record, (MARK,))
    assert concluded["1 % of files"] is seen
    assert concluded["psql status"] is False
    assert concluded["row counts"] is None
