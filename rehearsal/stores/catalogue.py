"""A database's schema as canonical text by object, its sequences, and what an empty one should not hold.

The SQL lies in `catalogue_queries.py`: each query gives rows (key, text), free of oids and of physical properties, one
property a line, so that a difference can show the line. PostgreSQL's own deparsers (`pg_get_functiondef`,
`pg_get_constraintdef`, …) write the definitions, names qualified because the session's search path is empty.
"""

from __future__ import annotations

from psycopg import sql

from rehearsal.stores.catalogue_queries import LEFTOVERS, SCHEMA_OBJECTS
from rehearsal.stores.sessions import Connection


def read_schema_objects(connection: Connection) -> dict[str, str]:
    """Canonical text by object, such as `column public.session.name` → `type character varying(255)…`.

    Members of extensions are left out, the extension stands for them; so are owners' default privileges, storage,
    statistics targets, tablespaces, sequence caches, the index a table was clustered on, and what the manual's dump of
    one database does not hold: roles and their settings, and the database's own comment, grants and settings.
    """
    found: dict[str, str] = {}
    for query in SCHEMA_OBJECTS:
        found.update(connection.execute(query).fetchall())
    return dict(sorted(found.items()))


def read_sequences(connection: Connection) -> dict[str, str]:
    """`last_value is_called` of every sequence by qualified name."""
    names = connection.execute(
        "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'S' AND c.relpersistence <> 't'"
        " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        ' ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"'
    ).fetchall()
    if not names:
        return {}
    states = [
        sql.SQL("SELECT {}, last_value || ' ' || is_called FROM {}").format(name, sql.Identifier(schema, sequence))
        for schema, sequence, name in names
    ]
    return dict(connection.execute(sql.SQL(" UNION ALL ").join(states)).fetchall())


def name_leftovers(connection: Connection, limit: int) -> tuple[str, ...]:
    """The first user objects: tables first, then other relations, functions, types, schemas, large objects."""
    return tuple(name for (name,) in connection.execute(LEFTOVERS, (limit,)))
