"""The server and the intact database that the tests of the database store share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from database_server import DatabaseServer, start_server

from rehearsal.inventory import DatabaseInventory
from rehearsal.roles import Coordinates
from rehearsal.stores.sessions import Connection, connect

INTACT = Path(__file__).with_name("intact.sql")


@pytest.fixture(scope="session")
def server() -> Iterator[DatabaseServer]:
    with start_server() as started:
        yield started


@pytest.fixture(scope="session")
def intact(server: DatabaseServer) -> str:
    """A small database with one of everything that can be damaged."""
    name = server.create()
    with server.connect(name) as connection:
        connection.execute(INTACT.read_bytes())
    return name


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One rehearsal's folder for all inventories of the session."""
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="session")
def before(server: DatabaseServer, intact: str, evidence: Path) -> DatabaseInventory:
    return server.look_at(intact, evidence, "before")


@pytest.fixture
def copy(server: DatabaseServer, intact: str) -> Iterator[str]:
    """A copy of the intact database, to be changed for good."""
    name = server.create(intact)
    yield name
    server.drop(name)


@pytest.fixture
def look_after(
    server: DatabaseServer, intact: str, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], DatabaseInventory]]:
    """Change the intact database, take its inventory within that transaction, and take the change back."""
    with server.reach_by_name(intact) as coordinates, connect(coordinates, pinned=True) as connection:
        connection.execute("SET allow_system_table_mods = on")

        def change_and_look(change: str) -> DatabaseInventory:
            connection.execute("BEGIN")
            connection.execute("SET LOCAL search_path = public")
            connection.execute(change.encode())
            connection.execute("SET LOCAL search_path = ''")
            return server.look_at(intact, evidence, "after")

        @contextmanager
        def share_this_one(coordinates: Coordinates, count: int) -> Iterator[list[Connection]]:
            yield [connection]

        monkeypatch.setattr("rehearsal.stores.postgres.share_snapshot", share_this_one)
        yield change_and_look
        connection.execute("ROLLBACK")
        connection.execute("SELECT setval('probe.ticket', 41)")  # no transaction takes that back
