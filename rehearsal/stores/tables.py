"""What the tables of a database look like, and how each column enters its row's digest: read from the catalogue.

A row's digest must change whenever a user could see a change. `hash_record_extended` alone does not do that: it hashes
equal values alike (1.0 and 1.00, 0 and -0, {"a":1.0} and {"a":1.00}), it hashes enum values by their oid, it folds
8-byte values to 4 bytes before hashing (1 and 2^32 collide), and it is linear, so that a sum over rows does not see two
rows swap a value. So columns enter in a form that is hashed exactly, and the row's hash is mixed once more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
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
    format('%%I.%%I', n.nspname, c.relname)
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


@dataclass(frozen=True)
class Column:
    """A column and how it enters the digest: `plain`, `sent`, `text` or `large object`."""

    name: str
    form: str
    send: str

    def as_digest_part(self) -> sql.Composable:
        """The expression that stands for this column in its row's hash."""
        column = sql.Identifier(self.name)
        if self.form == "plain":
            return column
        if self.form == "sent":
            return sql.SQL("{}({})").format(sql.Identifier("pg_catalog", self.send), column)
        if self.form == "large object":
            return sql.SQL("({} IS NULL)").format(column)
        return sql.SQL('({}::text COLLATE "C")').format(column)


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

    @property
    def source(self) -> sql.Composed:
        return sql.SQL("ONLY {}").format(sql.Identifier(self.schema, self.relation))

    @property
    def row_digest(self) -> sql.Composed:
        """A 64-bit hash of a row. The outer call mixes: with the plain hash, a sum misses two rows that swap a value.

        The row's hash goes in as the seed, because the value hashed by `hashint8extended` is folded to 32 bits.
        """
        parts = [column.as_digest_part() for column in self.columns] or [sql.SQL("0")]
        return sql.SQL("hashint8extended(0, hash_record_extended(ROW({}), 0))").format(sql.SQL(", ").join(parts))

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
        columns = {row[4]: Column(row[5], row[6], row[7]) for row in rows if row[4] is not None}
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
