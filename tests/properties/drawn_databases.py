"""Databases drawn at random: tables with quoted names, many types, keys or none, defaults, indexes, large objects.

A drawing is plain data; `fill` makes it real. Values travel as text and are cast by the server, so that nothing of the
client's idea of a type gets in. What is then changed of it: database_mutations.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
from hypothesis import strategies as st
from psycopg import sql

Connection = psycopg.Connection[Any]

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
HARD_TEXT = TEXT | st.sampled_from(
    ["", " ", "\\N", "\\.", "NULL", "a\tb", "a\nb", "a\r\nb", "\x01\x02", "'\"`;--", "\u00e9", "e\u0301"]
)
INSTANTS = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - the zone is drawn apart
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11))]),
).map(lambda instant: instant.isoformat(sep=" "))
NUMERICS = st.sampled_from(["0", "0.0", "1", "1.0", "1.00", "-1", "1e30", "0.000000000000000000001", "NaN", "Infinity"])
PLAIN = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([1.0, 0.5, -0.0]) | PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b", "a", "ä", ""]), inner, max_size=3)
    ),
    max_leaves=6,
).map(json.dumps)


def arrays(elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """PostgreSQL's array literals, every element quoted."""

    def write(items: list[str | None]) -> str:
        quoted = (
            "NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items
        )
        return "{" + ",".join(quoted) + "}"

    return st.lists(st.none() | elements, max_size=4).map(write)


TYPES: dict[str, st.SearchStrategy[str]] = {
    "smallint": st.integers(-(2**15), 2**15 - 1).map(str),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": st.sampled_from([0, 1, 2**32, -(2**32), 2**63 - 1, -(2**63)]).map(str) | st.integers(0, 2**40).map(str),
    "numeric": NUMERICS | st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    "numeric(12,2)": st.decimals(-(10**9), 10**9, places=2).map(str),
    "real": st.floats(width=32, allow_nan=False).map(repr),
    "double precision": st.sampled_from(["0", "-0", "NaN", "Infinity"]) | st.floats(allow_nan=False).map(repr),
    "boolean": st.sampled_from(["true", "false"]),
    "text": HARD_TEXT,
    "varchar(40)": HARD_TEXT,
    "char(40)": HARD_TEXT,
    "bytea": st.binary(max_size=40).map(lambda data: "\\x" + data.hex()),
    "uuid": st.uuids().map(str),
    "date": st.dates().map(str) | st.sampled_from(["infinity", "0044-03-15 BC"]),
    "timestamp(6)": st.datetimes(datetime(1, 1, 1)).map(str),  # noqa: DTZ001
    "timestamptz(6)": INSTANTS | st.sampled_from(["infinity", "-infinity"]),
    "interval": st.sampled_from(["1 mon", "30 days", "24:00:00", "1 day", "-1 day +00:00:01"]),
    "json": JSON,
    "jsonb": JSON | st.sampled_from(['{"a":1.0}', '{"a":1.00}', '{"b":1,"a":2}']),
    "inet": st.sampled_from(["10.0.0.1", "10.0.0.1/8", "::1"]),
    "integer[]": arrays(st.integers(-9, 9).map(str)),
    "text[]": arrays(HARD_TEXT),
    "timestamptz[]": arrays(INSTANTS),
    "oid": st.binary(max_size=30).map(bytes.hex) | st.sampled_from(["", "00" * 2048, "ab" * 5000]),
}
"""Types by name, each with its values as text; for a large object, its content in hex."""
EVERY_TYPE = (*sorted(TYPES), "oid", "oid", "oid")
KEY_TYPES = (
    "integer",
    "bigint",
    "numeric",
    "text",
    "varchar(40)",
    "uuid",
    "timestamptz(6)",
    "bytea",
    "double precision",
)

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: len(name.encode()) <= 50
) | st.sampled_from(["order by", 'a"b', "a.b", "Äö", "select", "tab\tin", "line\nin", "x" * 50, "back\\slash", "$$"])


@dataclass(frozen=True)
class DrawnColumn:
    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class DrawnTable:
    """`key`: how many of the first columns are the primary key; `index`: the column of an index, or none."""

    name: str
    columns: tuple[DrawnColumn, ...]
    key: int
    index: int | None
    rows: tuple[tuple[str | None, ...], ...]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)


@st.composite
def tables(draw: st.DrawFn, name: str) -> DrawnTable:
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    key = draw(st.integers(0, min(2, len(names))))
    columns = []
    for number, column in enumerate(names):
        kind = draw(st.sampled_from(KEY_TYPES if number < key else EVERY_TYPE))
        has_default = number >= key and kind != "oid" and draw(st.booleans())
        columns.append(DrawnColumn(column, kind, draw(TYPES[kind]) if has_default else None))
    values = [
        TYPES[column.type] if number < key else st.none() | TYPES[column.type] for number, column in enumerate(columns)
    ]
    rows = draw(st.lists(st.tuples(*values), max_size=6))
    indexable = [n for n, column in enumerate(columns) if column.type in KEY_TYPES]
    return DrawnTable(
        name, tuple(columns), key, draw(st.none() | st.sampled_from(indexable)) if indexable else None, tuple(rows)
    )


@st.composite
def databases(draw: st.DrawFn) -> tuple[DrawnTable, ...]:
    """One to three tables; names are unique."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return tuple(draw(tables(name)) for name in names)


def make_value(connection: Connection, column: DrawnColumn, value: str | None) -> sql.Composable:
    """A value as an SQL expression; a large object is made first."""
    if value is None:
        return sql.SQL("NULL")
    if column.type == "oid":
        row = connection.execute("SELECT lo_from_bytea(0, decode(%s, 'hex'))", (value,)).fetchone()
        assert row is not None
        return sql.Literal(row[0])
    return sql.SQL("CAST({} AS {})").format(sql.Literal(value), sql.SQL(column.type))  # type: ignore[arg-type]


def insert(connection: Connection, table: DrawnTable, row: tuple[str | None, ...]) -> int:
    """Insert a row unless its key is there; how many rows came in."""
    if not table.columns:
        return connection.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(table.identifier)).rowcount
    values = [make_value(connection, column, value) for column, value in zip(table.columns, row, strict=True)]
    query = sql.SQL("INSERT INTO {} VALUES ({}) ON CONFLICT DO NOTHING").format(
        table.identifier, sql.SQL(", ").join(values)
    )
    return connection.execute(query).rowcount


def fill(connection: Connection, drawn: tuple[DrawnTable, ...]) -> None:
    connection.execute("CREATE SEQUENCE ticket")
    connection.execute("SELECT setval('ticket', 7)")
    for table in drawn:
        parts: list[sql.Composable] = []
        for column in table.columns:
            default = sql.SQL("")
            if column.default is not None:
                default = sql.SQL(" DEFAULT CAST({} AS {})").format(sql.Literal(column.default), sql.SQL(column.type))  # type: ignore[arg-type]
            parts.append(sql.SQL("{} {}{}").format(sql.Identifier(column.name), sql.SQL(column.type), default))  # type: ignore[arg-type]
        if table.key:
            key = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns[: table.key])
            parts.append(sql.SQL("PRIMARY KEY ({})").format(key))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table.identifier, sql.SQL(", ").join(parts)))
        if table.index is not None:
            column = sql.Identifier(table.columns[table.index].name)
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(table.identifier, column))
        for row in table.rows:
            insert(connection, table, row)


EVERY_KIND = (
    DrawnTable(
        'one of "each"',
        (
            DrawnColumn("key", "text", None),
            DrawnColumn("notes", "oid", None),
            DrawnColumn("amount", "numeric", "1.0"),
            DrawnColumn("Name", "varchar(40)", None),
            DrawnColumn("span", "interval", None),
            DrawnColumn("document", "jsonb", None),
            DrawnColumn("ratio", "double precision", None),
        ),
        key=1,
        index=3,
        rows=(
            ("a\tb\n", "00ff", "1.0", "", "1 mon", '{"a":1.0}', "0"),
            ("\\N", "ab" * 5000, None, None, None, None, None),
        ),
    ),
)
"""A small database that every kind of mutation can be made on."""
