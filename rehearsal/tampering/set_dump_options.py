"""Operators on the backup set: a whole dump that was taken with an option too many, or of something else.

pg_dump itself makes these, after the backup, so they are as good as a dump can be; the rows of the marker, which is
written only after the backup, are taken out again where they must not be in it. The manifest is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import psycopg
from psycopg import sql

from rehearsal.chipster import runbook
from rehearsal.chipster.schemas import MARK_TABLE
from rehearsal.chipster.seeding import Seed
from rehearsal.deployment import DatabaseSpec
from rehearsal.errors import CommandFailed
from rehearsal.roles import Stage
from rehearsal.tampering.dump_parts import Dump, name_objects, read_dump, read_rows, write_over
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.sets import draw_dump, remake_manifest

_MARKER = b"marker\t"

Choice = Callable[[Path, Dump, Random], tuple[str, str]]


def _dump_again(stage: Stage, database: DatabaseSpec, path: Path, options: str) -> None:
    """Put a new dump with these options in the place of the set's.

    Raises:
        CommandFailed: pg_dump did not like them.
    """
    *shell, command = runbook.dump(database)
    command = command.replace("pg_dump --clean", f"pg_dump {options}")
    result = stage.cluster.exec(database.pod, (*shell, command), stdout=path)
    if result.status != 0:
        raise CommandFailed(result.command, [result.status], "", result.stderr.decode(errors="replace"))


def _take_out_marker(path: Path) -> None:
    for rows in read_dump(path).rows:
        if rows.table == MARK_TABLE:
            kept = [line for line in read_rows(path, rows) if not line.startswith(_MARKER)]
            write_over(path, rows.start, rows.end, b"".join(kept))


def dump_with(name: str, *, why: str, checks: str) -> Callable[[Choice], Choice]:
    """Register a dump with other options in the place of a lost database's; what is chosen is options and piece."""

    def register(choose: Choice) -> Choice:
        @operator(name, why=why, moment="after backup", area="backup set", checks=checks)
        def strike_dump(strike: Strike) -> str:
            database, path = draw_dump(strike.stage, strike.draw)
            options, piece = choose(path, read_dump(path), strike.draw)
            if piece:
                _dump_again(strike.stage, database, path, options)
                _take_out_marker(path)
                remake_manifest(strike.stage)
            return piece

        return choose

    return register


@dump_with(
    "dump of the schema alone",
    why="`pg_dump -s`, right for a test server, forgotten in the nightly script: every table is back, and empty",
    checks="rows",
)
def dump_schema_only(path: Path, dump: Dump, draw: Random) -> tuple[str, str]:  # noqa: ARG001 - nothing is drawn
    return "--clean --schema-only", dump.filled()[0].table if dump.filled() else ""


@dump_with(
    "dump of the data alone",
    why="`pg_dump -a` counts on tables that a service would have made (facts, trap 6); an empty database has none",
    checks="tables",
)
def dump_data_only(path: Path, dump: Dump, draw: Random) -> tuple[str, str]:  # noqa: ARG001
    return "--data-only", draw.choice(dump.filled()).table if dump.filled() else ""


@dump_with(
    "a table left out of a dump",
    why="`pg_dump -T`, to keep a dump small: the rest restores without a word",
    checks="tables",
)
def dump_without_table(path: Path, dump: Dump, draw: Random) -> tuple[str, str]:  # noqa: ARG001
    tables = [rows.table for rows in dump.filled() if rows.table.startswith("public.")]
    table = draw.choice(tables) if tables else ""
    return f"--clean -T {table}", table


@dump_with(
    "dump of schema public alone",
    why="`pg_dump -n public` leaves large objects out (PostgreSQL, pg_dump, -n: non-schema objects are not dumped)",
    checks="large-objects",
)
def dump_public_only(path: Path, dump: Dump, draw: Random) -> tuple[str, str]:  # noqa: ARG001
    return "--clean -n public", name_objects(path, dump)


@dump_with(
    "dump without grants",
    why="`pg_dump -x`: whoever had a right of their own is locked out, the superuser notices nothing",
    checks="schema",
)
def dump_without_grants(path: Path, dump: Dump, draw: Random) -> tuple[str, str]:  # noqa: ARG001
    granted = [entry for entry in dump.of_kind("ACL") if entry.name.startswith("TABLE ")]
    if not granted:
        return "", ""
    entry = draw.choice(granted)
    return "--clean --no-privileges", f"{entry.schema}.{entry.name.removeprefix('TABLE ')}"


@operator(
    "dump of a later moment",
    why="a copy that is refreshed in place holds what was written after the backup, damage and deletions too",
    moment="after backup",
    area="backup set",
    checks="marker",
)
def dump_later(strike: Strike) -> str:
    database, path = draw_dump(strike.stage, strike.draw)
    _dump_again(strike.stage, database, path, "--clean")
    remake_manifest(strike.stage)
    return database.name


@operator(
    "dump of another server",
    why="two servers with the same names, one backup folder: the test server's dump is whole, and another's",
    moment="after backup",
    area="backup set",
    checks=("nonce", "rows"),
)
def dump_another_server(strike: Strike) -> str:
    database, path = draw_dump(strike.stage, strike.draw)
    other = database.model_copy(update={"db_name": f"other_{strike.draw.randrange(10**6)}"})
    name = sql.Identifier(other.db_name)
    with (
        strike.stage.cluster.reach(database) as there,
        psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
    ):
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        try:
            with psycopg.connect(
                there.dsn, password=there.password, dbname=other.db_name, autocommit=False
            ) as elsewhere:
                Seed(strike.draw.randrange(10**6), "xs").fill_database(elsewhere, database.key)
            _dump_again(strike.stage, other, path, "--clean")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    remake_manifest(strike.stage)
    return database.name
