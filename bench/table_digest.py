"""How fast a table is fingerprinted, against the formula that other tools use, in one run, rounds interleaved.

    .venv/bin/python bench/table_digest.py --rows 1000000

A: our digest (`count(*)` and the sum of exact row hashes, one scan). B: pgcopydb's formula,
`sum(hashtext(t::text)::bigint)`. C: `count(*)` alone. Each on a plain table and on one like Chipster's `dataset`.
Also the line a row that follows the digest, and 60,000 small large objects by SHA-256, one session, so one core of the
server. One throwaway server without fsync; parallel query off on all sides; medians.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from psycopg import sql
from pydantic import SecretStr

from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.deployment import DatabaseSpec, Deployment
from rehearsal.journal import Journal
from rehearsal.shell import Shell
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
CREATE TABLE public.dataset (
    datasetid uuid, sessionid uuid, created timestamptz(6), name varchar(255), notes oid, sourcejob uuid, x integer,
    y integer, fileid uuid, metadatafiles jsonb, labelids jsonb, PRIMARY KEY (sessionid, datasetid));
INSERT INTO public.dataset
SELECT md5('d' || n)::uuid, md5('s' || n / 20)::uuid, timestamptz '2026-01-01Z' + n * interval '1 s',
    'file ' || n || '.tsv', NULL, md5('j' || n)::uuid, n % 100, n % 77, md5('f' || n)::uuid,
    jsonb_build_array(jsonb_build_object('name', 'phenodata', 'values', jsonb_build_array(n, n + 1, 0.5))), '[]'
FROM generate_series(1, {rows}) n;
CREATE TABLE public.object (id integer PRIMARY KEY, notes oid);
INSERT INTO public.object
SELECT n, lo_from_bytea(0, convert_to(repeat('notes of session ' || n, n % 40), 'UTF8'))
FROM generate_series(1, {objects}) n;
"""


def measure(rounds: int, ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each way; a round runs all of them, the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def compare_table(session: Connection, table: Table, folder: Path, rounds: int) -> None:
    theirs = sql.SQL("SELECT sum(hashtext(t::text)::bigint) FROM {} t").format(table.source)
    count = sql.SQL("SELECT count(*) FROM {}").format(table.source)
    expected = count_and_hash(session, table)
    taken = measure(
        rounds,
        {
            "ours": lambda: count_and_hash(session, table),
            "theirs": lambda: session.execute(theirs).fetchone(),
            "count": lambda: session.execute(count).fetchone(),
        },
    )
    lines = measure(1, {"lines": lambda: write_row_lines(session, table, folder, "lines", expected)})["lines"]
    ours, hashtext, counted = taken["ours"], taken["theirs"], taken["count"]
    print(
        f"{table.relation:10} A {ours:6.3f} s   B {hashtext:6.3f} s   C {counted:6.3f} s   B/A {hashtext / ours:5.2f}x"
        f"   A/C {ours / counted:5.2f}x   lines {lines:6.2f} s"
    )


def run(arguments: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-bench-"))
    journal = Journal(folder / "journal.jsonl")
    cluster = LocalCluster(folder / "cluster", Shell(journal), journal, "bench", find_binaries(arguments.pg_bin))
    password = SecretStr(secrets.token_urlsafe())
    database = DatabaseSpec(key="sessionDb", name="session-db", db_name="session_db_db", password=password)
    try:
        cluster.deploy(Deployment(databases=(database,)))
        with cluster.reach(database) as at, connect(at, pinned=True) as session:
            statements = _TABLES.format(rows=arguments.rows, objects=arguments.objects)
            for statement in statements.split(";\n"):
                session.execute(statement.encode())
            session.execute("VACUUM ANALYZE")
            print(f"{arguments.rows:,} rows, median of {arguments.rounds} rounds; {cluster.versions()['postgres']}")
            tables = {table.relation: table for table in find_tables(session)}
            for name in ("plain", "dataset"):
                compare_table(session, tables[name], folder, arguments.rounds)
            objects = [tables["object"]]
            taken = measure(
                arguments.rounds,
                {"objects": lambda: write_large_object_lines(session, objects, folder, ["objects"])},
            )["objects"]
            print(f"large objects: {arguments.objects:,} in {taken:.3f} s, {arguments.objects / taken:,.0f} a second")
        print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    finally:
        cluster.close()
        journal.close()
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pg-bin", type=Path, default=None, metavar="DIR")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
