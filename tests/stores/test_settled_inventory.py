"""The inventory after the services were started: a migration's new column makes no row another, and is told by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from database_server import DatabaseServer

from rehearsal.differences import compare_databases
from rehearsal.inventory import DatabaseInventory
from rehearsal.roles import SETTLED
from rehearsal.stores.postgres import PostgresStore

SESSIONS = """
CREATE TABLE session (sessionid int PRIMARY KEY, accessed timestamptz, name text);
INSERT INTO session VALUES (1, '2026-01-01', 'a'), (2, '2026-01-01', 'b');
CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version text, description text, success boolean);
INSERT INTO flyway_schema_history VALUES (1, '1', 'Base version', true);
"""


@pytest.fixture
def database(server: DatabaseServer) -> Iterator[str]:
    name = server.create()
    with server.connect(name) as connection:
        connection.execute(SESSIONS.encode())
    yield name
    server.drop(name)


@pytest.fixture
def store(server: DatabaseServer, database: str, tmp_path: Path) -> PostgresStore:
    return server.store(database, tmp_path)


def settle(
    server: DatabaseServer, database: str, store: PostgresStore, change: str, moment: str = SETTLED
) -> tuple[DatabaseInventory, DatabaseInventory]:
    after = store.take_inventory("after")
    with server.connect(database) as connection:
        connection.execute(change.encode())
    return after, store.take_inventory(moment)


def name_rows(after: DatabaseInventory, settled: DatabaseInventory, folder: Path) -> list[str]:
    return [difference.subject for difference in compare_databases(after, settled, folder)["rows"].named]


def test_a_new_column_makes_no_row_another(
    server: DatabaseServer, database: str, store: PostgresStore, tmp_path: Path
) -> None:
    change = (
        "ALTER TABLE session ADD COLUMN colour text DEFAULT 'red'; UPDATE session SET name = 'x' WHERE sessionid = 2"
    )
    after, settled = settle(server, database, store, change)
    assert name_rows(after, settled, tmp_path) == ['public.session ["2"]']
    assert "column public.session.colour" in settled.schema_objects


def test_at_any_other_moment_it_does(
    server: DatabaseServer, database: str, store: PostgresStore, tmp_path: Path
) -> None:
    after, later = settle(server, database, store, "ALTER TABLE session ADD COLUMN colour text", moment="later")
    assert len(name_rows(after, later, tmp_path)) == 2


@pytest.mark.parametrize(
    ("change", "same"), [("accessed = now()", True), ("name = 'x'", False)], ids=["last seen", "name"]
)
def test_steady_lines_leave_out_what_services_rewrite(
    server: DatabaseServer, database: str, store: PostgresStore, change: str, same: bool
) -> None:
    after, settled = settle(server, database, store, f"UPDATE session SET {change} WHERE sessionid = 1")
    before, now = after.tables["public.session"], settled.tables["public.session"]
    assert before.row_lines is not None
    assert now.row_lines is not None
    assert before.row_lines.sha256 != now.row_lines.sha256
    assert before.steady_lines is not None
    assert now.steady_lines is not None
    assert (before.steady_lines.sha256 == now.steady_lines.sha256) is same


def test_migrations_are_told_by_their_names(server: DatabaseServer, database: str, store: PostgresStore) -> None:
    change = "INSERT INTO flyway_schema_history VALUES (2, '2', 'Add colour', true), (3, NULL, 'Repeatable', false)"
    after, settled = settle(server, database, store, change)
    assert after.migrations == {"1": "1 Base version"}
    assert settled.migrations == {"1": "1 Base version", "2": "2 Add colour", "3": "Repeatable (failed)"}


@pytest.mark.parametrize(
    "change", ["DROP TABLE flyway_schema_history", "ALTER TABLE flyway_schema_history DROP success"]
)
def test_a_history_that_is_none_has_no_names(
    server: DatabaseServer, database: str, store: PostgresStore, change: str
) -> None:
    assert settle(server, database, store, change)[1].migrations == {}
