"""Changes to a database that are no damage: where bytes lie, how they are kept, who may log in, what settings hold.

After each of them every row, object, sequence and definition reads as before, so everything must stay green: a judge
that cries over these is switched off within a week. Most are what a server does by itself, or an admin any day.
"""

from __future__ import annotations

from functools import partial

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_databases import Connection, draw_name, in_database, run

# ruff: noqa: S608 - every name in these statements is a constant of ours, or comes quoted from the catalogue

_benign = partial(operator, moment="after restore", area="benign", checks=())


@_benign("VACUUM FULL", why="every table rewritten, every ctid and file node new; an admin does it after a restore")
@in_database()
def vacuum_full(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "VACUUM (FULL, ANALYZE)")
    return "VACUUM FULL"


@_benign("VACUUM FREEZE", why="every row's transaction is gone from its header; autovacuum does it to old rows")
@in_database()
def vacuum_freeze(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "VACUUM (FREEZE)")
    return "VACUUM FREEZE"


@_benign("CLUSTER", why="a table sorted by an index, and remembered so: order is no content")
@in_database()
def cluster(connection: Connection, strike: Strike) -> str:
    found = run(
        connection,
        "SELECT format('CLUSTER public.%I USING %I', c.relname, x.relname) FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid "
        "WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid AND i.indpred IS NULL",
    )
    statement = draw_name(strike, (statement for (statement,) in found))
    if statement:
        run(connection, statement)
    return statement


@_benign("REINDEX", why="every index made anew, under a new file node")
@in_database()
def reindex(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "REINDEX SCHEMA public")
    run(connection, "REINDEX SCHEMA rehearsal_extras")
    return "REINDEX"


@_benign("rows in another physical order", why="parallel restores, UPDATEs and synchronised scans leave any order")
@in_database()
def reorder_rows(connection: Connection, strike: Strike) -> str:
    """Out and in again, sorted by a drawn hash."""
    for table in ("public.news", "public.label", "public.rule", "public.job", "rehearsal_extras.no_key"):
        with connection.transaction():
            run(connection, f"CREATE TEMPORARY TABLE held ON COMMIT DROP AS SELECT * FROM {table}")
            run(connection, f"TRUNCATE {table}")
            run(
                connection,
                f"INSERT INTO {table} SELECT * FROM held ORDER BY md5(held::text || '{strike.draw.random()}')",
            )
    return "other order"


@_benign("rows updated to what they are", why="a new version of every row, dead ones between: bloat is no content")
@in_database()
def rewrite_rows(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "UPDATE public.session SET name = name")
    run(connection, "UPDATE public.file SET size = size")
    run(connection, "UPDATE public.dataset SET name = name")
    return "rewritten rows"


@_benign("values stored another way", why="TOAST strategy and compression are the server's business; no value changes")
@in_database()
def change_storage(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "ALTER TABLE public.job ALTER parameters SET STORAGE EXTERNAL, ALTER inputs SET STORAGE MAIN")
    run(connection, "UPDATE public.job SET parameters = parameters, inputs = inputs")
    return "TOAST"


@_benign("sequence cache", why="how many numbers a session takes at once; the next number is the same")
@in_database()
def change_sequence_cache(connection: Connection, strike: Strike) -> str:
    run(connection, f"ALTER SEQUENCE rehearsal_extras.never_called CACHE {strike.draw.randint(2, 500)}")
    run(connection, f"ALTER SEQUENCE rehearsal_extras.called CACHE {strike.draw.randint(21, 500)}")
    return "cache"


@_benign("statistics", why="ANALYZE and statistics targets: a restored server has none until it looks again")
@in_database()
def change_statistics(connection: Connection, strike: Strike) -> str:
    del strike
    run(connection, "ALTER TABLE public.job ALTER state SET STATISTICS 500")
    run(connection, "ANALYZE")
    return "statistics"


@_benign("sparse large object made dense", why="a copier that reads and writes puts zeros where nothing was written")
@in_database()
def fill_object(connection: Connection, strike: Strike) -> str:
    """Every object with holes of up to 64 MiB."""
    del strike
    found = run(
        connection,
        "SELECT loid::bigint FROM pg_largeobject GROUP BY loid "
        "HAVING max(pageno) + 1 > count(*) AND max(pageno) < 32768 ORDER BY 1",
    )
    for (oid,) in found:
        run(connection, f"SELECT lo_put({oid}, 0, lo_get({oid}))")
    return f"{len(found)} made dense" if found else ""


@_benign("dense large object made sparse", why="pages of zeros left out: what is not there reads as zeros")
@in_database()
def punch_object(connection: Connection, strike: Strike) -> str:
    """Every whole inner page of zeros, of whatever object."""
    del strike
    gone = run(
        connection,
        "DELETE FROM pg_largeobject p WHERE length(data) = 2048 AND data = decode(repeat('00', 2048), 'hex') "
        "AND EXISTS (SELECT FROM pg_largeobject o WHERE o.loid = p.loid AND o.pageno > p.pageno) RETURNING 1",
    )
    return f"{len(gone)} pages" if gone else ""


@_benign("large object under another oid", why="opening a session writes its notes to a new object (facts, trap 19)")
@in_database()
def renumber_object(connection: Connection, strike: Strike) -> str:
    """The old one stays behind, referred to from nowhere."""
    del strike
    changed = run(
        connection,
        "UPDATE public.session SET notes = lo_from_bytea(0, lo_get(notes)) WHERE notes IN "
        "(SELECT oid FROM pg_largeobject_metadata WHERE lomacl IS NULL) RETURNING 1",
    )
    return f"{len(changed)} renumbered" if changed else ""


@_benign("unreferenced large object added", why="each opening of a session leaves one: a count is no measure of loss")
@in_database()
def add_object(connection: Connection, strike: Strike) -> str:
    (oid,) = run(connection, "SELECT lo_from_bytea(0, %s)", strike.draw.randbytes(5_000))[0]
    return f"large object {oid}"


@_benign(
    "unreferenced large objects removed by vacuumlo",
    why="the manual runs it before every dump: what the inventory saw is not in the set (facts, trap 19)",
    moment="before backup",
)
@in_database()
def remove_objects(connection: Connection, strike: Strike) -> str:
    del strike
    columns = run(
        connection,
        "SELECT format('SELECT %I FROM %s WHERE %1$I IS NOT NULL', a.attname, a.attrelid::regclass) "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.atttypid = 'oid'::regtype AND a.attnum > 0 "
        "AND NOT a.attisdropped AND c.relkind IN ('r', 'm') AND c.oid >= 16384",
    )
    if not columns:
        return ""
    references = " UNION ".join(statement for (statement,) in columns)
    gone = run(
        connection,
        f"SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid NOT IN ({references})",
    )
    return f"{len(gone)} removed" if gone else ""
