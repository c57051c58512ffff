"""Counting and hashing a table on the server, and its line a row for naming what differs.

One scan gives the count and the sum of the rows' hashes; a second one streams KEY<TAB>DIGEST<TAB>COLUMNS, sorted
bytewise by the server, into a line file. The sum over the lines must be the sum the server made: a difference is an
error of ours, found before anybody judges. Values are written only where the user asked to see them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from psycopg import sql

from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import SHOWN, LineFile
from rehearsal.journal import Redactor
from rehearsal.stores.line_files import LineWriter
from rehearsal.stores.sessions import Connection
from rehearsal.stores.tables import Table

# No field can hold these bytes (JSON escapes control characters), so nothing is ever quoted or escaped.
_RAW = "COPY ({}) TO STDOUT WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER {})"


def copy_raw(connection: Connection, query: sql.Composable, delimiter: str) -> Iterator[bytes]:
    """Stream a query's rows as they are: fields joined by `delimiter`, ended by a line break, nothing escaped.

    Its fields must hold no line break, no byte 1 and no `delimiter`.
    """
    with connection.cursor() as cursor, cursor.copy(sql.SQL(_RAW).format(query, delimiter)) as copy:
        for row in copy:
            yield bytes(row)


def count_and_hash(connection: Connection, table: Table) -> tuple[int, str]:
    """`count(*)` and the decimal sum of the rows' 64-bit hashes, in one scan; "0" for no rows."""
    query = sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM {}").format(table.row_digest, table.source)
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row[0], row[1]


def write_row_lines(
    connection: Connection, table: Table, folder: Path, path: str, expected: tuple[int, str]
) -> LineFile:
    """Write KEY<TAB>DIGEST<TAB>COLUMNS for every row of a keyed table; see `inventory.TableInventory`.

    Args:
        expected: what `count_and_hash` said in the same snapshot.

    Raises:
        EnvironmentUnfit: the lines do not add up to it.
    """
    query = sql.SQL("SELECT key, {}, {} FROM (SELECT {}, {} FROM {} OFFSET 0) AS hashed ORDER BY 1").format(
        table.row_digest_of_hashed,
        table.hex_of_hashed,
        sql.SQL('{} COLLATE "C" AS key').format(table.key_text),
        table.hashed_columns,
        table.source,
    )
    rows = total = 0
    with LineWriter(folder, path) as writer:
        for line in copy_raw(connection, query, "\t"):
            rows += 1
            total += int(line.rsplit(b"\t", 2)[1])
            writer.write(line)
        if (rows, str(total)) == expected:
            return writer.finish()
    raise EnvironmentUnfit(
        f"its row lines ({rows} rows, sum {total}) and the server's own digest ({expected[0]} rows, sum {expected[1]}) "
        "disagree within one snapshot: a defect of the rehearsal, or a damaged page",
        where=table.name,
        hint=f"pg_amcheck --heapallindexed --table {table.name}",
    )


def write_value_lines(connection: Connection, table: Table, folder: Path, path: str, redactor: Redactor) -> LineFile:
    """Write KEY<TAB>VALUES for every row of a keyed table: a JSON array of the columns' texts, in the columns' order.

    A text is cut one character after what a finding shows, when the secrets are out of it; null stands for NULL.
    """
    query = sql.SQL('SELECT {} COLLATE "C", json_build_array({})::text FROM {} ORDER BY 1').format(
        table.key_text, sql.SQL(", ").join(column.shown for column in table.columns), table.source
    )
    with LineWriter(folder, path) as writer:
        for line in copy_raw(connection, query, "\t"):
            key, values = line.split(b"\t", 1)
            texts = [None if text is None else redactor.clean(text)[: SHOWN + 1] for text in json.loads(values)]
            writer.write(key + b"\t" + json.dumps(texts, ensure_ascii=False).encode() + b"\n")
        return writer.finish()
