"""Values of rows: kept and shown where the user asked, hidden otherwise, never a secret; and a restore done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from database_server import DatabaseServer

from rehearsal.differences import compare_databases
from rehearsal.inventory import DatabaseInventory, Differences

DAMAGE = """
UPDATE session SET name = E'line\nbreak \x1b[31m ' || chr(8238) || repeat('x', 200) WHERE name = 'one';
UPDATE session SET notes = NULL, state = NULL WHERE name = 'two'
"""


def damage(server: DatabaseServer, copy: str, folder: Path, *, show: bool, statement: str = DAMAGE) -> Differences:
    store = server.store(copy, folder, show_values=show)
    before = store.take_inventory("before")
    with server.connect(copy) as connection:
        connection.execute(statement.encode())
    return compare_databases(before, store.take_inventory("after"), folder)["rows"]


def test_values_are_shown_where_asked(server: DatabaseServer, copy: str, tmp_path: Path) -> None:
    found = damage(server, copy, tmp_path, show=True).named
    shown = "line\\nbreak \\u001b[31m \\u202e" + "x" * 182 + "…"
    assert [one.detail for one in found] == [
        f'column name differs: name expected "one", found "{shown}"',
        'columns notes, state differ: notes expected "a large object", found NULL; state expected "3", found NULL',
    ]


def test_values_are_hidden_by_default(server: DatabaseServer, copy: str, tmp_path: Path) -> None:
    found = damage(server, copy, tmp_path, show=False).named
    assert [one.detail for one in found] == [
        "column name differs (value hidden; --show-values shows it)",
        "columns notes, state differ (values hidden; --show-values shows them)",
    ]
    assert not list(tmp_path.rglob("*.values"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"line\\nbreak" in path.read_bytes()]


def test_a_secret_is_in_no_value(server: DatabaseServer, copy: str, tmp_path: Path) -> None:
    server.journal.redactor.learn(['s3cret-"word'])
    found = damage(
        server,
        copy,
        tmp_path,
        show=True,
        statement="""UPDATE session SET name = 'my s3cret-"word' WHERE name = 'one'""",
    )
    assert found.named[0].detail == 'column name differs: name expected "one", found "my [redacted]"'
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


@pytest.mark.parametrize("times", [1, 2])
def test_a_restore_done_twice_is_seen(
    times: int, server: DatabaseServer, intact: str, before: DatabaseInventory, evidence: Path
) -> None:
    """The second pass collides with every key, with status 0; what has no key is there twice."""
    restored = server.create()
    server.restore_dump(intact, restored)
    for _ in range(times - 1):
        server.restore_dump(intact, restored, "--data-only")
    found = compare_databases(before, server.look_at(restored, evidence, restored), evidence)["rows"]
    told = [(one.subject, one.detail) for one in found.named]
    assert told == (
        [] if times == 1 else [("probe.bag", "4 rows became 8"), ("probe.bag_of_objects", "2 rows became 4")]
    )
