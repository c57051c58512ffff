"""A system as it looks just after a good restore, to be damaged again and again: one server, seed 1 of size xs.

Every operator gets copies of its own: databases by `CREATE DATABASE … TEMPLATE`, the storage directory by `cp -a`. The
inventory before is taken once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import psycopg
from pydantic import SecretStr

from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.deployment import DatabaseSpec, Deployment, FilesSpec, StoreSpec
from rehearsal.differences import compare_databases, compare_files
from rehearsal.inventory import DatabaseInventory, Differences, FilesInventory, Inventory
from rehearsal.journal import Journal
from rehearsal.roles import Cluster, Coordinates, ExecResult, Stage
from rehearsal.shell import Shell
from rehearsal.stores.files import FileStore
from rehearsal.stores.postgres import PostgresStore
from rehearsal.tampering.operators import Operator

DATABASES = (
    DatabaseSpec(key="sessionDb", name="session-db", db_name="session_db_db", password=SecretStr("of-the-tests")),
    DatabaseSpec(key="auth", name="auth", db_name="auth_db", password=SecretStr("of-the-tests")),
    DatabaseSpec(key="jobHistory", name="job-history", db_name="job_history_db", password=SecretStr("of-the-tests")),
)
FILES = FilesSpec()
SEED = Seed(1, "xs")
_AFRESH = "shopt -s dotglob; find storage -type d -exec chmod u+rwx {} +; rm -rf storage/*; cp -a pristine/. storage/"


@dataclass
class RestoredLike:
    """Plays roles.Cluster: `reach` leads to the copy in use, commands run in the one file-storage pod."""

    cluster: LocalCluster
    folder: Path
    journal: Journal
    made: int = 0
    in_use: dict[str, str] = field(default_factory=dict)
    before: dict[str, Inventory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores: dict[str, PostgresStore | FileStore] = {
            spec.name: PostgresStore(spec, cast(Cluster, self), self.folder, self.journal, SEED) for spec in DATABASES
        }
        self.stores[FILES.name] = FileStore(FILES, cast(Cluster, self), self.folder, self.journal, SEED)

    # -- the cluster that operators and stores see ---------------------------------------------------------------------

    @contextmanager
    def reach(self, database: DatabaseSpec) -> Iterator[Coordinates]:
        with self.cluster.reach(DATABASES[0]) as there:
            yield replace(there, dbname=self.in_use[database.name])

    def exec(self, pod: str, argv: Any, **options: Any) -> ExecResult:
        return self.cluster.exec(pod, argv, **options)

    def hook_environment(self) -> Mapping[str, str]:
        return self.cluster.hook_environment()

    # -- the system and its copies -------------------------------------------------------------------------------------

    @contextmanager
    def connect(self, name: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        with (
            self.cluster.reach(DATABASES[0]) as there,
            psycopg.connect(
                replace(there, dbname=name).dsn, password=there.password, autocommit=True, options="-c timezone=UTC"
            ) as connection,
        ):
            yield connection

    def prepare(self) -> None:
        """Seed everything, keep it aside, take the inventories before."""
        for spec in DATABASES:
            self.in_use[spec.name] = f"whole_{spec.key.lower()}"
            with self.connect() as connection:
                connection.execute(f"CREATE DATABASE {self.in_use[spec.name]} TEMPLATE template0".encode())
        for store in self.stores.values():
            store.seed()
            store.write_mark("nonce", f"nonce of {store.spec.name}")
            self.before[store.spec.name] = store.take_inventory("before")
        self.run_in_pod("cp -a storage pristine")

    def run_in_pod(self, script: str) -> bytes:
        result = self.cluster.exec(FILES.pod, ("bash", "-e", "-c", script))
        assert result.status == 0, result.stderr
        return result.stdout

    @contextmanager
    def fresh(self, operator: Operator) -> Iterator[Stage]:
        """The stage of a rehearsal that lost the operator's stores, which are whole again."""
        lost = Deployment(databases=DATABASES).playing(operator.loses)
        names = [self._copy(spec) for spec in lost if spec.kind == "database"]
        if FILES in lost:
            self.run_in_pod(_AFRESH)
        yield self._stage(lost)
        with self.connect() as connection:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _copy(self, spec: DatabaseSpec) -> str:
        self.made += 1
        name = f"copy_{self.made}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE whole_{spec.key.lower()}".encode())
        self.in_use[spec.name] = name
        return name

    def _stage(self, lost: tuple[StoreSpec, ...]) -> Stage:
        return Stage(
            cluster=cast(Cluster, self),
            deployment=Deployment(databases=DATABASES),
            stores=(*DATABASES, FILES),
            lost=lost,
            backup_folder=self.folder / "backup",
            logs=self.folder,
            private=self.folder / "private",
            run_id="run",
            values_copy="",
            journal=self.journal,
            report_command=lambda *_: None,
        )

    def compare(self, spec: StoreSpec) -> dict[str, Differences]:
        """What our judge finds in that store now, by aspect; `files` for a file-storage."""
        before, after = self.before[spec.name], self.stores[spec.name].take_inventory("after")
        if isinstance(before, DatabaseInventory) and isinstance(after, DatabaseInventory):
            return compare_databases(before, after, self.folder)
        assert isinstance(before, FilesInventory)
        assert isinstance(after, FilesInventory)
        return {"files": compare_files(before, after, self.folder)}

    def reset_server(self) -> None:
        """Take back what a benign change set for the whole server."""
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("ALTER ROLE postgres RESET ALL")
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def start_restored_like(folder: Path) -> Iterator[RestoredLike]:
    journal = Journal(folder / "journal.jsonl")
    cluster = LocalCluster(folder / "cluster", Shell(journal), journal, "of-the-tests", find_binaries(None))
    try:
        cluster.deploy(Deployment(databases=DATABASES[:1]))
        system = RestoredLike(cluster, folder, journal)
        system.prepare()
        yield system
    finally:
        cluster.close()
        journal.close()
