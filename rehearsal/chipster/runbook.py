"""The manual's own command strings, to the letter: `seed-backup`, "Backup databases" and "Restore".

One place, so that a loss, a method and a report all speak of the same commands.
"""

from __future__ import annotations

import shlex

from rehearsal.deployment import DatabaseSpec

REMOVE_FILES = ("bash", "-c", "rm -rf storage/*")
"""Section "Delete file-storage files"; keeps dot files and the claim (facts, trap 8)."""

MEASURE_FILES = ("du", "-sh", "storage")
PACK_FILES = ("tar", "cf", "-", "storage")
UNPACK_FILES = ("tar", "xf", "-", "--no-overwrite-dir")


LIST_FILES = ("find", "storage", "-path", "storage/backup", "-prune", "-o", "-type", "f", "-printf", "%s %P\\0")
"""What the built-in backup looks at: every regular file but those of its own temporary folder."""
PACK_LISTED = ("tar", "cf", "-", "-C", "storage", "--no-recursion", "--null", "--verbatim-files-from", "-T", "-")

_TABLES = (
    "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"
)


def _run_as_postgres(database: DatabaseSpec, command: str) -> tuple[str, ...]:
    return ("bash", "-c", f"PGPASSWORD=$POSTGRES_PASSWORD {command} -U postgres {database.db_name}")


def vacuum_large_objects(database: DatabaseSpec) -> tuple[str, ...]:
    """`vacuumlo`, before the dump."""
    return _run_as_postgres(database, "vacuumlo")


def dump(database: DatabaseSpec) -> tuple[str, ...]:
    """`pg_dump --clean`, plain text on standard output."""
    return _run_as_postgres(database, "pg_dump --clean")


def dump_plainly(database: DatabaseSpec) -> tuple[str, ...]:
    """`pg_dump` without `--clean`, as the server's built-in backup makes it (facts, section 6)."""
    return _run_as_postgres(database, "pg_dump")


def list_tables(database: DatabaseSpec) -> tuple[str, ...]:
    """Names of the tables of every schema but the server's own, a line each."""
    return _run_as_postgres(database, f"psql -XAtqc {shlex.quote(_TABLES)}")


def feed_psql(database: DatabaseSpec) -> tuple[str, ...]:
    """`psql` without ON_ERROR_STOP, as the manual has it: ends with status 0 whatever failed."""
    return _run_as_postgres(database, "psql")
