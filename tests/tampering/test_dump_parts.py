"""The landmarks of a dump are where they are said to be, and nothing that only looks like one is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prepared_set import SMALL_DUMP

from rehearsal.tampering.dump_parts import (
    Dump,
    name_objects,
    read_dump,
    read_rows,
    strip_removals,
    write_lines_anew,
    write_over,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    copy = tmp_path / "session-db.sql"
    copy.write_bytes(SMALL_DUMP.read_bytes())
    return copy


@pytest.fixture
def dump(path: Path) -> Dump:
    return read_dump(path)


def test_every_table_is_found_with_its_rows(dump: Dump, path: Path) -> None:
    counts = {rows.table: rows.count for rows in dump.rows}
    assert counts == {
        "public.dataset": 2,
        "public.news": 0,
        "public.session": 2,
        "rehearsal_extras.mark": 1,
        "rehearsal_extras.no_key": 34,
    }
    assert [rows.table for rows in dump.filled()] == ["public.dataset", "public.session", "rehearsal_extras.no_key"]
    for rows in dump.rows:
        assert len(read_rows(path, rows)) == rows.count
        assert path.read_bytes()[rows.end :].startswith(b"\\.\n")


def test_entries_reach_from_one_to_the_next(dump: Dump, path: Path) -> None:
    text = path.read_bytes()
    assert [entry.name for entry in dump.of_kind("CONSTRAINT", "INDEX")] == [
        "dataset dataset_pkey",
        "session session_pkey",
        "dataset_fileid_index",
    ]
    for entry, following in zip(dump.entries, dump.entries[1:], strict=False):
        assert text[entry.start :].startswith(b"--\n-- ")
        assert entry.end == following.start
    assert dump.entries[-1].end == dump.trailer
    assert dump.trailer is not None
    assert text[dump.trailer :].startswith(b"--\n-- PostgreSQL database dump complete\n")


def test_what_only_looks_like_an_entry_is_none(dump: Dump) -> None:
    assert [entry.name for entry in dump.entries if entry.name.startswith("no")] == ["no_key", "no_key"]


def test_keys_types_and_objects(dump: Dump, path: Path) -> None:
    assert dump.keys == {"public.dataset": ("sessionid", "datasetid"), "public.session": ("sessionid",)}
    assert dump.types["public.session"] == {
        "sessionid": "uuid NOT NULL",
        "name": "character varying(255)",
        "notes": "oid",
    }
    assert dump.written == {"20001"}, "20002 is empty"
    assert name_objects(path, dump) == "public.dataset"
    assert name_objects(path, dump, dump.written) == "public.session"


def test_without_its_removals_a_dump_begins_with_its_first_entry(path: Path) -> None:
    strip_removals(path)
    text = path.read_bytes()
    assert b"DROP" not in text
    assert b"lo_unlink" not in text
    assert text.count(b"CREATE TABLE") == 5
    assert b"SET row_security = off;\n\n--\n-- Name: rehearsal_extras; Type: SCHEMA" in text


def test_bytes_are_replaced_where_they_lie(path: Path) -> None:
    before = path.read_bytes()
    write_over(path, 10, 12, b"three")
    assert path.read_bytes() == before[:10] + b"three" + before[12:]


def test_lines_that_stay_the_same_are_no_change(path: Path) -> None:
    before = path.read_bytes()
    assert not write_lines_anew(path, bytes)
    assert path.read_bytes() == before
    assert write_lines_anew(path, bytes.upper)
    assert path.read_bytes() == before.upper()


def test_a_dump_that_is_cut_gives_what_is_there(path: Path, dump: Dump) -> None:
    path.write_bytes(path.read_bytes()[: dump.rows[2].start + 5])
    cut = read_dump(path)
    assert [rows.table for rows in cut.rows] == ["public.dataset", "public.news"]
    assert cut.trailer is None
    assert cut.entries[-1].end == path.stat().st_size


def test_an_empty_file_is_a_dump_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.sql").touch()
    assert read_dump(tmp_path / "empty.sql") == Dump()
