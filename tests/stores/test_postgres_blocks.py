"""A table with too many rows for a line each: the one row that changed, came or went is named all the same."""

# ruff: noqa: E501 - a change is a line

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from database_server import DatabaseServer

from rehearsal.differences import compare_databases
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import DatabaseInventory, Difference
from rehearsal.stores import postgres
from rehearsal.stores.blocks import Blocks

TABLES = """
CREATE TABLE pair (a uuid, b integer, word text, at timestamptz, document jsonb, big bigint, flag boolean, notes oid,
    PRIMARY KEY (b, a));
INSERT INTO pair SELECT md5(n::text)::uuid, n - 2000, 'word ' || n, '2026-01-01Z', '{"a": 1.0}', n, n % 2 = 0, NULL
FROM generate_series(1, 4000) n;
CREATE TABLE worded (word text PRIMARY KEY, day date);
INSERT INTO worded SELECT 'word ' || n, '2026-01-01' FROM generate_series(1, 500) n;
"""
SEVENTH = f'["-1993", "{"8f14e45fceea167a5a36dedd4bea2543"[:8]}-ceea-167a-5a36-dedd4bea2543"]'  # md5 of 7


@pytest.fixture(autouse=True)
def fewer_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows a block, as a large table has them."""
    monkeypatch.setattr("rehearsal.stores.blocks.BLOCKS", 1024)
    monkeypatch.setattr("rehearsal.block_differences.BLOCKS", 1024)


@pytest.fixture(scope="module")
def filled(server: DatabaseServer) -> str:
    name = server.create()
    with server.connect(name) as connection:
        connection.execute(TABLES.encode())
    return name


@pytest.fixture
def change(
    server: DatabaseServer, filled: str, tmp_path: Path
) -> Iterator[Callable[[str], tuple[DatabaseInventory, DatabaseInventory]]]:
    """Take the inventories before and after a change, by one store, without a line a row."""
    copy = server.create(filled)

    def perform(statement: str) -> tuple[DatabaseInventory, DatabaseInventory]:
        store = server.store(copy, tmp_path, row_lines_limit=100)
        before = store.take_inventory("before")
        with server.connect(copy) as connection:
            connection.execute(statement.encode())
        return before, store.take_inventory("after")

    yield perform
    server.drop(copy)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE pair SET word = 'x' WHERE b = -1993", ("changed", f"public.pair {SEVENTH}", "column word differs")),
        ("""UPDATE pair SET document = '{"a": 1.00}' WHERE b = -1993""", ("changed", f"public.pair {SEVENTH}", "column document differs")),
        ("UPDATE pair SET at = at + interval '1 us' WHERE b = -1993", ("changed", f"public.pair {SEVENTH}", "column at differs")),
        ("UPDATE pair SET flag = NULL, big = NULL WHERE b = -1993", ("changed", f"public.pair {SEVENTH}", "columns big, flag differ")),
        ("DELETE FROM pair WHERE b = -1993", ("missing", f"public.pair {SEVENTH}", "the row is gone")),
        ("INSERT INTO pair VALUES ('00000000-0000-0000-0000-000000000000', 9000)", ("extra", 'public.pair ["9000", "00000000-0000-0000-0000-000000000000"]', "a row that was not there")),
        ("UPDATE worded SET day = '2026-01-02' WHERE word = 'word 7'", ("changed", 'public.worded ["word 7"]', "column day differs")),
        ("DELETE FROM worded WHERE word = 'word 7'", ("changed", "public.worded", "about 1 row differs in 1 block, 0 of them named; 500 rows became 499")),
        ("TRUNCATE worded", ("changed", "public.worded", "about 500 rows differ in ")),
    ],
)  # fmt: skip
def test_one_row_is_named(
    change: Callable[[str], tuple[DatabaseInventory, DatabaseInventory]],
    tmp_path: Path,
    statement: str,
    expected: tuple[str, str, str],
) -> None:
    before, after = change(statement)
    assert before.tables["public.pair"].row_lines is None
    found = compare_databases(before, after, tmp_path)["rows"]
    told = [(one.kind, one.subject, one.detail) for one in found.named]
    assert [(kind, subject, detail[: len(expected[2])]) for kind, subject, detail in told] == [expected]


def test_no_change_is_no_difference(
    change: Callable[[str], tuple[DatabaseInventory, DatabaseInventory]], tmp_path: Path
) -> None:
    before, after = change("VACUUM FULL pair")
    found = compare_databases(before, after, tmp_path)["rows"]
    assert (found.total, found.compared) == (0, 4500)
    assert after.tables["public.pair"].block_row_lines is None


def test_several_rows_are_named_and_swaps_seen(
    change: Callable[[str], tuple[DatabaseInventory, DatabaseInventory]], tmp_path: Path
) -> None:
    before, after = change(
        "UPDATE pair SET word = (ARRAY['word 1', 'word 2'])[2001 + b] WHERE b IN (-2000, -1999);"
        "UPDATE pair SET word = 'word 10' WHERE b = -1989; UPDATE pair SET word = 'word 11' WHERE b = -1990;"
        "DELETE FROM pair WHERE b = 0; INSERT INTO pair VALUES (md5('new')::uuid, 7000)"
    )
    found = compare_databases(before, after, tmp_path)["rows"]
    kinds = sorted((one.kind, one.subject.split('"')[1]) for one in found.named)
    assert kinds == [
        ("changed", "-1989"), ("changed", "-1990"), ("changed", "-1999"), ("extra", "7000"), ("missing", "0"),
    ]  # fmt: skip
    assert {one.detail for one in found.named if one.kind == "changed"} == {"column word differs"}


def test_many_rows_are_counted_honestly(
    change: Callable[[str], tuple[DatabaseInventory, DatabaseInventory]], tmp_path: Path
) -> None:
    before, after = change("UPDATE pair SET word = word || '.' WHERE b >= 0")
    found = compare_databases(before, after, tmp_path)["rows"].named
    assert len(found) == 20
    last = compare_databases(before, after, tmp_path, limit=1000)["rows"].named[-1]
    assert last.subject == "public.pair"
    about = int(last.detail.split()[1])
    assert abs(about - 2001) < 200, last
    assert f"rows differ in {len_of_differing(before, after, tmp_path)} blocks" in last.detail


def len_of_differing(before: DatabaseInventory, after: DatabaseInventory, folder: Path) -> int:
    tables = [inventory.tables["public.pair"].block_lines for inventory in (before, after)]
    old, new = (
        {line[:5]: line.split("\t")[1:4] for line in (folder / lines.path).read_text().splitlines()}
        for lines in tables
        if lines is not None
    )
    return sum(old.get(block) != new.get(block) for block in {*old, *new})


def test_blocks_of_another_process_name_the_table(server: DatabaseServer, filled: str, tmp_path: Path) -> None:
    """A store that did not take the inventory before keeps nothing to narrow by: the judge must not guess."""
    before = server.look_at(filled, tmp_path, "before", row_lines_limit=100)
    copy = server.create(filled)
    with server.connect(copy) as connection:
        connection.execute("UPDATE pair SET word = 'x' WHERE b = 1")
    after = server.look_at(copy, tmp_path, "after", row_lines_limit=100)
    assert compare_databases(before, after, tmp_path)["rows"].named == (
        Difference(
            kind="changed",
            aspect="rows",
            subject="public.pair",
            detail="about 1 row differs in 1 block, 0 of them named",
        ),
    )


def test_lines_are_as_the_format_says(server: DatabaseServer, filled: str, tmp_path: Path) -> None:
    table = server.look_at(filled, tmp_path, "before", row_lines_limit=100).tables["public.pair"]
    assert table.block_lines is not None
    lines = [line.split("\t") for line in (tmp_path / table.block_lines.path).read_text().splitlines()]
    assert sum(int(fields[1]) for fields in lines) == table.rows == 4000
    assert [int(fields[0]) for fields in lines] == sorted({int(fields[0]) for fields in lines})
    assert all(0 <= int(fields[0]) < 1024 and len(fields) == 6 and len(fields[5]) == 8 * 8 for fields in lines)


def test_blocks_that_disagree_with_the_digest_are_an_error(
    server: DatabaseServer, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def miscount(*_: object, **__: object) -> Blocks:
        return Blocks(rows=3999, digest="0", sums={}, more={})

    monkeypatch.setattr(postgres, "measure_blocks", miscount)
    with pytest.raises(EnvironmentUnfit, match="disagree within one snapshot"):
        server.look_at(filled, tmp_path, "before", row_lines_limit=100)
