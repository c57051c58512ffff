"""A throwaway PostgreSQL for the tests of the seed, and what is asked of its databases.

A `LocalCluster` with one of Chipster's servers, in which the tests make a dozen databases of their own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from rehearsal.chipster.files import StoredFile, describe_file
from rehearsal.chipster.plan import Plan
from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.deployment import DatabaseKey, DatabaseSpec, Deployment
from rehearsal.journal import Journal
from rehearsal.roles import Coordinates, ExecResult
from rehearsal.shell import Shell

KEYS: tuple[DatabaseKey, ...] = ("sessionDb", "auth", "jobHistory")
SPEC = DatabaseSpec(key="sessionDb", name="session-db", db_name="session_db_db", password=SecretStr("seed-tests-only"))
PINNED = (
    b"SET timezone TO 'UTC'; SET datestyle TO 'ISO, YMD'; SET intervalstyle TO 'postgres'; SET extra_float_digits TO 1;"
)


@dataclass(frozen=True)
class Postgres:
    """A running server; databases are made in it at will."""

    cluster: LocalCluster
    at: Coordinates

    @contextmanager
    def connect(self, name: str, autocommit: bool = False) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(
            host=self.at.host,
            port=self.at.port,
            dbname=name,
            user=self.at.user,
            password=self.at.password,
            autocommit=autocommit,
        ) as connection:
            yield connection

    def create(self, name: str) -> str:
        """An empty database like those of the real pods."""
        with self.connect("postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        return name

    def run(self, command: str, *, stdin: Path | None = None, stdout: Path | None = None) -> ExecResult:
        """A command in the pod, as the manual types it."""
        shell = ("bash", "-c", f"PGPASSWORD=$POSTGRES_PASSWORD {command}")
        result = self.cluster.exec(SPEC.pod, shell, stdin=stdin, stdout=stdout)
        assert result.status == 0, result.stderr
        return result

    def dump(self, name: str, folder: Path) -> bytes:
        """`pg_dump --clean` to `<name>.sql` in `folder`; returned without the random words of `\\restrict`."""
        target = folder / f"{name}.sql"
        self.run(f"pg_dump --clean -U postgres {name}", stdout=target)
        return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", target.read_bytes())


@contextmanager
def start_postgres() -> Iterator[Postgres]:
    """A server of the binaries in REHEARSAL_TEST_PG_BIN, or of those a local rehearsal would take."""
    given = os.environ.get("REHEARSAL_TEST_PG_BIN")
    binaries = find_binaries(Path(given) if given else None)
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-seed-"))
    journal = Journal(folder / "journal.jsonl")
    cluster = LocalCluster(folder / "cluster", Shell(journal), journal, "of-the-tests", binaries)
    try:
        cluster.deploy(Deployment(databases=(SPEC,)))
        with cluster.reach(SPEC) as coordinates:
            yield Postgres(cluster, coordinates)
    finally:
        cluster.close()
        journal.close()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Seeded:
    """Seed 1 of size s: its databases by key, and what `fill_database` said of each."""

    seed: Seed
    databases: dict[DatabaseKey, str]
    counts: dict[DatabaseKey, dict[str, int]]


def fill(postgres: Postgres, seed: Seed, prefix: str) -> Seeded:
    databases: dict[DatabaseKey, str] = {}
    counts: dict[DatabaseKey, dict[str, int]] = {}
    for key in KEYS:
        databases[key] = postgres.create(f"{prefix}_{key.lower()}")
        with postgres.connect(databases[key]) as connection:
            counts[key] = seed.fill_database(connection, key)
    return Seeded(seed, databases, counts)


def fetch(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def digest_rows(connection: psycopg.Connection[Any], table: str) -> str:
    """Of the sorted lines of the table's COPY: physical order is the server's business."""
    schema, _, name = table.partition(".")
    with connection.cursor() as cursor, cursor.copy(f'COPY "{schema}"."{name}" TO STDOUT'.encode()) as copy:
        lines = sorted(b"".join(copy).split(b"\n"))
    return hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]


def digest_database(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Of every table, of the large objects by oid, of the sequences."""
    connection.execute(PINNED)
    tables = fetch(
        connection,
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'rehearsal_extras')",
    )
    digests = {table: digest_rows(connection, table) for (table,) in sorted(tables)}
    objects = fetch(connection, "SELECT oid::text, encode(sha256(lo_get(oid)), 'hex') FROM pg_largeobject_metadata")
    digests["large objects"] = hashlib.sha256(repr(sorted(objects)).encode()).hexdigest()[:16]
    sequences = fetch(connection, "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
    digests["sequences"] = hashlib.sha256(repr(sequences).encode()).hexdigest()[:16]
    return digests


def digest_all(postgres: Postgres, databases: dict[DatabaseKey, str]) -> dict[DatabaseKey, dict[str, str]]:
    digests = {}
    for key, name in databases.items():
        with postgres.connect(name) as connection:
            digests[key] = digest_database(connection)
    return digests


def describe_all(plan: Plan) -> list[StoredFile]:
    return [describe_file(plan, index) for index in range(plan.scale.files)]
