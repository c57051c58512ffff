"""How an operator gets at a database: a session, keys drawn in order, and proof that the rows really changed.

`in_database` turns a function of a session into an operator's act. A table or object that is not there is nothing to
damage (""); any other refusal is an error of ours. Rows are named as findings name them: `public.session ["6f…"]`, of
several the bytewise first, because a report names the first ones and counts the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import psycopg
from psycopg import errors

from rehearsal.deployment import DatabaseSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.tampering.operators import Act, Strike

Connection = psycopg.Connection[tuple[Any, ...]]
DatabaseAct = Callable[[Connection, Strike], str]

KEYS = {
    "public.session": ("sessionid",),
    "public.dataset": ("sessionid", "datasetid"),
    "public.file": ("fileid",),
    "public.job": ("sessionid", "jobid"),
    "public.label": ("sessionid", "labelid"),
    "public.news": ("newsid",),
    "public.rule": ("ruleid",),
    "public.user_table": ("auth", "username"),
    "public.jobhistory": ("jobid", "sessionid"),
    "public.flyway_schema_history": ("installed_rank",),
    "rehearsal_extras.extremes": ("id",),
    "rehearsal_extras.attachment": ("id",),
}
"""Columns of the primary key by table, in the key's own order."""

_NOT_THERE = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedObject,
    errors.InvalidSchemaName,
)


def find_database(strike: Strike, role: str) -> DatabaseSpec | None:
    """The database of that role, a lost one if it is lost."""
    stores = (*strike.stage.lost, *strike.stage.stores)
    return next((store for store in stores if store.kind == "database" and store.role == role), None)


def in_database(role: str = "session-db") -> Callable[[DatabaseAct], Act]:
    """The function below gets a session in the database of that role: autocommit, empty search path.

    Raises:
        EnvironmentUnfit: (the act) the database refused something that it should have done.
    """

    def give_session(act: DatabaseAct) -> Act:
        @wraps(act)
        def strike_database(strike: Strike) -> str:
            store = find_database(strike, role)
            if store is None:
                return ""
            try:
                with (
                    strike.stage.cluster.reach(store) as there,
                    psycopg.connect(
                        there.dsn,
                        password=there.password,
                        autocommit=True,
                        options="-c statement_timeout=0",  # whatever an earlier operator set for everybody
                    ) as connection,
                ):
                    connection.execute("SELECT set_config('search_path', '', false)")
                    return act(connection, strike)
            except _NOT_THERE as error:
                strike.stage.journal.note(f"tampering: nothing to strike in {store.name}: {error.diag.message_primary}")
                return ""
            except psycopg.Error as error:
                raise EnvironmentUnfit(f"the operator was refused: {error}", where=store.name) from error

        return strike_database

    return give_session


def run(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """A statement's rows, none where it gives none; `%` is doubled where there are parameters."""
    cursor = connection.execute(query.encode(), parameters or None)
    return cursor.fetchall() if cursor.description else []


def key_of(table: str) -> str:
    """The SQL expression for a row's key as findings show it: a JSON array of texts."""
    return f"json_build_array({', '.join(f'{column}::text' for column in KEYS[table])})::text"


def name_first(table: str, keys: Iterable[str]) -> str:
    """`TABLE KEY` of the bytewise first key; "" of none."""
    first = min(keys, key=str.encode, default="")
    return f"{table} {first}" if first else ""


def draw_keys(connection: Connection, strike: Strike, table: str, where: str = "true") -> list[str]:
    """Keys of `strike.intensity` rows, or of fewer where there are not so many."""
    found = run(connection, f'SELECT {key_of(table)} COLLATE "C" FROM {table} WHERE {where} ORDER BY 1')  # noqa: S608
    keys = [key for (key,) in found]
    return strike.draw.sample(keys, min(strike.intensity, len(keys)))


def change_rows(connection: Connection, strike: Strike, table: str, change: str, where: str = "true") -> str:
    """UPDATE drawn rows, and name the first of those whose text is another afterwards."""
    chosen = draw_keys(connection, strike, table, where)
    texts = f"SELECT {key_of(table)}, t::text FROM {table} t WHERE {key_of(table)} = ANY(%s)"  # noqa: S608
    before = dict(run(connection, texts, chosen))
    run(connection, f"UPDATE {table} SET {change.replace('%', '%%')} WHERE {key_of(table)} = ANY(%s)", chosen)  # noqa: S608
    after = dict(run(connection, texts, chosen))
    return name_first(table, (key for key in chosen if before[key] != after.get(key)))


def delete_rows(connection: Connection, strike: Strike, table: str, where: str = "true") -> str:
    """DELETE drawn rows, and name the first."""
    chosen = draw_keys(connection, strike, table, where)
    gone = run(
        connection,
        f"DELETE FROM {table} WHERE {key_of(table)} = ANY(%s) RETURNING {key_of(table)}",  # noqa: S608
        chosen,
    )
    return name_first(table, (key for (key,) in gone))


def draw_name(strike: Strike, names: Iterable[str]) -> str:
    """One of them, the same for the same seed whatever order they came in; "" of none."""
    ordered = sorted(names)
    return strike.draw.choice(ordered) if ordered else ""
