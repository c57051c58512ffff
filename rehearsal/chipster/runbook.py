"""The manual's own command strings, to the letter: `seed-backup`, "Backup databases" and "Restore".

One place, so that a loss, a method and a report all speak of the same commands.
"""

from __future__ import annotations

from rehearsal.deployment import DatabaseSpec

REMOVE_FILES = ("bash", "-c", "rm -rf storage/*")
"""Section "Delete file-storage files"; keeps dot files and the claim (facts, trap 8)."""

MEASURE_FILES = ("du", "-sh", "storage")
PACK_FILES = ("tar", "cf", "-", "storage")
UNPACK_FILES = ("tar", "xf", "-", "--no-overwrite-dir")


def _run_as_postgres(database: DatabaseSpec, command: str) -> tuple[str, ...]:
    return ("bash", "-c", f"PGPASSWORD=$POSTGRES_PASSWORD {command} -U postgres {database.db_name}")


def vacuum_large_objects(database: DatabaseSpec) -> tuple[str, ...]:
    """`vacuumlo`, before the dump."""
    return _run_as_postgres(database, "vacuumlo")


def dump(database: DatabaseSpec) -> tuple[str, ...]:
    """`pg_dump --clean`, plain text on standard output."""
    return _run_as_postgres(database, "pg_dump --clean")


def feed_psql(database: DatabaseSpec) -> tuple[str, ...]:
    """`psql` without ON_ERROR_STOP, as the manual has it: ends with status 0 whatever failed."""
    return _run_as_postgres(database, "psql")
