"""Large tables by blocks: no line a row, and yet one row that changed, came or went is told, with its columns.

Rows fall into blocks by bits of their key's hash. Each block keeps how many they are, the sum of their digests, and the
same sum weighted by other bits of that hash: the quotient of the two changes is the weight of the one row that differs.
The first inventory keeps the exclusive or of keys and of columns' hashes, too, so that a row that went is named. At
the next one, blocks that differ are read row by row, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import sql

from rehearsal.inventory import BLOCKS, LineFile
from rehearsal.stores.digests import copy_raw
from rehearsal.stores.line_files import LineWriter
from rehearsal.stores.sessions import Connection
from rehearsal.stores.tables import Column, Table

NARROWED = 64
"""Blocks read row by row at most; more differ when more is lost than anybody wants named."""

_LOW = 0x7FFFFFFF
_SUMS = sql.SQL(
    "SELECT ((key_hash >> 31) & {last})::integer, count(*), sum(digest)::text, sum(digest & {low})::text,"
    " sum((digest & {low}) * (key_hash & {low}))::text{more} FROM {rows} GROUP BY 1 ORDER BY 1"
)
_BLOCK_ROWS = sql.SQL(
    "SELECT ((key_hash >> 31) & {last})::integer, key_hash & {low}, key, {digest}, {hex}"
    " FROM (SELECT {key_hash} AS key_hash, {key} AS key, {columns} FROM {source}"
    " WHERE (({key_hash} >> 31) & {last}) = ANY ({wanted}::bigint[]) OFFSET 0) AS hashed"
)

Sums = Mapping[int, tuple[int, int, int]]
"""Count, sum and weighted sum by block."""


@dataclass(frozen=True)
class Blocks:
    """A table's blocks; what a block's line says after the three sums is `more`."""

    rows: int
    digest: str
    sums: Sums
    more: Mapping[int, str]

    def differing(self, others: Sums) -> list[int]:
        return sorted(block for block in {*self.sums, *others} if self.sums.get(block) != others.get(block))


def measure_blocks(connection: Connection, table: Table, *, whole: bool) -> Blocks:
    """Count and hash a keyed table by blocks, in one scan; `whole`: with keys and columns, for a first inventory."""
    query = _SUMS.format(
        last=BLOCKS - 1, low=_LOW, more=_more(table) if whole else sql.SQL(""), rows=_rows(table, whole)
    )
    rows = total = 0
    sums: dict[int, tuple[int, int, int]] = {}
    more: dict[int, str] = {}
    for block, count, digest, low, weighted, *others in connection.execute(query):
        rows += count
        total += int(digest)
        sums[block] = (count, int(low), int(weighted))
        more[block] = _write_more(table, others) if whole else "\t"
    return Blocks(rows, str(total), sums, more)


def write_block_lines(blocks: Blocks, folder: Path, path: str) -> LineFile:
    """Write a line a block; see `inventory.TableInventory`."""
    with LineWriter(folder, path) as writer:
        for block in sorted(blocks.sums):
            sums = "\t".join(str(number) for number in blocks.sums[block])
            writer.write(f"{block:05}\t{sums}\t{blocks.more[block]}\n".encode())
        return writer.finish()


def write_block_rows(connection: Connection, table: Table, wanted: Sequence[int], folder: Path, path: str) -> LineFile:
    """Write a line for every row of these blocks, sorted by block and weight."""
    query = _BLOCK_ROWS.format(
        last=BLOCKS - 1,
        low=_LOW,
        digest=table.row_digest_of_hashed,
        hex=table.hex_of_hashed,
        key_hash=table.key_hash,
        key=table.key_text,
        columns=table.hashed_columns,
        source=table.source,
        wanted=list(wanted),
    )
    lines = []
    for line in copy_raw(connection, query, "\t"):
        block, weight, rest = line.split(b"\t", 2)
        lines.append(b"%05d\t%010d\t%s" % (int(block), int(weight), rest))
    with LineWriter(folder, path) as writer:
        for line in sorted(lines):
            writer.write(line)
        return writer.finish()


def _rows(table: Table, whole: bool) -> sql.Composed:
    """Every row's digest and key hash, as a relation; `whole`: its columns' hashes and its key, too."""
    if not whole:
        return sql.SQL("(SELECT {} AS digest, {} AS key_hash FROM {} OFFSET 0) AS hashed").format(
            table.row_digest, table.key_hash, table.source
        )
    keys = [
        sql.SQL("{} AS {}").format(sql.Identifier(name), sql.Identifier(f"k{place}"))
        for place, name in enumerate(table.key)
    ]
    inner = sql.SQL("SELECT {}, {}, {} AS key_hash FROM {} OFFSET 0").format(
        table.hashed_columns, sql.SQL(", ").join(keys), table.key_hash, table.source
    )
    return sql.SQL("(SELECT *, {} AS digest FROM ({}) AS columns OFFSET 0) AS hashed").format(
        table.row_digest_of_hashed, inner
    )


def _more(table: Table) -> sql.Composed:
    hashes = [sql.SQL("bit_xor({})").format(sql.Identifier(f"h{place}")) for place in range(len(table.columns))]
    keys = [_fold_key(column, f"k{place}") for place, column in enumerate(_key_columns(table))]
    folded = [key for key in keys if key is not None]
    wanted = [*hashes, *(folded if len(folded) == len(keys) else [])]
    return sql.SQL("").join(sql.SQL(", {}").format(part) for part in wanted)


def _key_columns(table: Table) -> list[Column]:
    columns = {column.name: column for column in table.columns}
    return [columns[name] for name in table.key]


def _fold_key(column: Column, name: str) -> sql.Composed | None:
    """The exclusive or of a key column, from which a lone value is read back; None for types where it cannot be."""
    if column.type == "uuid":
        bits = "bit_xor(('x' || encode(uuid_send({}), 'hex'))::bit(128))::text"
        return sql.SQL(bits).format(sql.Identifier(name))
    if column.type in ("int2", "int4", "int8"):
        return sql.SQL("bit_xor({}::bigint)::text").format(sql.Identifier(name))
    return None


def _write_more(table: Table, others: Sequence[Any]) -> str:
    count = len(table.columns)
    columns = "".join(f"{value & _LOW:08x}" for value in others[:count])
    keys = [
        str(UUID(int=int(text, 2))) if column.type == "uuid" else text
        for column, text in zip(_key_columns(table), others[count:], strict=False)
    ]
    return f"{json.dumps(keys) if keys else ''}\t{columns}"
