"""Rows and large objects on their way into one database, in batches, so that memory stays flat.

Rows go in by COPY. Large objects have no COPY: their bytes are copied to a temporary table and one statement turns each
row of it into an object (`lo_from_bytea`, PostgreSQL manual 35.4), which spares a round trip for every one of them.
Their oids are given, not drawn by the server, so that one seed makes one dump.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

_ROWS = 4_000
_OBJECT_BYTES = 4 << 20
_OBJECTS = 8_000
_FIRST_OID = 20_001


class Loading:
    """A database being filled, inside the caller's transaction; call `finish` at the end.

    Args:
        connection: to a database whose tables exist.
        tables: qualified names, such as `public.session`, in the order their foreign keys ask for.

    Attributes:
        counts: rows by table, and `large objects`.
    """

    def __init__(self, connection: psycopg.Connection[Any], tables: Sequence[str]) -> None:
        self._connection = connection
        self._rows: dict[str, list[Sequence[object]]] = {table: [] for table in tables}
        self._held = 0
        self._objects: list[tuple[int, bytes]] = []
        self._object_bytes = 0
        self._next_oid = _FIRST_OID
        self.counts: dict[str, int] = dict.fromkeys(tables, 0) | {"large objects": 0}
        connection.execute("CREATE TEMPORARY TABLE rehearsal_seed_objects (object oid, data bytea)")

    def add(self, table: str, *values: object) -> None:
        """A row, a value for each column in the table's own order: text, integers, booleans or None."""
        self._rows[table].append(values)
        self._held += 1
        if self._held >= _ROWS:
            self._flush_rows()

    def place(self, data: bytes | None) -> int | None:
        """A new large object with these bytes; returns its oid for the row that refers to it, None for None."""
        if data is None:
            return None
        oid = self._next_oid
        self._next_oid += 1
        self._keep(oid, data)
        return oid

    def place_at(self, oid: int, data: bytes) -> int:
        """The same with an oid of the caller's choice, far above those that `place` gives."""
        self._keep(oid, data)
        return oid

    def place_sparse(self, oid: int, offset: int, data: bytes) -> int:
        """A large object whose first `offset` bytes were never written: they read as zeros and have no pages."""
        self.place_at(oid, b"")
        self._flush_objects()
        self._connection.execute("SELECT lo_put(%s::oid, %s::bigint, %s)", (oid, offset, data))
        return oid

    def finish(self) -> None:
        """Send what is still held."""
        self._flush_rows()
        self._flush_objects()
        self._connection.execute("DROP TABLE rehearsal_seed_objects")

    def _keep(self, oid: int, data: bytes) -> None:
        self.counts["large objects"] += 1
        self._objects.append((oid, data))
        self._object_bytes += len(data)
        if len(self._objects) >= _OBJECTS or self._object_bytes >= _OBJECT_BYTES:
            self._flush_objects()

    def _flush_rows(self) -> None:
        for table, rows in self._rows.items():
            if not rows:
                continue
            target = sql.Identifier(*table.split(".", 1))
            with self._connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(target)) as copy:
                for row in rows:
                    copy.write_row(row)
            self.counts[table] += len(rows)
            rows.clear()
        self._held = 0

    def _flush_objects(self) -> None:
        if not self._objects:
            return
        with self._connection.cursor() as cursor:
            with cursor.copy("COPY rehearsal_seed_objects FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["oid", "bytea"])
                for pending in self._objects:
                    copy.write_row(pending)
            cursor.execute("SELECT count(lo_from_bytea(object, data)) FROM rehearsal_seed_objects")
            cursor.execute("TRUNCATE rehearsal_seed_objects")
        self._objects.clear()
        self._object_bytes = 0
