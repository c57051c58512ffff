"""Chipster's three schemas as a running server has them, and the schema of our own beside them.

The DDL is our own writing (`ddl/*.sql`); columns, keys and indexes are those read off a running server's catalogues.
Flyway's history is filled as the services leave it. Its checksums are not Chipster's: a real service that starts on a
seeded database refuses it ("checksum mismatch") until Flyway's validation is off or repaired.
"""

from __future__ import annotations

import zlib
from importlib import resources
from typing import Any

import psycopg

from rehearsal.chipster.draws import YEAR, Draws, write_instant
from rehearsal.deployment import DatabaseKey

EXTRAS = "rehearsal_extras"
"""Schema of what Chipster lacks today."""
MARK_TABLE = f"{EXTRAS}.mark"
"""Holds nonce and marker: `kind text`, `value text`, `written_at timestamptz`; no part of an inventory."""

DDL: dict[DatabaseKey, str] = {"sessionDb": "session_db.sql", "auth": "auth.sql", "jobHistory": "job_history.sql"}

MIGRATIONS: dict[DatabaseKey, tuple[str, ...]] = {
    "sessionDb": (
        "Base version",
        "Add session state column",
        "Add sharedby index and timestamp",
        "Add metadata files to dataset and job",
        "Initialize metadatafiles array",
        "Convert lob columns to oid",
        "Add file storage column",
        "Add comp column",
        "Add storage usage column",
        "Add resource limits",
        "Add news table",
        "Add job outputs",
        "Add file state",
        "Add encrypt key",
        "Hibernate6 types",
        "Add user resource limits",
        "Add labels",
    ),
    "auth": (
        "Base version",
        "Add preferences column",
        "Hibernate6 types",
        "Add oidc login session",
        "Add source ip",
        "Add code",
    ),
    "jobHistory": (
        "Base version",
        "Convert lob columns to oid",
        "Add created column",
        "Add state detail column",
        "Rename columns",
        "Add storage usage column",
        "Hibernate6 types",
    ),
}
"""Descriptions of Flyway's migrations; the first has version 1."""


def read_ddl(key: DatabaseKey) -> str:
    """SQL that creates the database's tables and the extras, in an empty database of PostgreSQL 14 or later."""
    folder = resources.files("rehearsal.chipster") / "ddl"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in (DDL[key], "extras.sql"))


def create_schema(connection: psycopg.Connection[Any], key: DatabaseKey) -> None:
    """Create the tables of that database and the extras, inside the caller's transaction.

    Raises:
        psycopg.Error: the database is not empty, or not PostgreSQL 14 or later.
    """
    connection.execute(read_ddl(key).encode("utf-8"))


def describe_migrations(key: DatabaseKey, number: int) -> list[tuple[object, ...]]:
    """Rows of `flyway_schema_history` for that seed."""
    draws = Draws(number, "flyway", key)
    installed = draws.below(YEAR)
    rows: list[tuple[object, ...]] = []
    for version, description in enumerate(MIGRATIONS[key], start=1):
        script = f"V{version}__{description.replace(' ', '_')}.sql"
        checksum = zlib.crc32(script.encode("ascii")) - 2**31
        installed += draws.below(YEAR // 4)
        instant = write_instant(installed).removesuffix("+00:00")
        took = draws.below(500)
        rows.append((version, str(version), description, "SQL", script, checksum, "postgres", instant, took, True))
    return rows
