"""A throwaway PostgreSQL for the tests of the seed, and what is asked of its databases.

One server with many databases, reached through a socket in a folder of its own: a `LocalCluster` has three servers,
each with one database, and these tests want a dozen empty ones.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from rehearsal.chipster.files import StoredFile, describe_file
from rehearsal.chipster.plan import Plan
from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.deployment import DatabaseKey
from rehearsal.journal import Journal
from rehearsal.shell import Outcome, Process, Shell

KEYS: tuple[DatabaseKey, ...] = ("sessionDb", "auth", "jobHistory")
PINNED = (
    b"SET timezone TO 'UTC'; SET datestyle TO 'ISO, YMD'; SET intervalstyle TO 'postgres'; SET extra_float_digits TO 1;"
)


@dataclass(frozen=True)
class Postgres:
    """A running server, reached through a socket in `folder`."""

    shell: Shell
    binaries: Path
    folder: Path

    @contextmanager
    def connect(self, name: str) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(host=str(self.folder), port=5432, dbname=name, user="postgres") as connection:
            yield connection

    def create(self, name: str) -> str:
        """An empty database like those of the real pods."""
        with psycopg.connect(host=str(self.folder), dbname="postgres", user="postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        return name

    def run(self, tool: str, *arguments: str, stdin: Path | None = None, stdout: Path | None = None) -> Outcome:
        """A client tool, told where the server is."""
        argv = (str(self.binaries / tool), "-h", str(self.folder), "-U", "postgres", *arguments)
        return self.shell.run(Process(argv), stdin=stdin, stdout=stdout)

    def dump(self, name: str, folder: Path) -> bytes:
        """`pg_dump --clean` to `<name>.sql` in `folder`; returned without the random words of `\\restrict`."""
        target = folder / f"{name}.sql"
        self.run("pg_dump", "--clean", name, stdout=target)
        return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", target.read_bytes())


@contextmanager
def start_postgres() -> Iterator[Postgres]:
    """A server of the binaries in REHEARSAL_TEST_PG_BIN, or of those a local rehearsal would take."""
    given = os.environ.get("REHEARSAL_TEST_PG_BIN")
    binaries = find_binaries(Path(given) if given else None).bin
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-seed-"))
    user = None
    if os.getuid() == 0:  # initdb refuses root
        nobody = pwd.getpwnam("nobody")
        user = (nobody.pw_uid, nobody.pw_gid)
        os.chown(folder, *user)
    journal = Journal(folder / "journal.jsonl")
    shell = Shell(journal)
    data = str(folder / "data")
    initdb = (str(binaries / "initdb"), "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust")
    shell.run(Process((*initdb, "--no-sync"), user=user))
    settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
    server = shell.start(
        Process((str(binaries / "postgres"), "-D", data, *settings), user=user), name="postgres", log=folder / "log"
    )
    try:
        isready = (str(binaries / "pg_isready"), "-q", "-h", str(folder), "-t", "1")
        while shell.run(Process(isready), accept=None).statuses != (0,):
            assert server.alive(), server.log_tail()
        yield Postgres(shell, binaries, folder)
    finally:
        server.kill()
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
        databases[key] = postgres.create(f"{prefix}_{key}")
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
