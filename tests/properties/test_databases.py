"""Any database comes back equal from its dump, and any single change of it is seen and named.

Dumped and restored as the manual does (`pg_dump --clean`, `psql`), into an empty database. Then one thing after another
is changed, looked at and taken back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from database_mutations import Mutation, mutate_every_kind, mutations
from database_server import DatabaseServer
from drawn_databases import EVERY_KIND, DrawnTable, databases, fill
from examples import few
from hypothesis import event, example, given, note
from hypothesis import strategies as st

from rehearsal.differences import compare_databases
from rehearsal.inventory import DatabaseInventory, Difference
from rehearsal.roles import Coordinates
from rehearsal.stores import postgres
from rehearsal.stores.sessions import Connection, connect


@st.composite
def changed_databases(draw: st.DrawFn) -> tuple[tuple[DrawnTable, ...], list[Mutation]]:
    drawn = draw(databases())
    return drawn, draw(st.lists(mutations(drawn), min_size=1, max_size=6))


def differences(before: DatabaseInventory, after: DatabaseInventory, folder: Path) -> list[Difference]:
    compared = compare_databases(before, after, folder, limit=1000)
    return [difference for found in compared.values() for difference in found.named]


@contextmanager
def look_within(connection: Connection) -> Iterator[None]:
    """Inventories see what this connection has not committed."""

    @contextmanager
    def share_this_one(coordinates: Coordinates, count: int) -> Iterator[list[Connection]]:
        yield [connection]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "share_snapshot", share_this_one)
        yield


def is_named(found: list[Difference], wanted: str) -> bool:
    """Whether a difference has that subject; long ones are cut."""
    return any(one.subject == wanted or one.subject.startswith(wanted[:190]) for one in found)


@few(8)
@given(changed_databases())
@example((EVERY_KIND, mutate_every_kind()))
def test_a_dump_restores_equal_and_any_change_is_named(
    server: DatabaseServer, drawn: tuple[tuple[DrawnTable, ...], list[Mutation]]
) -> None:
    tables, changes = drawn
    source, target = server.create(), server.create()
    try:
        with psycopg.connect(
            host=str(server.folder), port=5432, dbname=source, user="postgres", autocommit=True
        ) as connection:
            fill(connection, tables)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            before = server.look_at(source, folder, "before")
            server.restore_dump(source, target)
            store = server.store(target, folder)
            assert differences(before, store.take_inventory("after"), folder) == []
            with server.reach_by_name(target) as coordinates, connect(coordinates, pinned=True) as inside:
                for change in changes:
                    see_one_change(store, inside, before, folder, change)
    finally:
        server.drop(source)
        server.drop(target)


def see_one_change(
    store: postgres.PostgresStore, inside: Connection, before: DatabaseInventory, folder: Path, change: Mutation
) -> None:
    note(f"{change.kind} {change.table.name!r} {change.column}")
    inside.execute("BEGIN")
    inside.execute("SET LOCAL search_path = public")
    try:
        wanted = change.make(inside)
        if not wanted:
            assert change.table not in EVERY_KIND, f"{change.kind} was meant to change something"
            event("nothing came of it")
            return
        event(change.kind)
        inside.execute("SET LOCAL search_path = ''")
        with look_within(inside):
            found = differences(before, store.take_inventory("after"), folder)
        assert is_named(found, wanted), (change, wanted, found)
        assert {one.aspect for one in found} <= set(change.aspects), (change, found)
    finally:
        inside.execute("ROLLBACK")
        inside.execute("SELECT setval('public.ticket', 7)")  # no transaction takes that back
