"""Operators on which rows are there: gone, doubled, replaced, their values exchanged, whole tables emptied or lost."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_databases import (
    Connection,
    delete_rows,
    draw_keys,
    draw_name,
    in_database,
    key_of,
    name_first,
    run,
)

# ruff: noqa: S608 - every name in these statements is a constant of ours

_rows = partial(operator, moment="after restore", area="restored system", checks="rows")
_tables = partial(operator, moment="after restore", area="restored system", checks="tables")


@_rows("one row gone", why="a row that a constraint refused on the way in: one ERROR among a hundred expected ones")
@in_database()
def delete_row(connection: Connection, strike: Strike) -> str:
    return delete_rows(connection, strike, "public.job")


@_rows("one row gone, another added", why="as many rows as before: a count says nothing")
@in_database()
def replace_row(connection: Connection, strike: Strike) -> str:
    replaced = []
    for key in draw_keys(connection, strike, "public.news"):
        other = UUID(int=strike.draw.getrandbits(128), version=4)
        replaced += run(
            connection,
            "WITH gone AS (DELETE FROM public.news WHERE json_build_array(newsid::text)::text = %s RETURNING *) "
            "INSERT INTO public.news SELECT %s, contents, created, modified FROM gone RETURNING %s::text",
            key,
            other,
            key,
        )
    return name_first("public.news", (key for (key,) in replaced))


@_rows("two rows swap a value", why="the same rows, the same values, a user's dataset shows another's file")
@in_database()
def swap_values(connection: Connection, strike: Strike) -> str:
    key = key_of("public.dataset")
    held = run(connection, f'SELECT {key} COLLATE "C", fileid FROM public.dataset WHERE fileid IS NOT NULL ORDER BY 1')
    strike.draw.shuffle(held)
    swapped: list[str] = []
    while held and len(swapped) < 2 * strike.intensity:
        one, its_file = held.pop()
        other = next((row for row in held if row[1] != its_file), None)
        if other is None:
            break
        held.remove(other)
        update = f"UPDATE public.dataset SET fileid = %s WHERE {key} = %s"
        run(connection, update, other[1], one)
        run(connection, update, its_file, other[0])
        swapped += [one, other[0]]
    return name_first("public.dataset", swapped)


@_rows("a row doubled in a table without a key", why="a dump restored twice, or over what was there: no key refuses it")
@in_database()
def double_row(connection: Connection, strike: Strike) -> str:
    added = run(
        connection,
        "INSERT INTO rehearsal_extras.no_key SELECT * FROM rehearsal_extras.no_key ORDER BY no_key::text LIMIT %s "
        "RETURNING 1",
        strike.intensity,
    )
    return "rehearsal_extras.no_key" if added else ""


@_rows("one of several equal rows gone", why="without a key only the number of equal rows tells that one is missing")
@in_database()
def delete_equal_row(connection: Connection, strike: Strike) -> str:
    del strike
    gone = run(
        connection,
        "DELETE FROM rehearsal_extras.no_key WHERE ctid = (SELECT min(ctid) FROM rehearsal_extras.no_key "
        "GROUP BY no_key::text HAVING count(*) > 1 ORDER BY no_key::text LIMIT 1) RETURNING 1",
    )
    return "rehearsal_extras.no_key" if gone else ""


@_rows("a table emptied", why="COPY failed for one table: psql goes on, the table is there, and status is 0 (trap 3)")
@in_database()
def empty_table(connection: Connection, strike: Strike) -> str:
    tables = ("public.news", "public.label", "public.rule", "public.job")
    filled = [table for table in tables if run(connection, f"SELECT 1 FROM {table} LIMIT 1")]
    table = draw_name(strike, filled)
    if not table:
        return ""
    keys = [key for (key,) in run(connection, f"SELECT {key_of(table)} FROM {table}")]
    run(connection, f"TRUNCATE {table}")
    return name_first(table, keys)


@_rows("a session's rule gone", why="the session and its files are whole, and nobody sees it (facts, trap 5)")
@in_database()
def delete_rule(connection: Connection, strike: Strike) -> str:
    return delete_rows(connection, strike, "public.rule", "sharedby IS NULL")


@_rows("a user gone", why="a user who cannot log in, while every session of theirs is there", loses=("auth",))
@in_database("auth")
def delete_user(connection: Connection, strike: Strike) -> str:
    return delete_rows(connection, strike, "public.user_table")


@_rows(
    "a finished job gone from the history",
    why="statistics are wrong for ever, and no user notices",
    loses=("job-history",),
)
@in_database("job-history")
def delete_history(connection: Connection, strike: Strike) -> str:
    return delete_rows(connection, strike, "public.jobhistory")


@_rows("a migration forgotten", why="Flyway runs it again on the next start, on tables that have it already")
@in_database()
def delete_migration(connection: Connection, strike: Strike) -> str:
    del strike
    last = "installed_rank = (SELECT max(installed_rank) FROM public.flyway_schema_history)"
    key = key_of("public.flyway_schema_history")
    gone = run(connection, f"DELETE FROM public.flyway_schema_history WHERE {last} RETURNING {key}")
    return name_first("public.flyway_schema_history", (key for (key,) in gone))


@_tables("an empty table lost", why="a table without rows leaves no gap in any count of rows")
@in_database()
def drop_empty_table(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "DROP TABLE rehearsal_extras.nothing_yet")
    return "rehearsal_extras.nothing_yet"


@_tables("a table of a later version left over", why="restored over a newer schema: --clean drops only what it knows")
@in_database()
def leave_table(connection: Connection, strike: Strike) -> str:
    name = f"public.later_{strike.draw.getrandbits(32):08x}"
    run(connection, f"CREATE TABLE {name} (id integer PRIMARY KEY)")
    return name


@_tables(
    "a materialized view not refreshed", why="REFRESH runs last in a dump, and fails on any function it cannot find"
)
@in_database()
def empty_view(connection: Connection, strike: Strike) -> str:
    del strike
    if not run(connection, "SELECT 1 FROM pg_matviews WHERE schemaname = 'rehearsal_extras' AND ispopulated"):
        return ""
    run(connection, "REFRESH MATERIALIZED VIEW rehearsal_extras.repeats WITH NO DATA")
    return "rehearsal_extras.repeats"
