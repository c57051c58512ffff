"""How fast a table is fingerprinted, against the formula that other tools use, in one run, rounds interleaved.

    .venv/bin/python bench/table_digest.py --rows 5000000

A: our digest (`count(*)` and the sum of exact row hashes, one scan). B: pgcopydb's formula,
`sum(hashtext(t::text)::bigint)`. C: `count(*)` alone. On a plain table, on one like Chipster's `dataset`, and on
Chipster's own tables as the seed fills them, each row many times. Then the line a row that follows the digest; one row
that changed in a table without such lines, named; and small large objects by SHA-256. One session, so one core of the
server, without fsync; parallel query off on all sides; the best of the rounds, since other work only ever slows one.
Seconds are those in which a processor worked for us, here and in the server's process (`/proc/PID/schedstat`), so that
what else the machine does counts little; wall seconds stand beside them in brackets.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.collected import Collected
from rehearsal.deployment import DatabaseSpec, Deployment
from rehearsal.inventory import TableInventory
from rehearsal.journal import Journal
from rehearsal.row_differences import compare_rows
from rehearsal.shell import Shell
from rehearsal.stores.blocks import NARROWED, measure_blocks, write_block_lines, write_block_rows
from rehearsal.stores.digests import count_and_hash, write_row_lines
from rehearsal.stores.large_objects import write_large_object_lines
from rehearsal.stores.sessions import Connection, connect
from rehearsal.stores.tables import Table, find_tables

_TABLES = """
CREATE TABLE public.plain (
    id bigint PRIMARY KEY, number integer, word text, token uuid, moment timestamptz, flag boolean);
INSERT INTO public.plain
SELECT n, n % 1000, md5(n::text), md5('a' || n)::uuid, timestamptz '2026-01-01Z' + n * interval '1 ms', n % 2 = 0
FROM generate_series(1, {rows}) n;
CREATE TABLE public.like_dataset (
    datasetid uuid, sessionid uuid, created timestamptz(6), name varchar(255), notes oid, sourcejob uuid, x integer,
    y integer, fileid uuid, metadatafiles jsonb, labelids jsonb, PRIMARY KEY (sessionid, datasetid));
INSERT INTO public.like_dataset
SELECT md5('d' || n)::uuid, md5('s' || n / 20)::uuid, timestamptz '2026-01-01Z' + n * interval '1 s',
    'file ' || n || '.tsv', NULL, md5('j' || n)::uuid, n % 100, n % 77, md5('f' || n)::uuid,
    jsonb_build_array(jsonb_build_object('name', 'phenodata', 'values', jsonb_build_array(n, n + 1, 0.5))), '[]'
FROM generate_series(1, {rows}) n;
CREATE TABLE public.object (id integer PRIMARY KEY, notes oid);
INSERT INTO public.object
SELECT n, lo_from_bytea(0, convert_to(repeat('notes of session ' || n, n % 40), 'UTF8'))
FROM generate_series(1, {objects}) n;
"""


@dataclass(frozen=True, order=True)
class Taken:
    """Seconds of a processor, and on the wall."""

    busy: float
    wall: float

    def __str__(self) -> str:
        return f"{self.busy:6.3f} s ({self.wall:.3f})"


def read_clock(session: Connection) -> Taken:
    waited = Path(f"/proc/{session.info.backend_pid}/schedstat").read_text(encoding="ascii")
    return Taken(int(waited.split()[0]) / 1e9 + time.process_time(), time.perf_counter())


def measure(session: Connection, rounds: int, ways: dict[str, Callable[[], object]]) -> dict[str, Taken]:
    """The best of each way; a round runs all of them, the first round does not count."""
    times: dict[str, list[Taken]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = read_clock(session)
            way()
            ended = read_clock(session)
            if number:
                times[name].append(Taken(ended.busy - started.busy, ended.wall - started.wall))
    return {name: min(taken) for name, taken in times.items()}


def compare_table(session: Connection, table: Table, rounds: int) -> None:
    theirs = sql.SQL("SELECT sum(hashtext(t::text)::bigint) FROM {} t").format(table.source)
    count = sql.SQL("SELECT count(*) FROM {}").format(table.source)
    expected = count_and_hash(session, table)
    taken = measure(
        session,
        rounds,
        {
            "ours": lambda: count_and_hash(session, table),
            "theirs": lambda: session.execute(theirs).fetchone(),
            "count": lambda: session.execute(count).fetchone(),
        },
    )
    ours, hashtext, counted = taken["ours"], taken["theirs"], taken["count"]
    print(
        f"{table.relation:11}{expected[0]:10,} rows   A {ours}   B {hashtext}   C {counted}"
        f"   B/A {hashtext.busy / ours.busy:5.2f}x   A/C {ours.busy / counted.busy:5.2f}x",
        flush=True,
    )


def write_lines(session: Connection, table: Table, folder: Path) -> None:
    expected = count_and_hash(session, table)
    taken = measure(session, 1, {"lines": lambda: write_row_lines(session, table, folder, "lines", expected)})["lines"]
    print(f"{table.relation}: a line a row in {taken}, {expected[0] / taken.busy:,.0f} a second", flush=True)


def name_one_row(session: Connection, table: Table, folder: Path, rounds: int) -> None:
    """One row changes; its key and column are named from blocks of rows."""
    started = read_clock(session)
    blocks = measure_blocks(session, table, whole=True)
    before = TableInventory(
        rows=blocks.rows,
        digest=blocks.digest,
        key=table.key,
        columns=tuple(column.name for column in table.columns),
        block_lines=write_block_lines(blocks, folder, "before.blocks"),
    )
    ended = read_clock(session)
    first = Taken(ended.busy - started.busy, ended.wall - started.wall)
    session.execute("UPDATE public.plain SET word = 'other' WHERE id = (SELECT count(*) / 2 FROM public.plain)")
    named = Collected(20)

    def find() -> None:
        nonlocal named
        now = measure_blocks(session, table, whole=False)
        lines = write_block_lines(now, folder, "after.blocks")
        rows = write_block_rows(session, table, now.differing(blocks.sums)[:NARROWED], folder, "after.rows")
        update = {"digest": now.digest, "block_lines": lines, "block_row_lines": rows}
        named = Collected(20)
        compare_rows(table.name, before, before.model_copy(update=update), folder, named)

    taken = measure(session, rounds, {"digest": lambda: count_and_hash(session, table), "find": find})
    told = named.result().named
    assert [one.detail for one in told] == ["column word differs"], told
    print(
        f"one row of {blocks.rows:,} changed: {told[0].subject}, {told[0].detail}; found in {taken['find']}, "
        f"{taken['find'].busy - taken['digest'].busy:.2f} s more than the digest; the inventory before: {first}",
        flush=True,
    )


def multiply(session: Connection, table: str, rows: int) -> None:
    """`public.<table>_many`: the seed's rows, each as often as gives about that many."""
    session.execute(
        f"CREATE TABLE public.{table}_many AS SELECT t.* FROM public.{table} t,"
        f" generate_series(1, greatest(1, {rows} / (SELECT greatest(count(*), 1) FROM public.{table})))"
    )


def run(arguments: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-bench-"))
    journal = Journal(folder / "journal.jsonl")
    cluster = LocalCluster(folder / "cluster", Shell(journal), journal, "bench", find_binaries(arguments.pg_bin))
    password = SecretStr(secrets.token_urlsafe())
    database = DatabaseSpec(key="sessionDb", name="session-db", db_name="session_db_db", password=password)
    history = DatabaseSpec(key="jobHistory", name="job-history", db_name="job_history_db", password=password)
    try:
        cluster.deploy(Deployment(databases=(database, history)))
        print(f"best of {arguments.rounds} rounds; {cluster.versions()['postgres']}")
        for spec, own in ((history, ("jobhistory",)), (database, ("job", "dataset", "file", "rule"))):
            if not arguments.no_own:
                compare_own_tables(cluster, spec, own, folder, arguments)
        with cluster.reach(database) as at, connect(at, pinned=True) as session:
            for statement in _TABLES.format(rows=arguments.rows, objects=arguments.objects).split(";\n"):
                session.execute(statement.encode())
            session.execute("VACUUM ANALYZE")
            tables = {table.relation: table for table in find_tables(session)}
            for name in ("plain", "like_dataset"):
                compare_table(session, tables[name], arguments.rounds)
            name_one_row(session, tables["plain"], folder, arguments.rounds)
            compare_objects(session, [tables["object"]], folder, arguments.rounds)
            write_lines(session, tables["like_dataset"], folder)
        print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    finally:
        cluster.close()
        journal.close()
        shutil.rmtree(folder)


def compare_own_tables(
    cluster: LocalCluster, spec: DatabaseSpec, own: tuple[str, ...], folder: Path, arguments: argparse.Namespace
) -> None:
    """Chipster's own tables as the seed of size m fills them, `--own-rows` of each."""
    with cluster.reach(spec) as at:
        with psycopg.connect(at.dsn, password=at.password) as connection:
            Seed(1, "m").fill_database(connection, spec.key)
        with connect(at, pinned=True) as session:
            for name in own:
                multiply(session, name, arguments.own_rows)
            session.execute("VACUUM ANALYZE")
            tables = {table.relation: table for table in find_tables(session)}
            for name in own:
                compare_table(session, tables[f"{name}_many"], arguments.rounds)
            for name in own:
                session.execute(f"DROP TABLE public.{name}_many".encode())
            if spec.key == "sessionDb":
                objects = [table for table in tables.values() if table.large_objects and "many" not in table.relation]
                compare_objects(session, objects, folder, arguments.rounds)


def compare_objects(session: Connection, tables: list[Table], folder: Path, rounds: int) -> None:
    paths = [f"objects-{number}" for number in range(len(tables))]
    count = sum(lines.lines for lines in write_large_object_lines(session, tables, folder, paths))
    taken = measure(session, rounds, {"objects": lambda: write_large_object_lines(session, tables, folder, paths)})[
        "objects"
    ]
    print(f"large objects: {count:,} in {taken}, {count / taken.busy:,.0f} a second", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--own-rows", type=int, default=500_000, metavar="ROWS", help="of each of Chipster's own tables"
    )
    parser.add_argument("--no-own", action="store_true", help="leave Chipster's own tables out")
    parser.add_argument("--objects", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pg-bin", type=Path, default=None, metavar="DIR")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
