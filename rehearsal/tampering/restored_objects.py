"""Operators on large objects: every note, log and source code of a session is one, and no row's text shows its bytes.

An object is named by the row and the column that refer to it, `public.session ["6f…"] notes`, because its oid is new
after every restore. Struck are objects that hold at least one byte and that one row alone refers to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.reached_databases import Connection, in_database, key_of, run

# ruff: noqa: S608 - every name in these statements is a constant of ours

_objects = partial(operator, moment="after restore", area="restored system", checks="large-objects")

_COLUMNS = (
    ("public.session", "notes"),
    ("public.dataset", "notes"),
    ("public.job", "screenoutput"),
    ("public.job", "sourcecode"),
    ("rehearsal_extras.attachment", "content"),
)


@dataclass(frozen=True, order=True)
class _Reference:
    table: str
    key: str
    column: str
    oid: int
    sha256: str


def _find_references(connection: Connection) -> list[_Reference]:
    """Every reference to an object with at least one byte, in order."""
    selects = (
        f"SELECT '{table}', {key_of(table)} AS key, '{column}', {column}::bigint AS loid FROM {table}"
        for table, column in _COLUMNS
    )
    found = run(
        connection,
        "SELECT r.*, encode(sha256(lo_get(loid::oid)), 'hex') "
        f"FROM ({' UNION ALL '.join(selects)}) AS r(referrer, key, name, loid) "
        "WHERE loid IN (SELECT p.loid::bigint FROM pg_largeobject p WHERE length(p.data) > 0)",
    )
    every = [_Reference(*row) for row in found]
    oids = [reference.oid for reference in every]
    return sorted(reference for reference in every if oids.count(reference.oid) == 1)


def _name_first(changed: list[_Reference]) -> str:
    first = min(changed, key=lambda one: (one.table, one.key.encode(), one.column), default=None)
    return f"{first.table} {first.key} {first.column}" if first else ""


def _change_objects(connection: Connection, strike: Strike, change: str) -> str:
    """Run `change`, in which `:oid` stands for each drawn object; name the first whose bytes are others afterwards."""
    references = _find_references(connection)
    chosen = strike.draw.sample(references, min(strike.intensity, len(references)))
    for reference in chosen:
        run(connection, change.replace(":oid", str(reference.oid)))
    there = {(found.table, found.key, found.column): found.sha256 for found in _find_references(connection)}
    return _name_first([one for one in chosen if there.get((one.table, one.key, one.column)) != one.sha256])


@_objects("large object emptied", why="measured: a dump cut before its object data restores so, with status 0")
@in_database()
def empty_object(connection: Connection, strike: Strike) -> str:
    return _change_objects(connection, strike, "SELECT lo_truncate(lo_open(:oid, x'20000'::integer), 0)")


@_objects("large object a byte short", why="a stream that ends early loses the end of the last object first")
@in_database()
def shorten_object(connection: Connection, strike: Strike) -> str:
    change = "SELECT lo_truncate(lo_open(:oid, x'20000'::integer), length(lo_get(:oid)) - 1)"
    return _change_objects(connection, strike, change)


@_objects("large object's byte flipped", why="a bit that rots in pg_largeobject: no row, no size, no count tells it")
@in_database()
def flip_object(connection: Connection, strike: Strike) -> str:
    change = "SELECT lo_put(:oid, 0, set_byte(lo_get(:oid, 0, 1), 0, get_byte(lo_get(:oid, 0, 1), 0) # 1))"
    return _change_objects(connection, strike, change)


@_objects(
    "large object missing",
    why="vacuumlo removes what no oid column refers to; a hidden column costs live data (trap 15)",
)
@in_database()
def remove_object(connection: Connection, strike: Strike) -> str:
    return _change_objects(connection, strike, "SELECT lo_unlink(:oid)")


@_objects(
    "two rows swap their large objects", why="oids renumbered by hand: every object is there, behind the wrong row"
)
@in_database()
def swap_objects(connection: Connection, strike: Strike) -> str:
    references = _find_references(connection)
    strike.draw.shuffle(references)
    swapped: list[_Reference] = []
    while references and len(swapped) < 2 * strike.intensity:
        one = references.pop()
        others = (r for r in references if (r.table, r.column) == (one.table, one.column) and r.sha256 != one.sha256)
        other = next(others, None)
        if other is not None:
            references.remove(other)
            for row, oid in ((one, other.oid), (other, one.oid)):
                update = f"UPDATE {row.table} SET {row.column} = %s::bigint::oid WHERE {key_of(row.table)} = %s"
                run(connection, update, oid, row.key)
            swapped += [one, other]
    return _name_first(swapped)


@_objects(
    "reference to a large object lost", why="ON CONFLICT … SET notes = NULL: the object stays and nobody finds it"
)
@in_database()
def forget_object(connection: Connection, strike: Strike) -> str:
    references = _find_references(connection)
    chosen = strike.draw.sample(references, min(strike.intensity, len(references)))
    for one in chosen:
        run(connection, f"UPDATE {one.table} SET {one.column} = NULL WHERE {key_of(one.table)} = %s", one.key)
    return _name_first(chosen)


@_objects("large object's owner changed", why="restored with --no-owner or by another role: its user may not read it")
@in_database()
def change_object_owner(connection: Connection, strike: Strike) -> str:
    references = _find_references(connection)
    chosen = strike.draw.sample(references, min(strike.intensity, len(references)))
    for reference in chosen:
        run(connection, f"ALTER LARGE OBJECT {reference.oid} OWNER TO pg_monitor")
    owned = run(connection, "SELECT oid::bigint FROM pg_largeobject_metadata WHERE lomowner = 'pg_monitor'::regrole")
    return _name_first([reference for reference in chosen if (reference.oid,) in owned])


@_objects("large object's grant lost", why="pg_dump --no-acl, or a role that was not there yet when GRANT ran")
@in_database()
def revoke_object(connection: Connection, strike: Strike) -> str:
    granted = run(
        connection,
        "SELECT m.oid::bigint, x.grantee::regrole::text FROM pg_largeobject_metadata m, aclexplode(m.lomacl) x "
        "WHERE x.grantee <> m.lomowner AND x.grantee <> 0 ORDER BY 1, 2",
    )
    to_revoke = dict(granted)
    references = [one for one in _find_references(connection) if one.oid in to_revoke]
    chosen = strike.draw.sample(references, min(strike.intensity, len(references)))
    for reference in chosen:
        run(connection, f"REVOKE ALL ON LARGE OBJECT {reference.oid} FROM {to_revoke[reference.oid]}")
    return _name_first(chosen)
