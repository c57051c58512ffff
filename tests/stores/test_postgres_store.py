"""The database store itself: marks, leftovers, the lines it writes, and what it does when it cannot know."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from database_server import DatabaseServer, NoSeed
from pydantic import SecretStr

from rehearsal.deployment import DatabaseKey, DatabaseSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.evidence import verify_lines
from rehearsal.inventory import DatabaseInventory
from rehearsal.journal import read_journal
from rehearsal.roles import Cluster, Coordinates
from rehearsal.stores import large_objects
from rehearsal.stores.digests import write_row_lines
from rehearsal.stores.large_objects import write_large_object_lines
from rehearsal.stores.postgres import PostgresStore
from rehearsal.stores.sessions import connect, share_snapshot, spread
from rehearsal.stores.tables import find_tables
from rehearsal.waiting import wait_until

ONE = "aaaaaaaa-0000-0000-0000-000000000001"


def test_marks_are_written_read_and_replaced(server: DatabaseServer, copy: str, evidence: Path) -> None:
    store = server.store(copy, evidence)
    assert store.read_mark("nonce") is None
    mark = store.write_mark("nonce", "a nonce, with 'quotes'")
    assert (mark.store, mark.place) == ("session-db", "rehearsal_extras.mark")
    store.write_mark("marker", "m")
    store.write_mark("nonce", "another")
    assert (store.read_mark("nonce"), store.read_mark("marker")) == ("another", "m")


def test_a_mark_is_repeated_through_one_session_and_the_last_one_stays(
    server: DatabaseServer, copy: str, evidence: Path
) -> None:
    store = server.store(copy, evidence)
    with store.repeat_mark("heartbeat") as write:
        write("1")
        assert store.read_mark("heartbeat") == "1", "committed at once: a dump that begins now has it"
        assert write("2").place == "rehearsal_extras.mark"
        with server.connect(copy) as asking:

            def see_others() -> list[Any]:
                query = """SELECT pid, query LIKE 'INSERT INTO rehearsal_extras.mark %' FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend'
                    AND pid <> pg_backend_pid()"""
                return asking.execute(query.encode()).fetchall()

            # the reader's session ends a moment after its connection
            wait_until(lambda: len(see_others()) == 1, 10.0, "the end of the other sessions", see_others)
            ((writer, _),) = see_others()
            write("3")
            assert see_others() == [(writer, True)]
    assert store.read_mark("heartbeat") == "3"
    assert store.read_mark("nonce") is None


@pytest.mark.parametrize(
    "loss",
    ["DELETE FROM rehearsal_extras.mark", "DROP TABLE rehearsal_extras.mark", "DROP SCHEMA rehearsal_extras CASCADE"],
)
def test_a_mark_that_is_gone_is_none(server: DatabaseServer, copy: str, evidence: Path, loss: str) -> None:
    store = server.store(copy, evidence)
    store.write_mark("nonce", "n")
    with server.connect(copy) as connection:
        connection.execute(loss.encode())
    assert store.read_mark("nonce") is None


@pytest.mark.parametrize("ask", ["read_mark", "take_inventory"])
def test_a_database_that_cannot_be_asked_is_an_error(server: DatabaseServer, evidence: Path, ask: str) -> None:
    with pytest.raises(EnvironmentUnfit, match=r"no_such_database.*does not exist") as caught:
        getattr(server.store("no_such_database", evidence), ask)("nonce")
    assert caught.value.where == "chipster-session-db-postgresql-0"


def test_writing_a_mark_into_a_database_without_its_table_is_an_error(server: DatabaseServer, evidence: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match=r"rehearsal_extras\.mark"):
        server.store(server.create(), evidence).write_mark("nonce", "n")


def test_an_empty_database_has_no_leftovers(server: DatabaseServer, evidence: Path) -> None:
    assert server.store(server.create(), evidence).leftovers() == ()


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE TABLE t ()", "table public.t"),
        ("CREATE SEQUENCE s", "sequence public.s"),
        ("CREATE SCHEMA empty", "schema empty"),
        ("CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'", "function public.f(integer)"),
        ("CREATE TYPE e AS ENUM ('a')", "type public.e"),
        ("CREATE DOMAIN d AS text", "type public.d"),
        ("CREATE VIEW v AS SELECT 1 AS one", "view public.v"),
        ("SELECT lo_create(4711)", "large object 4711"),
    ],
)
def test_leftovers_are_named(server: DatabaseServer, evidence: Path, made: str, named: str) -> None:
    name = server.create()
    with server.connect(name) as connection:
        connection.execute(made.encode())
    assert server.store(name, evidence).leftovers() == (named,)


def test_leftovers_end_after_twenty(server: DatabaseServer, intact: str, evidence: Path) -> None:
    found = server.store(intact, evidence).leftovers()
    assert len(found) == 20
    assert found[:2] == ("foreign table probe.elsewhere", "materialized view probe.summary")


def test_the_seed_fills_the_database(server: DatabaseServer, evidence: Path) -> None:
    class OneTable:
        def fill_database(self, connection: psycopg.Connection[Any], key: DatabaseKey) -> dict[str, int]:
            connection.execute("CREATE TABLE seeded ()")
            connection.commit()
            return {"public.seeded": 0, key: 1}

    store = server.store(server.create(), evidence, OneTable())
    assert store.seed() == {"public.seeded": 0, "sessionDb": 1}
    assert store.leftovers() == ("table public.seeded",)


def test_every_table_is_looked_at_but_the_mark(before: DatabaseInventory) -> None:
    assert sorted(before.tables) == [
        "probe.bag", "probe.bag_of_objects", "probe.dropped", "probe.no_columns", "probe.nullable", "probe.parted_low",
        "probe.summary", "probe.two_keys", "probe.types", "probe.unique_only", "probe.zoned", "public.dataset",
        "public.session",
    ]  # fmt: skip
    assert before.tables["public.dataset"].key == ("sessionid", "datasetid")
    assert before.tables["probe.unique_only"].key == ("b",)
    assert before.tables["probe.two_keys"].key == ("b", "a")
    assert before.tables["probe.bag"].key == before.tables["probe.nullable"].key == ()
    assert before.sequences == {"probe.ticket": "41 true"}
    assert before.unreferenced_large_objects == 1


def test_lines_are_as_the_format_says(before: DatabaseInventory, evidence: Path) -> None:
    table = before.tables["public.session"]
    assert table.row_lines is not None and table.large_object_lines is not None
    verify_lines(table.row_lines, evidence)
    lines = (evidence / table.row_lines.path).read_text().splitlines()
    assert len(lines) == table.rows == table.row_lines.lines == 5
    assert [line.split("\t")[0] for line in lines] == [f'["{ONE[:-1]}{number}"]' for number in range(1, 6)]
    assert sum(int(line.split("\t")[1]) for line in lines) == int(table.digest)
    assert table.columns == ("sessionid", "name", "notes", "state", "created")
    assert {len(line.split("\t")[2]) for line in lines} == {8 * 5}
    holder = "postgres\tgrant postgres: SELECT, UPDATE"
    objects = (evidence / table.large_object_lines.path).read_text().splitlines()
    assert objects[0] == f'["{ONE}"]\tnotes\t12\t{hashlib.sha256(b"notes of one").hexdigest()}\t{holder}'
    assert objects[2] == f'["{ONE[:-1]}4"]\tnotes\t0\t{hashlib.sha256(b"").hexdigest()}\t{holder}'
    assert before.tables["public.dataset"].row_lines is not None
    keyed = (evidence / before.tables["public.dataset"].row_lines.path).read_text().splitlines()
    assert keyed == sorted(keyed)
    assert keyed[1].startswith(f'["{ONE}", "2"]\t')


def test_a_table_above_the_limit_has_its_digest_only(
    server: DatabaseServer, intact: str, before: DatabaseInventory, evidence: Path
) -> None:
    limited = server.look_at(intact, evidence, "limited", row_lines_limit=5)
    assert limited.tables["public.dataset"].row_lines is None
    assert limited.tables["public.dataset"].digest == before.tables["public.dataset"].digest
    assert limited.tables["public.session"].row_lines is not None


@pytest.mark.parametrize("off_by", [(1, 0), (0, 1)])
def test_lines_that_do_not_add_up_to_the_digest_are_an_error(
    server: DatabaseServer, intact: str, before: DatabaseInventory, evidence: Path, off_by: tuple[int, int]
) -> None:
    expected = before.tables["public.session"]
    with server.reach_by_name(intact) as coordinates, connect(coordinates, pinned=True) as connection:
        table = next(table for table in find_tables(connection) if table.name == "public.session")
        wrong = (expected.rows + off_by[0], str(int(expected.digest) + off_by[1]))
        with pytest.raises(EnvironmentUnfit, match="disagree within one snapshot"):
            write_row_lines(connection, table, evidence, "broken.rows", wrong)
    assert not (evidence / "broken.rows").exists()


def test_objects_hashed_in_slices_are_the_same_lines(
    server: DatabaseServer, copy: str, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 64 MiB an object is read in slices; here above 4 KiB, in slices of 1,000 bytes, with a hole."""
    monkeypatch.setattr(large_objects, "_SLICE", 1000)
    with server.connect(copy) as connection:
        connection.execute("SELECT lo_put(notes, 20000, 'far') FROM session WHERE name = 'two'")
    with server.reach_by_name(copy) as coordinates, connect(coordinates, pinned=True) as connection:
        found = [table for table in find_tables(connection) if table.large_objects]
        written = [
            write_large_object_lines(connection, found, evidence, [f"{limit}-{n}" for n in range(len(found))], limit)
            for limit in (64 << 20, 4096)
        ]
    assert [line.sha256 for line in written[0]] == [line.sha256 for line in written[1]]
    assert "\t20003\t" in (evidence / written[1][-1].path).read_text()


def test_one_snapshot_for_all_sessions(server: DatabaseServer, copy: str) -> None:
    with server.reach_by_name(copy) as coordinates, share_snapshot(coordinates, 2) as sessions:
        with server.connect(copy) as other:
            other.execute("DELETE FROM dataset")
        counts = [session.execute("SELECT count(*) FROM public.dataset").fetchone() for session in sessions]
        assert counts == [(15,), (15,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            sessions[1].execute("CREATE TABLE public.written ()")


def test_the_first_error_ends_the_work(server: DatabaseServer, intact: str) -> None:
    ends = []
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"

    def fail(connection: psycopg.Connection[Any]) -> None:
        with server.connect("postgres") as other:
            while other.execute(sleeping).fetchone() != (1,):
                pass
        connection.execute("SELECT 1/0")

    def sleep(connection: psycopg.Connection[Any]) -> None:
        try:
            connection.execute("SELECT pg_sleep(60)")
            ends.append("slept on")
        except psycopg.errors.QueryCanceled:
            ends.append("cancelled")
            raise

    with (
        server.reach_by_name(intact) as coordinates,
        pytest.raises(psycopg.errors.DivisionByZero),
        share_snapshot(coordinates, 2) as sessions,
    ):
        spread(sessions, [fail, sleep, sleep])
    assert ends == ["cancelled"]


def test_the_password_is_nowhere_in_an_error(tmp_path: Path, server: DatabaseServer) -> None:
    class Nowhere:
        @contextmanager
        def reach(self, database: DatabaseSpec) -> Iterator[Coordinates]:
            yield Coordinates("127.0.0.1", 1, "db", "postgres", "s3cret-word")

    spec = DatabaseSpec(key="auth", name="auth", db_name="auth_db", password=SecretStr("s3cret-word"))
    store = PostgresStore(spec, cast(Cluster, Nowhere()), tmp_path, server.journal, NoSeed())
    with pytest.raises(EnvironmentUnfit) as caught:
        store.read_mark("nonce")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__cause__)


def test_an_inventory_is_noted(server: DatabaseServer, before: DatabaseInventory) -> None:
    notes = [line for line in read_journal(server.journal.path) if line["event"] == "note"]
    expected = {"message": "inventory before of session-db", "tables": len(before.tables)}
    assert any(expected.items() <= note.items() for note in notes)
    assert len(before.tables) == 13
