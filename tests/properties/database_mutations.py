"""Single changes of a drawn database, each of which says how the difference must be named.

A change that came to nothing (the row was there already, the value is the same) says so with an empty name.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from drawn_databases import EVERY_KIND, TYPES, Connection, DrawnColumn, DrawnTable, insert, make_value
from hypothesis import strategies as st
from psycopg import sql

from rehearsal.differences import ASPECTS

_OF_ROWS = ("rows", "large object")
MAY_DIFFER: dict[str, tuple[str, ...]] = {
    "insert": _OF_ROWS,
    "delete": _OF_ROWS,
    "update": _OF_ROWS,
    "object": ("large object",),
    "dangling": ("large object",),
    "sequence": ("sequence",),
    "drop index": ("schema",),
    "drop key": ("schema",),
    "drop default": ("schema",),
    "drop table": ("table", "schema"),
    "add column": ("schema", "rows"),
    "drop column": ASPECTS,
}
"""Kinds of mutation, each with the aspects that may differ after it."""


@dataclass(frozen=True)
class Mutation:
    """One change.

    Attributes:
        kind: one of MAY_DIFFER.
        column: for those of a column. number: of the row, for those of a row. value: for `update`. row: for `insert`.
    """

    kind: str
    table: DrawnTable
    column: DrawnColumn | None
    number: int
    value: str
    row: tuple[str, ...]

    @property
    def aspects(self) -> tuple[str, ...]:
        return MAY_DIFFER[self.kind]

    def make(self, connection: Connection) -> str:
        """Make it; what a difference's subject must be, or "" when nothing came of it."""
        match self.kind:
            case "insert":
                return self._insert(connection)
            case "sequence":
                connection.execute("SELECT setval('public.ticket', 6)")
                return "public.ticket"
            case "drop index" | "drop key":
                return self._drop_named(connection)
            case "drop table":
                return self._alter(connection, "DROP TABLE {}")
            case "add column":
                return self._alter(connection, "ALTER TABLE {} ADD COLUMN {} int", "one more")
            case "drop column":
                assert self.column is not None
                return self._alter(connection, "ALTER TABLE {} DROP COLUMN {}", self.column.name)
            case "drop default":
                name = next(column.name for column in self.table.columns if column.default is not None)
                return self._alter(connection, "ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", name)
            case _:
                return self._change_row(connection)

    def _alter(self, connection: Connection, text: str, *names: str) -> str:
        parts = [sql.Identifier(name) for name in names]
        connection.execute(sql.SQL(text).format(self.table.identifier, *parts))
        return ("column " if names else "") + quote(connection, "public", self.table.name, *names)

    def _drop_named(self, connection: Connection) -> str:
        """The index, or the primary key, under the name that the server gave it."""
        relation = connection.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_class t ON t.oid = i.indrelid WHERE t.relname = %s AND i.indisprimary = %s",
            (self.table.name, self.kind == "drop key"),
        ).fetchone()
        assert relation is not None
        if self.kind == "drop index":
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(relation[0])))
            return f"index {quote(connection, 'public', relation[0])}"
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        connection.execute(drop.format(self.table.identifier, sql.Identifier(relation[0])))
        return f"constraint {quote(connection, 'public', self.table.name, relation[0])}"

    def _insert(self, connection: Connection) -> str:
        if not insert(connection, self.table, self.row):
            return ""
        newest = sql.SQL("SELECT ctid::text FROM {} ORDER BY ctid DESC LIMIT 1").format(self.table.identifier)
        place = connection.execute(newest).fetchone()
        assert place is not None
        return name_row(connection, self.table, place[0])

    def _change_row(self, connection: Connection) -> str:
        every = sql.SQL("SELECT ctid::text FROM {} ORDER BY ctid").format(self.table.identifier)
        places = [place for (place,) in connection.execute(every)]
        if not places:
            return ""
        place = places[self.number % len(places)]
        name = name_row(connection, self.table, place)
        if self.kind == "delete":
            connection.execute(sql.SQL("DELETE FROM {} WHERE ctid = {}").format(self.table.identifier, place))
            return name
        changed = self._update(connection, place) if self.kind == "update" else self._spoil_object(connection, place)
        return name if changed else ""

    def _update(self, connection: Connection, place: str) -> bool:
        assert self.column is not None
        form = sql.SQL("({} IS NULL)") if self.column.type == "oid" else sql.SQL("{}::text")
        name = sql.Identifier(self.column.name)
        shown = form.format(name)
        look = sql.SQL("SELECT {} FROM {} WHERE ctid = {}").format(shown, self.table.identifier, place)
        old = connection.execute(look).fetchone()
        new = make_value(connection, self.column, self.value)
        update = sql.SQL("UPDATE {} SET {} = {} WHERE ctid = {} RETURNING {}")
        try:
            with connection.transaction():
                done = connection.execute(update.format(self.table.identifier, name, new, place, shown)).fetchone()
        except psycopg.errors.UniqueViolation:
            return False
        return done != old

    def _spoil_object(self, connection: Connection, place: str) -> bool:
        """Change the first byte of a row's large object, or remove the object."""
        name = sql.Identifier(next(column.name for column in self.table.columns if column.type == "oid"))
        look = sql.SQL("SELECT {} FROM {} WHERE ctid = {}").format(name, self.table.identifier, place)
        (oid,) = connection.execute(look).fetchone() or (None,)
        if oid is None:
            return False
        if self.kind == "dangling":
            connection.execute("SELECT lo_unlink(%s)", (oid,))
            return True
        (first,) = connection.execute("SELECT lo_get(%s::oid, 0, 1)", (oid,)).fetchone() or (b"",)
        if not first:
            return False
        connection.execute("SELECT lo_put(%s::oid, 0, %s)", (oid, bytes([first[0] ^ 1])))
        return True


def quote(connection: Connection, *names: str) -> str:
    """Names as PostgreSQL quotes them, joined by dots."""
    query = "SELECT array_to_string(array(SELECT quote_ident(n) FROM unnest(%s::text[]) n), '.')"
    found = connection.execute(query, ([*names],)).fetchone()
    assert found is not None
    return str(found[0])


def name_row(connection: Connection, table: DrawnTable, place: str) -> str:
    """How the row at a ctid must be named: the table, and its key where it has one."""
    name = quote(connection, "public", table.name)
    if not table.key:
        return name
    key = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c.name)) for c in table.columns[: table.key])
    query = sql.SQL("SELECT json_build_array({})::text FROM {} WHERE ctid = {}").format(key, table.identifier, place)
    row = connection.execute(query).fetchone()
    assert row is not None
    return f"{name} {row[0]}"


@st.composite
def mutations(draw: st.DrawFn, drawn: tuple[DrawnTable, ...]) -> Mutation:
    """Any single change of a drawn database."""
    table = draw(st.sampled_from(drawn))
    has_object = any(column.type == "oid" for column in table.columns)
    kinds = ["insert", "drop table", "sequence", "add column"]
    kinds += ["delete", "update", "update", "update"] if table.columns and table.rows else []
    kinds += ["object", "object", "dangling"] * 2 if table.rows and has_object else []
    kinds += ["drop column"] if table.columns else []
    kinds += ["drop default"] * 2 if any(column.default is not None for column in table.columns) else []
    kinds += ["drop index"] * 2 if table.index is not None else []
    kinds += ["drop key"] if table.key else []
    column = draw(st.sampled_from(table.columns)) if table.columns else None
    return Mutation(
        kind=draw(st.sampled_from(kinds)),
        table=table,
        column=column,
        number=draw(st.integers(0, 5)),
        value=draw(TYPES[column.type]) if column else "",
        row=draw(st.tuples(*(TYPES[one.type] for one in table.columns))),
    )


def mutate_every_kind() -> list[Mutation]:
    """Every kind of change of EVERY_KIND; values are updated to others that are equal and not identical."""
    (table,) = EVERY_KIND
    other = ("new", "", "1.00", "x", "30 days", '{"a":1.00}', "-0")
    changes = [Mutation(kind, table, table.columns[2], 0, "", other) for kind in MAY_DIFFER if kind != "update"]
    updates = zip(table.columns, other, strict=True)
    return changes + [Mutation("update", table, column, 0, value, other) for column, value in updates if value]
