"""How long a seed takes: three databases and the files of one replica, into a throwaway local cluster.

    .venv/bin/python bench/seed.py --size m

The way is the rehearsal's own: `fill_database` over loopback into each PostgreSQL server, `tar_stream` through
`tar xf -` in the file-storage pod. The servers run without fsync. Peak memory is that of this process, which makes the
data; the servers' and tar's are not in it.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import shutil
import tempfile
import time
from pathlib import Path

import psycopg
from pydantic import SecretStr

from rehearsal.chipster.seeding import Seed
from rehearsal.clusters.local import LocalCluster
from rehearsal.clusters.postgres_binaries import find_binaries
from rehearsal.deployment import DatabaseKey, DatabaseSpec, Deployment
from rehearsal.journal import Journal
from rehearsal.shell import Shell

_DATABASES: tuple[tuple[DatabaseKey, str, str], ...] = (
    ("sessionDb", "session-db", "session_db_db"),
    ("auth", "auth", "auth_db"),
    ("jobHistory", "job-history", "job_history_db"),
)


def make_deployment() -> Deployment:
    password = SecretStr(secrets.token_urlsafe())
    return Deployment(
        databases=tuple(
            DatabaseSpec(key=key, name=name, db_name=db_name, password=password) for key, name, db_name in _DATABASES
        )
    )


def fill(cluster: LocalCluster, database: DatabaseSpec, seed: Seed) -> str:
    """Seed one database; returns what was written, in words."""
    with (
        cluster.reach(database) as at,
        psycopg.connect(at.dsn, password=at.password) as connection,
    ):
        counts = seed.fill_database(connection, database.key)
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    rows = sum(count for table, count in counts.items() if "." in table)
    assert size is not None
    return f"{rows:,} rows, {counts['large objects']:,} large objects, {size[0] / 1e6:,.0f} MB on disk"


def write_files(cluster: LocalCluster, seed: Seed) -> tuple[int, str]:
    """Unpack the replica in its pod; returns bytes and words."""
    result = cluster.exec("file-storage-0", ("tar", "xf", "-"), stdin=seed.tar_stream(0))
    assert result.status == 0, result.stderr
    counts = seed.file_counts(0)
    return counts["bytes"], f"{counts['files']:,} files, {counts['bytes'] / 1e6:,.0f} MB"


def run(arguments: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-bench-", dir=arguments.folder))
    journal = Journal(folder / "journal.jsonl")
    cluster = LocalCluster(folder / "cluster", Shell(journal), journal, "bench", find_binaries(arguments.pg_bin))
    deployment = make_deployment()
    seed = Seed(arguments.seed, arguments.size)
    try:
        cluster.deploy(deployment)
        print(f"seed {arguments.seed}, size {arguments.size}; {cluster.versions()['postgres']}")
        begun = time.perf_counter()
        for database in deployment.databases:
            started = time.perf_counter()
            words = fill(cluster, database, seed)
            print(f"{database.name:14} {time.perf_counter() - started:7.2f} s  {words}")
        started = time.perf_counter()
        size, words = write_files(cluster, seed)
        seconds = time.perf_counter() - started
        print(f"{'file-storage-0':14} {seconds:7.2f} s  {words}, {size / 1e6 / seconds:,.0f} MB/s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'together':14} {time.perf_counter() - begun:7.2f} s  peak memory {peak:,.0f} MiB")
    finally:
        cluster.close()
        journal.close()
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("s", "m", "l"), default="m")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pg-bin", type=Path, default=None, metavar="DIR")
    parser.add_argument(
        "--folder", type=Path, default=None, metavar="DIR", help="where the data goes; size l needs 15 GB"
    )
    run(parser.parse_args())


if __name__ == "__main__":
    main()
