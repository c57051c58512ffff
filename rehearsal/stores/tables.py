"""What the tables of a database look like, and how each column enters its row's digest: read from the catalogue.

A row's digest must change whenever a user could see a change. `hash_record_extended` alone does not do that: it hashes
equal values alike (1.0 and 1.00, 0 and -0, {"a":1.0} and {"a":1.00}), it hashes enum values by their oid, it folds
8-byte values to 4 bytes before hashing (1 and 2^32 collide), and it is linear, so that a sum over rows does not see two
rows swap a value. So each column is hashed in an exact form, with a seed of its own name, and the exclusive or of its
columns' hashes is mixed once more. jsonb has no exact form but its text: its own hash folds 1.0 and 1.00, [] and {}.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import sql

from rehearsal.stores.sessions import Connection

MARK_TABLE = ("rehearsal_extras", "mark")
"""Holds the nonce and the marker; inventories leave its rows out."""

# A type is hashed as it is when the catalogue promises that equal means identical (B-tree support function 4,
# `equalimage`; manual: B-Tree Support Functions) and when it has an extended hash function (hash support function 2).
# interval carried that promise by mistake before PostgreSQL 17; bpchar's holds under padding only.
_TABLES = """
WITH RECURSIVE base(oid, base) AS (
    SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
    UNION ALL
    SELECT d.oid, base.base FROM pg_type d JOIN base ON base.oid = d.typbasetype WHERE d.typtype = 'd'
), exact AS (
    SELECT b.opcintype
    FROM pg_opclass b JOIN pg_am bm ON bm.oid = b.opcmethod AND bm.amname = 'btree'
    JOIN pg_amproc bp ON bp.amprocfamily = b.opcfamily AND bp.amproclefttype = b.opcintype
        AND bp.amprocrighttype = b.opcintype AND bp.amprocnum = 4
    JOIN pg_opclass h ON h.opcintype = b.opcintype AND h.opcdefault
    JOIN pg_am hm ON hm.oid = h.opcmethod AND hm.amname = 'hash'
    JOIN pg_amproc hp ON hp.amprocfamily = h.opcfamily AND hp.amproclefttype = h.opcintype
        AND hp.amprocrighttype = h.opcintype AND hp.amprocnum = 2
    JOIN pg_type t ON t.oid = b.opcintype AND t.typtype = 'b' AND t.typelem = 0
        AND t.typnamespace = 'pg_catalog'::regnamespace
    WHERE b.opcdefault AND b.opcintype NOT IN ('interval'::regtype, 'bpchar'::regtype, 'oid'::regtype)
)
SELECT c.oid, n.nspname, c.relname, c.relpages, a.attnum, a.attname,
    CASE
        WHEN t.oid = 'oid'::regtype THEN 'large object'
        WHEN t.oid = 'bpchar'::regtype THEN 'sent'
        WHEN coalesce(NOT l.collisdeterministic, false) THEN 'text'
        WHEN t.oid IN (SELECT opcintype FROM exact) OR t.oid = 'varchar'::regtype
            THEN CASE WHEN t.typlen = 8 THEN 'sent' ELSE 'plain' END
        ELSE 'text'
    END,
    (SELECT proname FROM pg_proc WHERE oid = t.typsend),
    format('%%I.%%I', n.nspname, c.relname), t.typname
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN base ON base.oid = a.atttypid
LEFT JOIN pg_type t ON t.oid = base.base
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated) AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (n.nspname, c.relname) <> (%s, %s)
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attnum
"""

# The primary key, else the shortest unique index that no two rows can share: whole, valid, immediate, without NULLs.
_KEYS = """
SELECT DISTINCT ON (i.indrelid) i.indrelid, k.columns
FROM pg_index i
CROSS JOIN LATERAL (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(columns)
JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
    AND i.indrelid >= 16384
    AND NOT EXISTS (
        SELECT FROM pg_attribute a
        WHERE a.attrelid = i.indrelid AND a.attnum = ANY (k.columns) AND NOT a.attnotnull)
ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, x.relname COLLATE "C"
"""


# Called by name: a list of ours, for what the catalogue offers differs between PostgreSQL's versions.
_HASHES = {
    "uuid": "uuid_hash_extended",
    "int2": "hashint2extended",
    "int4": "hashint4extended",
    "text": "hashtextextended",
    "varchar": "hashtextextended",
}
_HEX = sql.SQL("to_hex(({} & 2147483647) | 2147483648)")


def _draw(*words: str) -> sql.Literal:
    """A 64-bit constant of these words: seeds, and what stands for NULL."""
    drawn = hashlib.sha256("\0".join(words).encode()).digest()[:8]
    return sql.Literal(int.from_bytes(drawn, "big", signed=True))


@dataclass(frozen=True)
class Column:
    """A column and how it enters the digest: `plain`, `sent`, `text` or `large object`; `type`: of its base type."""

    name: str
    form: str
    send: str
    type: str = ""

    @property
    def boxed(self) -> bool:
        """Whether its hash can be had of a record only, which costs; a row's boxed columns share one."""
        return self.form in ("plain", "sent") and self.type not in (*_HASHES, "int8", "bool")

    @property
    def box_part(self) -> sql.Composable:
        column = sql.Identifier(self.name)
        if self.form == "plain":
            return column
        return sql.SQL("{}({})").format(sql.Identifier("pg_catalog", self.send), column)

    @property
    def digest(self) -> sql.Composed:
        """Its 64-bit hash, never NULL."""
        column, seed, null = sql.Identifier(self.name), _draw("seed", self.name), _draw("null", self.name)
        if self.form == "large object":
            return sql.SQL("CASE WHEN {} IS NULL THEN {} ELSE {} END").format(column, null, seed)
        if self.form == "text":
            hashed = sql.SQL('hashtextextended({}::text COLLATE "C", {})').format(column, seed)
        elif self.boxed:
            return sql.SQL("hash_record_extended(ROW({}), {})").format(self.box_part, seed)
        elif self.type == "bool":
            return sql.SQL("CASE WHEN {0} THEN {1} WHEN NOT {0} THEN {2} ELSE {3} END").format(
                column, seed, _draw("false", self.name), null
            )
        elif self.type == "int8":  # as the seed: the value hashed is folded to 32 bits, the seed is not
            hashed = sql.SQL("hashint8extended({}, {}::bigint)").format(seed, column)
        else:
            hashed = sql.SQL("{}({}, {})").format(sql.Identifier("pg_catalog", _HASHES[self.type]), column, seed)
        return sql.SQL("coalesce({}, {})").format(hashed, null)

    @property
    def shown(self) -> sql.Composed:
        """Its text for a reader, 1,000 characters of it."""
        column = sql.Identifier(self.name)
        if self.form == "large object":
            return sql.SQL("CASE WHEN {} IS NOT NULL THEN 'a large object' END").format(column)
        return sql.SQL("left({}::text, 1000)").format(column)


@dataclass(frozen=True)
class Table:
    """An ordinary table (a partition too) or a populated materialized view.

    Attributes:
        name: qualified, quoted where PostgreSQL needs it, such as `public.session`.
        key: the key's columns in order; empty: rows are told apart by nothing.
        pages: the planner's idea of its size, to begin with the largest.
    """

    name: str
    schema: str
    relation: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    pages: int

    @property
    def large_objects(self) -> tuple[str, ...]:
        """Columns that refer to large objects, picked by type as vacuumlo does."""
        return tuple(column.name for column in self.columns if column.form == "large object")

    def with_columns(self, names: Sequence[str]) -> Table:
        """The table as if it had these columns alone, in this order; those it has not are left out."""
        columns = {column.name: column for column in self.columns}
        return replace(self, columns=tuple(columns[name] for name in names if name in columns))

    @property
    def source(self) -> sql.Composed:
        return sql.SQL("ONLY {}").format(sql.Identifier(self.schema, self.relation))

    @property
    def row_digest(self) -> sql.Composed:
        """A 64-bit hash of a row. The outer call mixes, so that sums over rows keep no trace of the exclusive or.

        The columns' hashes go in as the seed, because the value hashed by `hashint8extended` is folded to 32 bits.
        """
        return self._mix([column.digest for column in self.columns if not column.boxed], self.box_digest)

    @property
    def box_digest(self) -> sql.Composed | None:
        """One hash of all boxed columns; None where there are none."""
        parts = [column.box_part for column in self.columns if column.boxed]
        return sql.SQL("hash_record_extended(ROW({}), 1)").format(sql.SQL(", ").join(parts)) if parts else None

    @property
    def hashed_columns(self) -> sql.Composed:
        """`h0, h1, …`: every column's hash by its place, and `box`, to be selected; see `row_digest_of_hashed`."""
        selected = [
            sql.SQL("{} AS {}").format(column.digest, sql.Identifier(f"h{place}"))
            for place, column in enumerate(self.columns)
        ]
        box = self.box_digest
        return sql.SQL(", ").join([*selected, *([sql.SQL("{} AS box").format(box)] if box else [])])

    @property
    def row_digest_of_hashed(self) -> sql.Composed:
        """`row_digest`, where `hashed_columns` were selected."""
        direct = [sql.Identifier(f"h{place}") for place, column in enumerate(self.columns) if not column.boxed]
        return self._mix(direct, sql.Identifier("box") if self.box_digest else None)

    @property
    def hex_of_hashed(self) -> sql.Composed:
        """8 hex digits a column, 31 bits of its hash, in the columns' order, where `hashed_columns` were selected."""
        parts = [_HEX.format(sql.Identifier(f"h{place}")) for place in range(len(self.columns))]
        return sql.SQL(" || ").join(parts)

    @property
    def key_hash(self) -> sql.Composed:
        """A 64-bit hash of the key."""
        return self._mix([column.digest for column in self.columns if column.name in self.key], None)

    def _mix(self, parts: Sequence[sql.Composable], box: sql.Composable | None) -> sql.Composed:
        every = [*parts, *([box] if box is not None else [])] or [sql.SQL("0")]
        return sql.SQL("hashint8extended(0, {})").format(sql.SQL(" # ").join(every))

    @property
    def key_text(self) -> sql.Composed:
        """The key as a JSON array of texts, without a tab or a line break in it."""
        parts = [sql.SQL("{}::text").format(sql.Identifier(name)) for name in self.key]
        return sql.SQL("json_build_array({})::text").format(sql.SQL(", ").join(parts))


def find_tables(connection: Connection) -> list[Table]:
    """Every table whose rows an inventory looks at, sorted by name."""
    keys: dict[int, list[int]] = dict(connection.execute(_KEYS).fetchall())
    found: dict[int, list[tuple[Any, ...]]] = {}
    for row in connection.execute(_TABLES, MARK_TABLE):
        found.setdefault(row[0], []).append(row)
    tables = []
    for oid, rows in found.items():
        columns = {row[4]: Column(row[5], row[6], row[7], row[9] or "") for row in rows if row[4] is not None}
        key = [columns[number] for number in keys.get(oid, ())]
        _, schema, relation, pages, *_ = rows[0]
        tables.append(
            Table(
                name=rows[0][8],
                schema=schema,
                relation=relation,
                columns=tuple(columns.values()),
                # an oid is new after every restore: no key
                key=() if any(c.form == "large object" for c in key) else tuple(c.name for c in key),
                pages=pages,
            )
        )
    return tables


def column_text(name: str) -> str:
    """A column's name as it stands in a line file: control characters as JSON escapes them."""
    return json.dumps(name, ensure_ascii=False)[1:-1]
