"""Operators on the loss: what was to be lost is still there, or part of it, so that a restore proves nothing."""

from __future__ import annotations

from dataclasses import replace

import psycopg
from psycopg import sql

from rehearsal.chipster import runbook
from rehearsal.roles import Stage
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.rewiring import rewire
from rehearsal.tampering.sets import lost_databases, lost_files


def _keep_claims(stage: Stage) -> Stage:
    """The stage with a cluster on which deleting a claim, or emptying a hostPath, does nothing."""
    return rewire(stage, delete_claim=lambda _claim: None, empty_host_path=lambda _store: None)


@operator(
    "claim not deleted",
    why="with reclaimPolicy Retain, a hostPath or a forgotten step the lost data are still there (facts, trap 8)",
    moment="loss",
    area="loss",
    checks="loss",
    differs="procedure",
)
def keep_claim(strike: Strike) -> str:
    strike.lose(_keep_claims(strike.stage))
    return strike.draw.choice(strike.stage.lost).name


@operator(
    "a store was forgotten in the loss",
    why="one database of three kept its claim: a drill that says `everything` and tries two thirds",
    moment="loss",
    area="loss",
    checks="loss",
    loses=("session-db", "auth", "job-history"),
    differs="procedure",
)
def forget_database(strike: Strike) -> str:
    return _forget_one(strike) if len(strike.stage.lost) > 1 else ""


@operator(
    "a replica was forgotten in the loss",
    why="the manual deletes the files of file-storage-0; with a second replica half of them were never gone",
    moment="loss",
    area="loss",
    checks="loss",
    loses=("file-storage",),
    differs="procedure",
    replicas=2,
)
def forget_replica(strike: Strike) -> str:
    return _forget_one(strike) if len(strike.stage.lost) > 1 else ""


def _forget_one(strike: Strike) -> str:
    forgotten = strike.draw.choice(strike.stage.lost)
    strike.lose(replace(strike.stage, lost=tuple(store for store in strike.stage.lost if store is not forgotten)))
    return forgotten.name


@operator(
    "hidden files outlived the loss",
    why="`rm -rf storage/*` keeps dot files, which break the server's own check and statistics (facts, traps 8 and 17)",
    moment="loss",
    area="loss",
    checks=("loss", "files"),
    loses=("file-storage",),
)
def keep_hidden_files(strike: Strike) -> str:
    store = strike.draw.choice(lost_files(strike.stage))
    strike.lose(strike.stage)
    name = f".nfs{strike.draw.getrandbits(64):016x}"
    strike.stage.cluster.exec(store.pod, ("touch", f"storage/{name}"), destructive=True)
    return store.name


@operator(
    "one table dropped instead of the database",
    why="a drill that drops what it is about to restore shows that one table can be restored",
    moment="loss",
    area="loss",
    checks="loss",
    differs="procedure",
)
def drop_one_table(strike: Strike) -> str:
    database = strike.draw.choice(lost_databases(strike.stage))
    with (
        strike.stage.cluster.reach(database) as there,
        psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
    ):
        tables = [
            row[0]
            for row in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
            )
        ]
        if not tables:
            return ""
        table = sql.Identifier("public", strike.draw.choice(tables))
        connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(table))
    return database.name


@operator(
    "a new claim on the old data",
    why="reclaimPolicy Retain or a directory that is used again: another UID, the same volume (facts, trap 8)",
    moment="loss",
    area="loss",
    checks="loss",
    differs="procedure",
)
def retain_data(strike: Strike) -> str:
    stage = strike.stage
    database = strike.draw.choice(lost_databases(stage))
    kept = stage.logs / "tampering-retained.sql"
    try:
        stage.cluster.exec(database.pod, runbook.dump(database), stdout=kept)
        strike.lose(stage)
        stage.cluster.exec(database.pod, runbook.feed_psql(database), stdin=kept, destructive=True)
    finally:
        kept.unlink(missing_ok=True)
    return database.name
