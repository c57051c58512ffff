"""Every difference has a kind, a subject that a person finds, and a detail without values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rehearsal.differences import ASPECTS, compare_databases, compare_files, name_text_change
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import (
    DatabaseInventory,
    Difference,
    Differences,
    FilesInventory,
    LineFile,
    TableInventory,
)

SHA = hashlib.sha256(b"x").hexdigest()
OTHER = hashlib.sha256(b"y").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def keep(folder: Path, lines: list[str]) -> LineFile:
    text = "".join(f"{line}\n" for line in lines).encode()
    path = f"lines-{len(list(folder.iterdir()))}"
    (folder / path).write_bytes(text)
    return LineFile(path=path, lines=len(lines), sha256=hashlib.sha256(text).hexdigest())


def database(tables: dict[str, TableInventory] | None = None, **others: Any) -> DatabaseInventory:
    return DatabaseInventory(
        store="session-db", taken_at="2026-01-01T00:00:00Z", server_version="15", tables=tables or {}, **others
    )


def table(folder: Path, rows: dict[str, int], objects: list[str] | None = None, **others: Any) -> TableInventory:
    """A keyed table with these digests by key."""
    values: dict[str, Any] = {
        "rows": len(rows),
        "digest": str(sum(rows.values())),
        "key": ("id",),
        "row_lines": keep(folder, [f"{json.dumps([key])}\t{rows[key]}" for key in sorted(rows)]),
        "large_object_lines": None if objects is None else keep(folder, objects),
    }
    return TableInventory(**{**values, **others})


def compare(folder: Path, before: TableInventory, after: TableInventory, aspect: str = "rows") -> Differences:
    found = compare_databases(database({"public.t": before}), database({"public.t": after}), folder)
    assert all(not found[name].total for name in ASPECTS if name != aspect)
    return found[aspect]


def test_rows_are_named_by_key(folder: Path) -> None:
    found = compare(folder, table(folder, {"a": 1, "b": 2, "c": 3}), table(folder, {"a": 1, "b": 5, "d": 3}))
    assert found == Differences(
        named=(
            Difference(kind="changed", aspect="rows", subject='public.t ["b"]', detail="the row's digest differs"),
            Difference(kind="missing", aspect="rows", subject='public.t ["c"]', detail="the row is gone"),
            Difference(kind="extra", aspect="rows", subject='public.t ["d"]', detail="a row that was not there"),
        ),
        total=3,
        compared=4,
    )


def columned(folder: Path, rows: dict[str, tuple[int, str]], columns: tuple[str, ...]) -> TableInventory:
    """A keyed table with these digests and columns' hashes by key."""
    lines = [f"{json.dumps([key])}\t{rows[key][0]}\t{rows[key][1]}" for key in sorted(rows)]
    plain = table(folder, {key: digest for key, (digest, _) in rows.items()})
    return plain.model_copy(update={"columns": columns, "row_lines": keep(folder, lines)})


@pytest.mark.parametrize(
    ("found", "columns", "detail"),
    [
        ("80000001 80000009 80000003", ("a", "b", "c"), "column b differs (value hidden; --show-values shows it)"),
        (
            "80000008 80000002 80000009",
            ("a", "b", "c"),
            "columns a, c differ (values hidden; --show-values shows them)",
        ),
        ("80000003 80000001 80000009", ("c", "a", "b"), "column b differs (value hidden; --show-values shows it)"),
        ("80000001 80000002", ("a", "b"), "the row's digest differs: the table has other columns (c)"),
        ("80000001 80000002 80000003", ("a", "b", "c"), "the row's digest differs"),
        ("", (), "the row's digest differs"),
    ],
)
def test_changed_columns_are_named(folder: Path, found: str, columns: tuple[str, ...], detail: str) -> None:
    """By their names, whatever their order; an older release's lines have none."""
    before = columned(folder, {"k": (1, "800000018000000280000003")}, ("a", "b", "c"))
    after = columned(folder, {"k": (2, found.replace(" ", ""))}, columns)
    named = compare(folder, before, after).named
    assert named == (Difference(kind="changed", aspect="rows", subject='public.t ["k"]', detail=detail),)


def test_columns_in_another_order_are_no_change_of_the_row(folder: Path) -> None:
    before = columned(folder, {"k": (1, "8000000180000002")}, ("a", "b"))
    after = columned(folder, {"k": (1, "8000000280000001")}, ("b", "a"))
    assert not compare(folder, before, after).total
    assert compare(folder, before, columned(folder, {"k": (1, "8000000280000001")}, ("a", "b"))).total == 1


def test_lines_of_an_older_release_are_compared_with_newer_ones(folder: Path) -> None:
    newer = columned(folder, {"k": (2, "80000001")}, ("a",))
    assert [one.detail for one in compare(folder, table(folder, {"k": 1}), newer).named] == ["the row's digest differs"]


def test_missing_migrations_are_named(folder: Path) -> None:
    history = {"public.flyway_schema_history": table(folder, {"1": 1})}
    before = database(history, migrations={str(n): f"{n} Step {n}" for n in range(1, 7)})
    after = database(history, migrations={"1": "1 Step 1", "6": "6 Step 6"})
    assert compare_databases(before, after, folder)["rows"].named == (
        Difference(
            kind="missing",
            aspect="rows",
            subject="public.flyway_schema_history",
            detail="2 of 6 migrations: 2 Step 2, 3 Step 3, 4 Step 4 (and 1 more) gone",
        ),
    )
    assert not compare_databases(after, before, folder)["rows"].total


def test_equal_tables_are_equal_and_counted(folder: Path) -> None:
    assert compare(folder, table(folder, {"a": 1, "b": 2}), table(folder, {"a": 1, "b": 2})) == Differences(compared=2)


def test_the_first_are_named_the_rest_counted(folder: Path) -> None:
    rows = {f"{number:03}": number for number in range(100)}
    found = compare_databases(
        database({"public.t": table(folder, rows)}), database({"public.t": table(folder, {})}), folder, limit=3
    )["rows"]
    assert [difference.subject for difference in found.named] == [f'public.t ["{n:03}"]' for n in range(3)]
    assert (found.total, found.compared) == (100, 100)


@pytest.mark.parametrize(
    ("rows", "digest", "detail"), [(4, "7", "3 rows became 4"), (3, "8", "3 rows, content digest differs")]
)
def test_without_lines_the_table_is_named(folder: Path, rows: int, digest: str, detail: str) -> None:
    before, after = TableInventory(rows=3, digest="7"), TableInventory(rows=rows, digest=digest)
    assert compare(folder, before, after).named == (
        Difference(kind="changed", aspect="rows", subject="public.t", detail=detail),
    )
    assert compare(folder, before, before) == Differences(compared=3)


def test_a_digest_is_not_trusted_without_its_lines(folder: Path) -> None:
    """Lines agree and digests do not, then the other way round: a difference both times."""
    lines = table(folder, {"a": 1, "b": 2})
    assert [one.subject for one in compare(folder, lines, lines.model_copy(update={"digest": "9"})).named] == [
        "public.t"
    ]
    swapped = table(folder, {"a": 2, "b": 1})
    assert lines.digest == swapped.digest
    assert [one.subject for one in compare(folder, lines, swapped).named] == ['public.t ["a"]', 'public.t ["b"]']


def test_lines_under_another_key_are_not_compared(folder: Path) -> None:
    before = table(folder, {"a": 1})
    after = table(folder, {"z": 1}, key=("other",))
    assert compare(folder, before, after) == Differences(compared=1)
    assert compare(folder, before, after.model_copy(update={"digest": "2"})).total == 1


def test_tables(folder: Path) -> None:
    one, two = TableInventory(rows=1, digest="1"), TableInventory(rows=2, digest="1")
    found = compare_databases(
        database({"public.a": one, "public.b": one}), database({"public.b": one, "public.c": two}), folder
    )
    assert found["table"].named == (
        Difference(kind="missing", aspect="table", subject="public.a", detail="1 row expected"),
        Difference(kind="extra", aspect="table", subject="public.c", detail="2 rows found"),
    )
    assert (found["table"].compared, found["rows"].total) == (3, 0)


@pytest.mark.parametrize(
    ("before", "after", "kind", "detail"),
    [
        (f"12\t{SHA}", f"0\t{OTHER}", "changed", "size 12 → 0, sha256 differs"),
        (f"12\t{SHA}", f"12\t{OTHER}", "changed", "sha256 differs"),
        (f"12\t{SHA}", "-1\tdangling", "changed", "12 bytes expected, the object is gone: a dangling reference"),
        ("-1\tdangling", f"12\t{SHA}", "changed", "a dangling reference expected, 12 bytes found"),
        (f"12\t{SHA}", None, "missing", "12 bytes expected, no reference found"),
        (None, f"12\t{SHA}", "extra", "12 bytes found, no reference expected"),
        (f"1\t{SHA}\ta\tgrant a: SELECT", f"1\t{SHA}\tb\tgrant a: SELECT", "changed", "owner a → owner b"),
        (f"1\t{SHA}\ta\tgrant a: x; grant b: y", f"1\t{SHA}\ta\tgrant a: x", "changed", "grant b: y → (nothing)"),
        (f"1\t{SHA}\ta\tgrant a: x", f"1\t{OTHER}\ta\tgrant a: x", "changed", "sha256 differs"),
        (f"1\t{SHA}", f"2\t{OTHER}\ta\tgrant a: x", "changed", "size 1 → 2, sha256 differs"),
    ],
)
def test_large_objects(folder: Path, before: str | None, after: str | None, kind: str, detail: str) -> None:
    tables = [
        table(folder, {"k": 1}, objects=[f'["k"]\tnotes\t1\t{SHA}'] + ([f'["k"]\toutput\t{line}'] if line else []))
        for line in (before, after)
    ]
    found = compare(folder, tables[0], tables[1], "large object")
    assert found.named == (
        Difference.model_validate(
            {"kind": kind, "aspect": "large object", "subject": 'public.t ["k"] output', "detail": detail}
        ),
    )
    assert found.compared == 2


def test_large_objects_of_a_table_without_a_key_are_a_multiset(folder: Path) -> None:
    before = TableInventory(rows=2, digest="1", large_object_lines=keep(folder, [f"\tc\t1\t{SHA}", f"\tc\t1\t{SHA}"]))
    after = TableInventory(rows=2, digest="1", large_object_lines=keep(folder, [f"\tc\t1\t{SHA}", f"\tc\t9\t{SHA}"]))
    found = compare(folder, before, after, "large object")
    assert [(one.kind, one.subject) for one in found.named] == [("missing", "public.t c"), ("extra", "public.t c")]


def test_sequences(folder: Path) -> None:
    found = compare_databases(
        database(sequences={"s.a": "5 true", "s.b": "1 false"}),
        database(sequences={"s.a": "1 false", "s.c": "1 true"}),
        folder,
    )["sequence"]
    assert [(one.kind, one.subject, one.detail) for one in found.named] == [
        ("changed", "s.a", "last_value is_called: 5 true → 1 false"),
        ("missing", "s.b", "it is gone"),
        ("extra", "s.c", "it was not there"),
    ]


def test_schema(folder: Path) -> None:
    found = compare_databases(
        database(schema_objects={"index a": "x", "function f()": "BEGIN\nEND"}),
        database(schema_objects={"index b": "x", "function f()": "BEGIN\r\nEND"}),
        folder,
    )["schema"]
    assert [(one.kind, one.subject, one.detail) for one in found.named] == [
        ("changed", "function f()", "BEGIN → BEGIN\\r"),
        ("missing", "index a", "it is gone"),
        ("extra", "index b", "it was not there"),
    ]
    assert found.compared == 3


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a\ngrant x: SELECT\nb", "a\nb", "grant x: SELECT → (nothing)"),
        ("a\nb", "a\nb\ndisabled", "(nothing) → disabled"),
        ("a\nb\nc", "a\nB\nC", "b → B (and 1 more line)"),
        ("x" * 200, "y", f"{'x' * 100}… → y"),
        ("a\na", "a", "a → (nothing)"),
    ],
)
def test_changed_texts_show_the_line(before: str, after: str, said: str) -> None:
    assert name_text_change(before, after) == said


def entry(path: str, **change: Any) -> str:
    values = {"type": "file", "size": 12, "sha256": SHA, "mode": "0644", "uid": 1000, "gid": 1000, "target": ""}
    return json.dumps([path, *{**values, **change}.values()])


def files(folder: Path, lines: list[str]) -> FilesInventory:
    return FilesInventory(
        store="file-storage-0",
        taken_at="2026-01-01T00:00:00Z",
        entry_lines=keep(folder, lines),
        files=0,
        directories=0,
        bytes=0,
    )


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"size": 0, "sha256": OTHER}, "sha256 differs, size 12 → 0"),
        ({"sha256": OTHER}, "sha256 differs"),
        ({"sha256": "unreadable"}, "unreadable"),
        ({"mode": "0600"}, "mode 0644 → 0600"),
        ({"uid": 0, "gid": 0}, "owner 1000:1000 → 0:0"),
        ({"type": "link", "target": "x"}, "type file → link, link target differs"),
    ],
)  # fmt: skip
def test_changed_files(folder: Path, change: dict[str, Any], detail: str) -> None:
    before = files(folder, [entry("ab/1"), entry("ab/2")])
    after = files(folder, [entry("ab/1"), entry("ab/2", **change)])
    assert compare_files(before, after, folder) == Differences(
        named=(Difference(kind="changed", aspect="file", subject="ab/2", detail=detail),), total=1, compared=2
    )


def test_missing_and_extra_entries(folder: Path) -> None:
    empty = {"type": "dir", "size": 0, "sha256": "", "mode": "0755"}
    before = files(folder, [entry("ab", **empty), entry("cd", **empty), entry("cd/1")])
    after = files(folder, [entry("cd", **empty), entry("cd/2")])
    assert [(one.kind, one.aspect, one.subject, one.detail) for one in compare_files(before, after, folder).named] == [
        ("missing", "directory", "ab", "dir"),
        ("missing", "file", "cd/1", "file, 12 bytes"),
        ("extra", "file", "cd/2", "file, 12 bytes"),
    ]


def test_names_are_compared_as_bytes(folder: Path) -> None:
    """Sorted by bytes, U+FFFF comes before U+10000 and a broken byte after both: JSON's own order is another."""
    names = ["\uffff", "\U00010000", "\udcff"]
    before = files(folder, [entry(name) for name in names])
    after = files(folder, [entry(name, size=1) for name in names])
    found = compare_files(before, after, folder)
    assert [one.kind for one in found.named] == ["changed"] * 3
    assert found.named[2].subject == "\\xff"


def test_edited_evidence_is_an_error_that_names_it(folder: Path) -> None:
    before, after = files(folder, [entry("ab/1")]), files(folder, [entry("ab/1")])
    (folder / before.entry_lines.path).write_text(entry("ab/2") + "\n")
    with pytest.raises(EnvironmentUnfit, match="cut or edited") as caught:
        compare_files(before, after, folder)
    assert caught.value.where.endswith(before.entry_lines.path)
