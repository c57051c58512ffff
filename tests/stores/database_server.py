"""One throwaway PostgreSQL with many databases, behind the role Cluster, for the tests of the database store.

A `LocalCluster` has one database a server; these tests want a fresh copy of a filled one each, which `CREATE DATABASE
… TEMPLATE` gives in milliseconds. Only `reach` is played; anything else a store might call fails.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg
from pydantic import SecretStr

from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.deployment import DatabaseKey, DatabaseSpec
from rehearsal.inventory import DatabaseInventory
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.roles import Cluster, Coordinates
from rehearsal.shell import Shell
from rehearsal.stores.postgres import PostgresStore


class NoSeed:
    """For stores whose database is filled by the test."""

    def fill_database(self, connection: psycopg.Connection[Any], key: DatabaseKey) -> dict[str, int]:
        raise AssertionError("this test does not seed")


@dataclass
class DatabaseServer:
    """A running server, reached through a socket in `folder`; plays the `reach` of roles.Cluster."""

    shell: Shell
    journal: Journal
    binaries: Path
    folder: Path
    made: int = field(default=0)

    def reach(self, database: DatabaseSpec) -> AbstractContextManager[Coordinates]:
        return self.reach_by_name(database.db_name)

    @contextmanager
    def reach_by_name(self, name: str) -> Iterator[Coordinates]:
        yield Coordinates(host=str(self.folder), port=5432, dbname=name, user="postgres", password="none")

    def connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.folder), port=5432, dbname=name, user="postgres", autocommit=True)

    def create(self, template: str = "template0") -> str:
        """A new database, a copy of `template`; its name."""
        self.made += 1
        name = f"copy_{self.made}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return name

    def drop(self, name: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def store(self, name: str, folder: Path, seed: Any = None, **options: int) -> PostgresStore:
        spec = DatabaseSpec(key="sessionDb", name="session-db", db_name=name, password=SecretStr("none"))
        return PostgresStore(spec, cast(Cluster, self), folder, self.journal, seed or NoSeed(), **options)

    def look_at(self, name: str, folder: Path, moment: str, **options: int) -> DatabaseInventory:
        return self.store(name, folder, **options).take_inventory(moment)

    def restore_dump(self, source: str, target: str, *options: str) -> None:
        """`pg_dump --clean source | psql target`, as the manual has it; errors of the DROPs are expected.

        Args:
            options: instead of `--clean`.
        """
        server = ("-h", str(self.folder), "-U", "postgres")
        dump = Process((str(self.binaries / "pg_dump"), *(options or ("--clean",)), *server, source))
        self.shell.run(dump, Process((str(self.binaries / "psql"), "-q", *server, target)), accept=(0,))


@contextmanager
def start_server() -> Iterator[DatabaseServer]:
    """A server of the binaries in REHEARSAL_TEST_PG_BIN, or of those a local rehearsal would take."""
    given = os.environ.get("REHEARSAL_TEST_PG_BIN")
    binaries = find_binaries(Path(given) if given else None).bin
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-stores-"))
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
    # settings that the pinned ones must win over
    odd = ("-c", "timezone=Asia/Kathmandu", "-c", "datestyle=German", "-c", "extra_float_digits=-5")
    settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off", *odd)
    # it is killed at the end: what it shares must lie in its own folder, not in /dev/shm
    settings += ("-c", "dynamic_shared_memory_type=mmap")
    server = shell.start(
        Process((str(binaries / "postgres"), "-D", data, *settings), user=user), name="postgres", log=folder / "log"
    )
    try:
        isready = (str(binaries / "pg_isready"), "-q", "-h", str(folder), "-t", "1")
        while shell.run(Process(isready), accept=None).statuses != (0,):
            assert server.alive(), server.log_tail()
        yield DatabaseServer(shell, journal, binaries, folder)
    finally:
        server.kill()
        journal.close()
        shutil.rmtree(folder)
