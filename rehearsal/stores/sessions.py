"""Database sessions for an inventory: pinned settings, one snapshot, several connections.

Values are compared as text where equality is not identity, so everything that shapes text is pinned here, against
whatever the server, the database or the role has configured. Functions resolve in pg_catalog alone (empty search
path): a restored dump is untrusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from rehearsal.deployment import DatabaseSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import Cluster, Coordinates

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")

PINNED = {
    "search_path": "",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "5min",  # a lock somebody forgot ends in words, not in a rehearsal that hangs
    "jit": "off",
    "work_mem": "64MB",
    "max_parallel_workers_per_gather": "0",  # parallel over tables instead; /dev/shm is small in a pod
}
"""Settings of every session that reads an inventory."""

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def connect(coordinates: Coordinates, pinned: bool = False) -> Connection:
    """Open a session; `pinned`: with the settings of an inventory. It commits every statement by itself.

    Raises:
        psycopg.Error: no server, wrong password, no such database.
    """
    connection = psycopg.connect(
        coordinates.dsn,
        password=coordinates.password,
        autocommit=True,
        connect_timeout=30,
        application_name="rehearsal",
        client_encoding="UTF8",
        options="-c statement_timeout=0",  # from the first statement on, whatever the database is set to
    )
    if pinned:
        calls = [sql.SQL("pg_catalog.set_config({}, {}, false)").format(name, PINNED[name]) for name in PINNED]
        connection.execute(sql.SQL("SELECT ") + sql.SQL(", ").join(calls))
    return connection


@contextmanager
def speak_to(spec: DatabaseSpec, cluster: Cluster) -> Iterator[Coordinates]:
    """Reach a database and turn what goes wrong there into one clear error.

    Raises:
        EnvironmentUnfit: it cannot be reached, or a statement failed. Never a verdict.
    """
    try:
        with cluster.reach(spec) as coordinates:
            yield coordinates
    except psycopg.Error as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise EnvironmentUnfit(
            f"database {spec.db_name} cannot be worked with: {said}",
            where=spec.pod,
            hint=f"look into the log of {spec.pod}, in logs/ of this rehearsal",
        ) from error


@contextmanager
def share_snapshot(coordinates: Coordinates, count: int) -> Iterator[list[Connection]]:
    """`count` pinned sessions that all see one REPEATABLE READ, READ ONLY snapshot (manual: pg_export_snapshot)."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(coordinates, pinned=True)) for _ in range(count)]
        first, *others = connections
        first.execute(_BEGIN)
        row = first.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        for connection in others:
            connection.execute(_BEGIN)
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(row[0]))
        yield connections


def spread(connections: Sequence[Connection], jobs: Sequence[Callable[[Connection], Result]]) -> list[Result]:
    """Run jobs over the connections, each taking the next one that waits; results in the order of `jobs`.

    The first error stops the rest: the queue is emptied and running statements are cancelled.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)
    results: dict[int, Result] = {}

    def drain(connection: Connection) -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except Empty:
                return
            results[number] = jobs[number](connection)

    with ThreadPoolExecutor(len(connections)) as pool:
        try:
            for future in [pool.submit(drain, connection) for connection in connections]:
                future.result()
        except BaseException:
            while not waiting.empty():
                waiting.get_nowait()
            for connection in connections:
                connection.cancel()
            raise
    return [results[number] for number in range(len(jobs))]
