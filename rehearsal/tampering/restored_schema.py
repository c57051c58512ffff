"""Operators on the catalogue: sequences, indexes, constraints, defaults, rights, code, comments. No row changes.

All of it comes at the end of a dump, statement by statement, and psql goes on after each that fails: what is missing
shows weeks later, as a slow page, a duplicate key, a row that should have been refused. What to strike is read from the
catalogue of the restored database, sorted, and drawn.
"""

from __future__ import annotations

from functools import partial

from rehearsal.tampering.operators import Act, Strike, operator
from rehearsal.tampering.reached_databases import Connection, in_database, run

# ruff: noqa: S608 - every name in these statements comes quoted from the catalogue

_schema = partial(operator, moment="after restore", area="restored system", checks="schema")
_sequences = partial(operator, moment="after restore", area="restored system", checks="sequences")

_OURS = "n.nspname IN ('public', 'rehearsal_extras')"


def _strike_drawn(connection: Connection, strike: Strike, candidates: str) -> str:
    """Of a query's rows (subject, statement), run the statements of drawn ones; the first subject."""
    found = sorted(run(connection, candidates))
    chosen = sorted(strike.draw.sample(found, min(strike.intensity, len(found))))
    for _, statement in chosen:
        run(connection, statement)
    return str(chosen[0][0]) if chosen else ""


def _by_statement(candidates: str) -> Act:
    """An act of one query: rows (subject as a finding names it, statement that damages it)."""

    @in_database()
    def act(connection: Connection, strike: Strike) -> str:
        return _strike_drawn(connection, strike, candidates)

    return act


_SEQUENCE_NAMES = "pg_sequences s, format('%I.%I', s.schemaname, s.sequencename) AS name"

_sequences(
    "sequence set back", why="setval comes after the data in a dump: cut before it, every new row has a used key"
)(
    _by_statement(
        f"SELECT name, format('SELECT setval(%L, %s, true)', name, start_value) FROM {_SEQUENCE_NAMES} "
        "WHERE last_value <> start_value"
    )
)

_sequences("sequence's last value given again", why="setval(…, false) for true: one key is drawn twice, once")(
    _by_statement(
        f"SELECT name, format('SELECT setval(%L, %s, false)', name, last_value) FROM {_SEQUENCE_NAMES} "
        "WHERE last_value IS NOT NULL AND schemaname = 'rehearsal_extras' AND sequencename <> 'set_not_called'"
    )
)

_INDEXES = (
    "pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace "
    f"WHERE {_OURS} AND i.indisvalid AND NOT i.indisunique"
)

_schema("index lost", why="CREATE INDEX ran out of disk or time: every answer is right, and slow")(
    _by_statement(
        "SELECT format('index %I.%I', n.nspname, x.relname), format('DROP INDEX %I.%I', n.nspname, x.relname) "
        f"FROM {_INDEXES}"
    )
)

_schema("index invalid", why="CREATE INDEX CONCURRENTLY that failed leaves an index that is there and is never used")(
    _by_statement(
        "SELECT format('index %I.%I', n.nspname, x.relname), "
        "format('UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s', x.oid) "
        f"FROM {_INDEXES}"
    )
)

_CONSTRAINTS = (
    "pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = k.connamespace "
    f"WHERE {_OURS} AND k.contype IN "
)
_CONSTRAINT = "format('constraint %I.%I.%I', n.nspname, c.relname, k.conname)"

_schema("constraint lost", why="ADD CONSTRAINT fails on rows that came twice or not at all; psql goes on")(
    _by_statement(
        f"SELECT {_CONSTRAINT}, format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) "
        f"FROM {_CONSTRAINTS} ('f', 'c')"
    )
)

_schema(
    "primary key lost", why="a dump that is cut loses its keys, which come last; rows are whole and can now double"
)(
    _by_statement(
        f"SELECT {_CONSTRAINT}, format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) "
        f"FROM {_CONSTRAINTS} ('p') AND c.relname IN ('label', 'news', 'rule', 'job', 'dataset')"
    )
)

_schema(
    "constraint not validated", why="NOT VALID gets a stubborn ADD CONSTRAINT through, and old rows stay unchecked"
)(
    _by_statement(
        f"SELECT {_CONSTRAINT}, format('UPDATE pg_constraint SET convalidated = false WHERE oid = %s', k.oid) "
        f"FROM {_CONSTRAINTS} ('f', 'c')"
    )
)

# `pg_dump` does not tell the state of a foreign key's own triggers, so no dump can be asked whether this differs.
_schema(
    "foreign keys switched off",
    why="pg_restore --disable-triggers that died before it could switch them on again",
    differs="procedure",
)(
    _by_statement(
        f"SELECT {_CONSTRAINT}, format('ALTER TABLE %I.%I DISABLE TRIGGER ALL', n.nspname, c.relname) "
        f"FROM {_CONSTRAINTS} ('f') AND n.nspname = 'public'"
    )
)

_COLUMNS = (
    "pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE {_OURS} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
)
_COLUMN = "format('column %I.%I.%I', n.nspname, c.relname, a.attname)"

_schema("default lost", why="ALTER COLUMN … SET DEFAULT is a statement of its own in a dump and can fail alone")(
    _by_statement(
        f"SELECT {_COLUMN}, format('ALTER TABLE %I.%I ALTER %I DROP DEFAULT', n.nspname, c.relname, a.attname) "
        f"FROM {_COLUMNS} AND a.atthasdef AND a.attgenerated = ''"
    )
)

_schema("not-null lost", why="a table rebuilt by CREATE TABLE AS has every row and no rule about the next one")(
    _by_statement(
        f"SELECT {_COLUMN}, format('ALTER TABLE %I.%I ALTER %I DROP NOT NULL', n.nspname, c.relname, a.attname) "
        f"FROM {_COLUMNS} AND a.attnotnull AND a.attidentity = '' AND NOT EXISTS "
        "(SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))"
    )
)

_schema("column type widened", why="a converter that knows text alone: the limit of 255 characters is gone")(
    _by_statement(
        f"SELECT {_COLUMN}, format('ALTER TABLE %I.%I ALTER %I TYPE text', n.nspname, c.relname, a.attname) "
        f"FROM {_COLUMNS} AND a.atttypid = 'varchar'::regtype AND c.relname <> 'flyway_schema_history'"
    )
)

_RELATIONS = f"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} AND c.relkind = 'r'"

_schema("owner changed", why="restored by another role: ALTER TABLE at the next migration says permission denied")(
    _by_statement(
        "SELECT format('table %I.%I', n.nspname, c.relname), "
        f"format('ALTER TABLE %I.%I OWNER TO pg_monitor', n.nspname, c.relname) FROM {_RELATIONS}"
    )
)

_schema("table unlogged", why="SET UNLOGGED makes a load quick, and the next crash of the server empties the table")(
    _by_statement(
        "SELECT format('table %I.%I', n.nspname, c.relname), "
        f"format('ALTER TABLE %I.%I SET UNLOGGED', n.nspname, c.relname) FROM {_RELATIONS} "
        "AND c.relname IN ('job', 'label', 'news', 'rule', 'no_key')"
    )
)

_schema("grant lost", why="pg_dump --no-acl, or a role that was not there yet when GRANT ran")(
    _by_statement(
        "SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END "
        "|| format('%I.%I', n.nspname, c.relname), format('REVOKE ALL ON %s %I.%I FROM %s CASCADE', "
        "CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, "
        "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x "
        f"WHERE {_OURS} AND x.grantee <> c.relowner"
    )
)

_TRIGGERS = (
    "pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE {_OURS} AND NOT g.tgisinternal AND g.tgenabled = 'O'"
)
_TRIGGER = "format('trigger %I.%I.%I', n.nspname, c.relname, g.tgname)"

_schema(
    "trigger lost", why="its function was not there when CREATE TRIGGER ran: no row tells what should have happened"
)(
    _by_statement(
        f"SELECT {_TRIGGER}, format('DROP TRIGGER %I ON %I.%I', g.tgname, n.nspname, c.relname) FROM {_TRIGGERS}"
    )
)

_schema("trigger disabled", why="switched off for a quick load and never on again")(
    _by_statement(
        f"SELECT {_TRIGGER}, format('ALTER TABLE %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, g.tgname) "
        f"FROM {_TRIGGERS}"
    )
)

_FUNCTIONS = f"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS} AND p.prokind = 'f'"

_schema(
    "function's line ends changed", why="a dump taken through a terminal has CRLF (facts, trap 1): it runs, mostly"
)(
    _by_statement(
        "SELECT 'function ' || p.oid::regprocedure, replace(pg_get_functiondef(p.oid), E'\\n', E'\\r\\n') "
        f"FROM {_FUNCTIONS} AND strpos(p.prosrc, E'\\n') > 0"
    )
)

_schema("view shows other rows", why="a view restored from an older release: same name, same columns, another answer")(
    _by_statement(
        "SELECT format('view %I.%I', n.nspname, c.relname), format('CREATE OR REPLACE VIEW %I.%I AS %s OFFSET 1', "
        "n.nspname, c.relname, rtrim(pg_get_viewdef(c.oid), '; ')) "
        f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} AND c.relkind = 'v'"
    )
)

_schema("comment lost", why="pg_dump --no-comments; for some sites the comments are the documentation")(
    _by_statement(
        "SELECT concat('comment on ', i.type, ' ', i.identity), "
        "format('COMMENT ON %s %s IS NULL', CASE i.type WHEN 'table column' THEN 'column' ELSE i.type END, i.identity) "
        "FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i "
        "WHERE d.objoid >= 16384 AND i.schema = 'rehearsal_extras'"
    )
)
