"""Large objects by content: a line per reference with size and SHA-256 of the bytes behind it, owner and grants.

Oids change with a restore, so an object is named by the row and column that refer to it. The server hashes: pages are
aggregated per object in one pass (manual: pg_largeobject); objects with holes or short inner pages are hashed by their
logical content, as `lo_get` reads it; those above 64 MiB are read and hashed in slices, since a bytea ends at 1 GB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from psycopg import sql

from rehearsal.inventory import LineFile
from rehearsal.stores.catalogue_queries import privileges
from rehearsal.stores.digests import copy_raw
from rehearsal.stores.line_files import LineWriter
from rehearsal.stores.sessions import Connection
from rehearsal.stores.tables import Table, column_text

_SLICE = 8 << 20
HASH_IN_SLICES_ABOVE = 64 << 20
"""Bytes."""

_PAGE = "(current_setting('block_size')::int / 4)"  # LOBLKSIZE

# Input order holds within a group, for the sorted subquery feeds it. size: where the last page ends.
_CONTENT = """
SELECT loid, size,
    CASE WHEN stored = size THEN sha256(content) ELSE sha256(lo_get(loid)) END AS hash
FROM (
    SELECT loid, max(pageno::bigint * {page} + length(data)) AS size, sum(length(data)) AS stored,
        string_agg(data, ''::bytea) AS content
    FROM (SELECT loid, pageno, data FROM pg_largeobject {without} ORDER BY loid, pageno) pages
    GROUP BY loid
) objects
"""

# Owner and grants are written out once for each pair that occurs: there are few, and many objects.
_LINES = """
WITH content AS ({content} UNION ALL SELECT * FROM ({large}) AS large(loid, size, hash)),
holder AS MATERIALIZED (
    SELECT lomowner, coalesce(lomacl::text, '') AS acl, translate(quote_ident(pg_get_userbyid(lomowner)) || E'\\t'
        || replace(substr({privileges}, 2), E'\\n', '; '), E'\\n\\r\\x01\\x02', '????') AS holder
    FROM (SELECT lomowner, lomacl FROM pg_largeobject_metadata GROUP BY 1, 2) owners
),
line AS (
    SELECT r.number, r.key || E'\\t' || r.name || E'\\t' || CASE
            WHEN m.oid IS NULL THEN E'-1\\tdangling'
            WHEN c.loid IS NULL THEN '0' || E'\\t' || encode(sha256(''), 'hex')
            ELSE c.size || E'\\t' || encode(c.hash, 'hex')
        END || E'\\t' || coalesce(h.holder, E'\\t') AS line
    FROM ({references}) r
    LEFT JOIN pg_largeobject_metadata m ON m.oid = r.loid
    LEFT JOIN holder h ON h.lomowner = m.lomowner AND h.acl = coalesce(m.lomacl::text, '')
    LEFT JOIN content c ON c.loid = r.loid
)
SELECT number, line.line FROM line ORDER BY number, line.line COLLATE "C"
"""


def write_large_object_lines(
    connection: Connection,
    tables: Sequence[Table],
    folder: Path,
    paths: Sequence[str],
    in_slices_above: int = HASH_IN_SLICES_ABOVE,
) -> list[LineFile]:
    """Write KEY<TAB>COLUMN<TAB>SIZE<TAB>SHA256<TAB>OWNER<TAB>GRANTS for every non-NULL reference, sorted bytewise.

    Args:
        tables: those with large object columns; KEY is empty for a table without a key.
        paths: where each one's lines go, relative to `folder`.
    """
    if not tables:
        return []
    large = _hash_in_slices(connection, in_slices_above)
    query = sql.SQL(_LINES).format(
        content=_content(list(large)),
        large=_known(large),
        references=_references(tables, with_keys=True),
        privileges=sql.SQL(privileges("lomacl", "L", "lomowner")),
    )
    with ExitStack() as stack:
        writers = [stack.enter_context(LineWriter(folder, path)) for path in paths]
        for row in copy_raw(connection, query, "\x02"):
            number, line = row.split(b"\x02", 1)
            writers[int(number)].write(line)
        return [writer.finish() for writer in writers]


def count_unreferenced(connection: Connection, tables: Sequence[Table]) -> int:
    """Large objects that no column of `tables` refers to: what vacuumlo would remove."""
    references = _references(tables, with_keys=False) if tables else sql.SQL("SELECT NULL::oid AS loid WHERE false")
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FROM pg_largeobject_metadata m WHERE NOT EXISTS (SELECT FROM ({}) r WHERE r.loid = m.oid)"
        ).format(references)
    ).fetchone()
    return int(row[0]) if row else 0


def _references(tables: Sequence[Table], *, with_keys: bool) -> sql.Composed:
    selects = []
    for number, table in enumerate(tables):
        for name in table.large_objects:
            column = sql.Identifier(name)
            head = (
                sql.SQL("{} AS number, {} AS key, {}::text AS name, ").format(
                    number, table.key_text if table.key else sql.SQL("''::text"), column_text(name)
                )
                if with_keys
                else sql.SQL("")
            )
            selects.append(
                sql.SQL("SELECT {}{}::oid AS loid FROM {} WHERE {} IS NOT NULL").format(
                    head, column, table.source, column
                )
            )
    return sql.SQL(" UNION ALL ").join(selects)


def _content(without: Sequence[int]) -> sql.Composed:
    others = sql.SQL("WHERE loid <> ALL ({}::oid[])").format(list(without)) if without else sql.SQL("")
    return sql.SQL(_CONTENT).format(page=sql.SQL(_PAGE), without=others)


def _known(objects: dict[int, tuple[int, str]]) -> sql.Composed:
    """Objects that were hashed here, as a relation of (loid, size, hash)."""
    rows = [
        sql.SQL("({}::oid, {}::bigint, decode({}, 'hex'))").format(oid, size, digest)
        for oid, (size, digest) in objects.items()
    ]
    if not rows:
        return sql.Composed([sql.SQL("SELECT NULL::oid, NULL::bigint, NULL::bytea WHERE false")])
    return sql.SQL("VALUES {}").format(sql.SQL(", ").join(rows))


def _hash_in_slices(connection: Connection, above: int) -> dict[int, tuple[int, str]]:
    """Size and SHA-256 of every object larger than `above` bytes, by oid, read in slices of 8 MiB."""
    query = sql.SQL(
        "SELECT loid, max(pageno::bigint * {page} + length(data)) FROM pg_largeobject"
        " WHERE pageno >= {above} / {page} GROUP BY loid ORDER BY loid"
    ).format(page=sql.SQL(_PAGE), above=above)
    hashed = {}
    for oid, size in connection.execute(query).fetchall():
        digest = hashlib.sha256()
        for offset in range(0, size, _SLICE):
            row = connection.execute("SELECT lo_get(%s::oid, %s, %s)", (oid, offset, _SLICE), binary=True).fetchone()
            digest.update(row[0] if row else b"")
        hashed[oid] = (int(size), digest.hexdigest())
    return hashed
