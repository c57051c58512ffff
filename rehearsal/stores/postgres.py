"""A database of the data tier as a store: seeded, marked, fingerprinted, and looked at when it should be empty.

The inventory is taken in one REPEATABLE READ, READ ONLY snapshot that two sessions share, tables largest first. What a
row, an object or a catalogue entry looks like as a fingerprint is said in the modules beside this one; here they are
put together. Whatever fails on the way is an error (we learnt nothing), never an empty inventory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import errors

from rehearsal.chipster.rewritten import REWRITTEN
from rehearsal.deployment import DatabaseKey, DatabaseSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import DatabaseInventory, LineFile, TableInventory
from rehearsal.journal import Journal, now
from rehearsal.roles import SETTLED, Cluster, Mark
from rehearsal.stores.blocks import NARROWED, Sums, measure_blocks, write_block_lines, write_block_rows
from rehearsal.stores.catalogue import name_leftovers, read_schema_objects, read_sequences
from rehearsal.stores.digests import count_and_hash, write_row_lines, write_value_lines
from rehearsal.stores.large_objects import count_unreferenced, write_large_object_lines
from rehearsal.stores.line_files import file_name
from rehearsal.stores.link_lines import write_link_lines
from rehearsal.stores.migrations import read_migrations
from rehearsal.stores.sessions import Connection, connect, share_snapshot, speak_to, spread
from rehearsal.stores.tables import MARK_TABLE, Table, find_tables

ROW_LINES_LIMIT = 500_000
"""Rows; above it a table has a line a block of rows, and a row only of blocks that differ."""
_SESSIONS = 2
_MARK_PLACE = ".".join(MARK_TABLE)


class DatabaseSeed(Protocol):
    """What fills an empty database."""

    def fill_database(self, connection: psycopg.Connection[Any], key: DatabaseKey) -> Mapping[str, int]:
        """Write the seed of that database and commit it; what was written, counted."""


class PostgresStore:
    """One database on one cluster; plays `roles.Store`.

    Args:
        folder: the rehearsal's folder; line files go to `inventory/<moment>/<store>/` below it.
        row_lines_limit: tables with more rows get no line a row.
        show_values: keep the values of rows that have lines, too, for the findings to show.
    """

    def __init__(
        self,
        spec: DatabaseSpec,
        cluster: Cluster,
        folder: Path,
        journal: Journal,
        seed: DatabaseSeed,
        row_lines_limit: int = ROW_LINES_LIMIT,
        show_values: bool = False,
    ) -> None:
        self.spec = spec
        self._cluster = cluster
        self._folder = folder
        self._journal = journal
        self._seed = seed
        self._row_lines_limit = row_lines_limit
        self._show_values = show_values
        self._sums: dict[str, Sums] = {}
        self._lined: set[str] = set()
        self._keys: dict[str, tuple[str, ...]] = {}
        self._columns: dict[str, tuple[str, ...]] = {}

    def seed(self) -> Mapping[str, int]:
        """Fill the empty database. Raises EnvironmentUnfit."""
        with speak_to(self.spec, self._cluster) as coordinates, connect(coordinates) as connection:
            connection.autocommit = False
            return dict(self._seed.fill_database(connection, self.spec.key))

    def write_mark(self, kind: str, value: str) -> Mark:
        """Write `value` into `rehearsal_extras.mark`, over an earlier one of that kind. Raises EnvironmentUnfit."""
        with speak_to(self.spec, self._cluster) as coordinates, connect(coordinates) as connection:
            return self._write_mark(connection, kind, value)

    @contextmanager
    def repeat_mark(self, kind: str) -> Iterator[Callable[[str], Mark]]:
        """The same through one session that stays open. Raises EnvironmentUnfit."""
        with speak_to(self.spec, self._cluster) as coordinates, connect(coordinates) as connection:
            connection.execute("SET statement_timeout = '10s'")  # a lock somebody holds must not hold us
            yield partial(self._write_mark, connection, kind)

    def _write_mark(self, connection: Connection, kind: str, value: str) -> Mark:
        written_at = now()
        connection.execute(
            f"INSERT INTO {_MARK_PLACE} (kind, value, written_at) VALUES (%s, %s, %s)"  # noqa: S608 - a constant
            " ON CONFLICT (kind) DO UPDATE SET value = excluded.value, written_at = excluded.written_at",
            (kind, value, datetime.fromisoformat(written_at).astimezone(UTC)),
        )
        return Mark(self.spec.name, _MARK_PLACE, value, written_at)

    def read_mark(self, kind: str) -> str | None:
        """The mark's value; None where its row, its table or its schema is not there.

        Raises:
            EnvironmentUnfit: the database cannot be asked.
        """
        with speak_to(self.spec, self._cluster) as coordinates, connect(coordinates, pinned=True) as connection:
            try:
                row = connection.execute(
                    f"SELECT value::text FROM ONLY {_MARK_PLACE} WHERE kind::text = %s",  # noqa: S608 - a constant
                    (kind,),
                ).fetchone()
            except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn):
                return None
        return None if row is None else row[0]

    def leftovers(self) -> tuple[str, ...]:
        """The first 20 user objects of a database that should be empty. Raises EnvironmentUnfit."""
        with speak_to(self.spec, self._cluster) as coordinates, connect(coordinates, pinned=True) as connection:
            return name_leftovers(connection, 20)

    def take_inventory(self, moment: str) -> DatabaseInventory:
        """Fingerprint the database now.

        Raises:
            EnvironmentUnfit: it cannot be reached, is older than PostgreSQL 14, or cannot be read to the end.
        """
        started = time.monotonic()
        taken_at = now()
        with (
            speak_to(self.spec, self._cluster) as coordinates,
            share_snapshot(coordinates, _SESSIONS) as connections,
        ):
            first = connections[0]
            if first.info.server_version < 140000:
                raise EnvironmentUnfit(
                    f"an inventory needs PostgreSQL 14 or later, this is {_version(first)}", where=self.spec.pod
                )
            tables = [self._keep_key(table) for table in find_tables(first)]
            if moment != SETTLED:
                self._columns = {table.name: tuple(column.name for column in table.columns) for table in tables}
            place = f"inventory/{moment}/{self.spec.name}"
            inventories, unreferenced = self._look_at(connections, tables, place)
            inventory = DatabaseInventory(
                store=self.spec.name,
                taken_at=taken_at,
                server_version=_version(first),
                tables=inventories,
                sequences=read_sequences(first),
                schema_objects=read_schema_objects(first),
                migrations=read_migrations(first, tables),
                unreferenced_large_objects=unreferenced,
                link_lines=write_link_lines(first, self.spec.key, tables, self._folder, place),
                seconds=round(time.monotonic() - started, 3),
            )
        self._journal.note(
            f"inventory {moment} of {self.spec.name}",
            tables=len(inventory.tables),
            rows=sum(table.rows for table in inventory.tables.values()),
            large_objects=sum(t.large_object_lines.lines for t in inventory.tables.values() if t.large_object_lines),
            seconds=inventory.seconds,
        )
        return inventory

    def _keep_key(self, table: Table) -> Table:
        """The table, with the key it had at the first inventory where it has none now.

        A dump that was cut loses its keys, which come last; rows and objects must be named all the same.
        """
        known = self._keys.setdefault(table.name, table.key)
        columns = {column.name for column in table.columns}
        return replace(table, key=known) if not table.key and columns.issuperset(known) else table

    def _look_at(
        self, connections: list[Connection], tables: list[Table], place: str
    ) -> tuple[dict[str, TableInventory], int]:
        """Every table's inventory by name, and the number of unreferenced large objects."""
        with_objects = [table for table in tables if table.large_objects]
        paths = [f"{place}/{file_name(table.name)}.objects" for table in with_objects]
        object_lines: dict[str, LineFile] = {}
        looked_at: dict[str, TableInventory] = {}
        unreferenced = 0

        def look_at_objects(connection: Connection) -> None:
            nonlocal unreferenced
            lines = write_large_object_lines(connection, with_objects, self._folder, paths)
            object_lines.update(zip((table.name for table in with_objects), lines, strict=True))
            unreferenced = count_unreferenced(connection, with_objects)

        def look_at_table(table: Table, connection: Connection) -> None:
            looked_at[table.name] = self._look_at_rows(connection, table, f"{place}/{file_name(table.name)}.rows")

        largest_first = sorted(tables, key=lambda table: -table.pages)
        jobs: list[Callable[[Connection], None]] = [look_at_objects]
        jobs += [partial(look_at_table, table) for table in largest_first]
        spread(connections, jobs)
        return {
            table.name: looked_at[table.name].model_copy(update={"large_object_lines": object_lines.get(table.name)})
            for table in tables
        }, unreferenced

    def _look_at_rows(self, connection: Connection, table: Table, path: str) -> TableInventory:
        known = self._columns.get(table.name)
        table = table if known is None else table.with_columns(known)
        if table.name in self._sums and table.key:
            return self._look_at_blocks(connection, table, path)
        rows, digest = count_and_hash(connection, table)
        looked_at = TableInventory(
            rows=rows, digest=digest, key=table.key, columns=tuple(column.name for column in table.columns)
        )
        if not table.key:
            return looked_at
        if rows > self._row_lines_limit and table.name not in self._lined:
            return self._look_at_blocks(connection, table, path, looked_at)
        self._lined.add(table.name)
        lines = {"row_lines": write_row_lines(connection, table, self._folder, path, (rows, digest))}
        if self._show_values:
            values = f"{path}.values"
            lines["value_lines"] = write_value_lines(connection, table, self._folder, values, self._journal.redactor)
        steady = table.with_columns([name for name in looked_at.columns if name not in REWRITTEN.get(table.name, ())])
        if steady != table:
            sums = count_and_hash(connection, steady)
            lines["steady_lines"] = write_row_lines(connection, steady, self._folder, f"{path}.steady", sums)
        return looked_at.model_copy(update=lines)

    def _look_at_blocks(
        self, connection: Connection, table: Table, path: str, first: TableInventory | None = None
    ) -> TableInventory:
        """A table with too many rows for a line each; `first`: what is known of it when it is met first."""
        blocks = measure_blocks(connection, table, whole=first is not None)
        looked_at = TableInventory(
            rows=blocks.rows,
            digest=blocks.digest,
            key=table.key,
            columns=tuple(column.name for column in table.columns),
            block_lines=write_block_lines(blocks, self._folder, f"{path}.blocks"),
        )
        if first is not None and (first.rows, first.digest) != (looked_at.rows, looked_at.digest):
            raise EnvironmentUnfit(
                "its blocks and its digest disagree within one snapshot: a defect of the rehearsal, or a damaged page",
                where=table.name,
                hint=f"pg_amcheck --heapallindexed --table {table.name}",
            )
        differing = blocks.differing(self._sums[table.name]) if first is None else []
        self._sums[table.name] = blocks.sums
        if not differing:
            return looked_at
        lines = write_block_rows(connection, table, differing[:NARROWED], self._folder, f"{path}.block-rows")
        return looked_at.model_copy(update={"block_row_lines": lines})


def _version(connection: Connection) -> str:
    return str(connection.info.parameter_status("server_version") or connection.info.server_version)
