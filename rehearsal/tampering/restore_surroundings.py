"""Operators on what surrounds a restore: services that are still connected, a full disk, a server that is not alike.

They reach the database beside psql, and where a moment within the restore matters they feed psql only so far, wait
until the server has it, strike, and feed it the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from rehearsal.deployment import DatabaseSpec
from rehearsal.errors import CommandFailed
from rehearsal.roles import Coordinates, ExecResult, Stage
from rehearsal.tampering.dump_parts import END_OF_ROWS, Rows, read_dump
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.restore_streams import read_part
from rehearsal.tampering.restores import is_psql
from rehearsal.tampering.rewiring import rewire_command
from rehearsal.tampering.sets import draw_dump
from rehearsal.waiting import wait_until

_PATIENCE = 60.0
_MOST_CONNECTIONS = 1_000

Connection = psycopg.Connection[Any]


def _connect(there: Coordinates, **other: str) -> Connection:
    return psycopg.connect(there.dsn, password=there.password, autocommit=True, **other)  # type: ignore[arg-type]


def _restore_with_pause(strike: Strike, path: Path, pause: int, meanwhile: Callable[[], None]) -> None:
    """Restore, and call `meanwhile` once psql got the first `pause` bytes of that dump."""

    def feed() -> Iterator[bytes]:
        yield from read_part(path, 0, pause)
        meanwhile()
        yield from read_part(path, pause)

    def run(pod: str, argv: tuple[str, ...], **rest: Any) -> ExecResult:
        stdin = feed() if rest["stdin"] == path else rest["stdin"]
        return strike.stage.cluster.exec(pod, argv, **{**rest, "stdin": stdin})

    strike.restore(rewire_command(strike.stage, is_psql, run))


def _wait_for_rows(connection: Connection, rows: Rows) -> None:
    """Return when the server has the rows of a table that psql was fed.

    Raises:
        WaitTimeout: they do not come.
    """
    counted = f"SELECT count(*) FROM {rows.table}"  # noqa: S608 - a table of the dump

    def has_come() -> bool:
        there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (rows.table,)).fetchone()
        if there is None or not there[0]:
            return False
        found = connection.execute(counted.encode()).fetchone()
        return found is not None and bool(found[0] >= rows.count)

    wait_until(has_come, _PATIENCE, f"{rows.table} restored")


@operator(
    "a service writes during the restore",
    why="services left running are connected again as soon as their tables are there (facts, trap 6)",
    moment="restore",
    area="restore",
    checks="rows",
)
def write_meanwhile(strike: Strike) -> str:
    database, path = draw_dump(strike.stage, strike.draw)
    news = next((rows for rows in read_dump(path).rows if rows.table == "public.news"), None)
    if news is None:
        return ""
    newsid = str(uuid.UUID(int=strike.draw.getrandbits(128)))
    with strike.stage.cluster.reach(database) as there, _connect(there) as service:

        def write() -> None:
            _wait_for_rows(service, news)
            service.execute("INSERT INTO public.news (newsid) VALUES (%s)", (newsid,))

        _restore_with_pause(strike, path, news.end + len(END_OF_ROWS), write)
    return f'public.news ["{newsid}"]'


@operator(
    "services hold every connection",
    why="pools of services left running connect as the superuser too, so that psql finds no connection (facts, trap 6)",
    moment="restore",
    area="restore",
    checks=("nonce", "tables"),
)
def exhaust_connections(strike: Strike) -> str:
    database, _ = draw_dump(strike.stage, strike.draw)
    with strike.stage.cluster.reach(database) as there, ExitStack() as pools:
        for _ in range(_MOST_CONNECTIONS):
            try:
                pools.callback(_connect(there).close)
            except psycopg.OperationalError:
                break
        strike.restore(strike.stage)
    return database.name


@operator(
    "disk full during the restore of a database",
    why="the claim is 8Gi, whatever the dump is: tables that must grow are refused, or the server panics over its log. "
    "Done by RLIMIT_FSIZE on psql's session, which PostgreSQL takes for a full disk (postmaster.c, on SIGXFSZ)",
    moment="restore",
    area="restore",
    checks=("rows", "large-objects"),
)
def fill_database_disk(strike: Strike) -> str:
    stage = strike.stage
    database, path = draw_dump(stage, strike.draw)
    filled = read_dump(path).filled()
    if len(filled) < 2:
        return ""
    last = strike.draw.randrange(len(filled) - 1)
    with stage.cluster.reach(database) as there:

        def limit() -> None:
            with _connect(there) as connection:
                _wait_for_rows(connection, filled[last])
                _limit_sessions(stage, database, connection)

        _restore_with_pause(strike, path, filled[last].end + len(END_OF_ROWS), limit)
        wait_until(lambda: _answers(there), _PATIENCE, f"{database.name} recovered")
    return filled[last + 1].table


def _limit_sessions(stage: Stage, database: DatabaseSpec, connection: Connection) -> None:
    """Let psql's session on the server write no byte more.

    Raises:
        CommandFailed: prlimit is missing in the pod, or may not.
    """
    found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'psql'").fetchall()
    for (pid,) in found:
        result = stage.cluster.exec(database.pod, ("prlimit", f"--pid={pid}", "--fsize=1:1"), destructive=True)
        if result.status != 0:
            raise CommandFailed(result.command, [result.status], "", result.stderr.decode(errors="replace"))


def _answers(there: Coordinates) -> bool:
    try:
        _connect(there, connect_timeout="5").close()
    except psycopg.OperationalError:
        return False
    return True


@operator(
    "an extension is missing on the new server",
    why="pg_dump leaves plpgsql to the new server's template; where that has none every function is refused",
    moment="restore",
    area="restore",
    checks="schema",
)
def miss_extension(strike: Strike) -> str:
    database, path = draw_dump(strike.stage, strike.draw)
    functions = read_dump(path).of_kind("FUNCTION")
    with strike.stage.cluster.reach(database) as there, _connect(there) as connection:
        connection.execute("DROP EXTENSION IF EXISTS plpgsql CASCADE")
    strike.restore(strike.stage)
    entry = strike.draw.choice(functions) if functions else None
    return f"function {entry.schema}.{entry.name.partition('(')[0]}(" if entry else ""


@operator(
    "restored into a database of another encoding",
    why="a database made by hand on a server with another locale: what Latin-1 cannot hold is refused, table by table",
    moment="restore",
    area="restore",
    checks="schema",
)
def change_encoding(strike: Strike) -> str:
    database, _ = draw_dump(strike.stage, strike.draw)
    name = sql.Identifier(database.db_name)
    with strike.stage.cluster.reach(database) as there, _connect(there, dbname="postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'").format(name)
        )
    strike.restore(strike.stage)
    return f"{database.name}: database"
