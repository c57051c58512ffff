"""Each damage to a database is seen, by the right aspect, and named so that a person finds it."""

# ruff: noqa: E501 - a damage is a line

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.differences import ASPECTS, compare_databases
from rehearsal.inventory import DatabaseInventory, Difference

ONE = "aaaaaaaa-0000-0000-0000-000000000001"
TWO = "aaaaaaaa-0000-0000-0000-000000000002"
FIVE = "aaaaaaaa-0000-0000-0000-000000000005"

# (name, SQL, aspect, kind, subject, a part of the detail)
Case = tuple[str, str, str, str, str, str]


def _on_object(statement: str) -> str:
    chosen = "(SELECT notes FROM session WHERE name = 'one')"
    return f"DO $$ BEGIN EXECUTE format('{statement}', {chosen}); END $$"


def _only(column: str) -> str:
    """The whole detail of a row in which one column changed: no other may be named."""
    return f"column {column} differs (value hidden; --show-values shows it)"


def _type(name: str, change: str) -> Case:
    return (
        name,
        f"UPDATE probe.types SET {change} WHERE id = 1",
        "rows",
        "changed",
        'probe.types ["1"]',
        _only(change.split(" =")[0]),
    )


ROWS: list[Case] = [
    ("row changed", "UPDATE session SET state = 4 WHERE name = 'one'", "rows", "changed", f'public.session ["{ONE}"]', _only("state")),
    ("row lost", "DELETE FROM dataset WHERE datasetid = 3", "rows", "missing", f'public.dataset ["{ONE}", "3"]', "gone"),
    ("row added", f"INSERT INTO dataset VALUES ('{ONE}', 9)", "rows", "extra", f'public.dataset ["{ONE}", "9"]', ""),
    ("NULL for empty", "UPDATE session SET name = NULL WHERE name = ''", "rows", "changed", "public.session [", _only("name")),
    ("empty for NULL", "UPDATE session SET name = '' WHERE name IS NULL", "rows", "changed", "public.session [", _only("name")),
    ("a microsecond", "UPDATE session SET created = created + interval '1 us' WHERE name = 'one'", "rows", "changed", ONE, _only("created")),
    ("two columns", "UPDATE session SET name = 'x', state = 1 WHERE name = 'one'", "rows", "changed", ONE, "columns name, state differ (values hidden; --show-values shows them)"),
    ("unique key", "UPDATE probe.unique_only SET c = 'x' WHERE a = 1", "rows", "changed", 'probe.unique_only ["k1"]', _only("c")),
    ("beside a dropped column", "UPDATE probe.dropped SET kept = 3 WHERE kept = 2", "rows", "missing", 'probe.dropped ["2"]', ""),
    ("in a partition", "UPDATE probe.parted SET line = 'two'", "rows", "changed", 'probe.parted_low ["1"]', ""),
    ("table doubled", "INSERT INTO probe.bag SELECT * FROM probe.bag", "rows", "changed", "probe.bag", "4 rows became 8"),
    ("one of two equal rows", "DELETE FROM probe.bag WHERE ctid = (SELECT min(ctid) FROM probe.bag WHERE word = 'b')", "rows", "changed", "probe.bag", "4 rows became 3"),
    # a sum of hash_record_extended does not see this one: that hash is linear in its columns
    ("two rows swap a value", "UPDATE probe.bag SET amount = 3 - amount WHERE ctid IN ('(0,1)', '(0,2)')", "rows", "changed", "probe.bag", "4 rows, content digest differs"),
    ("a row for another", "UPDATE probe.bag SET word = 'c' WHERE word = 'a'", "rows", "changed", "probe.bag", "content digest"),
    ("row without columns", "INSERT INTO probe.no_columns DEFAULT VALUES", "rows", "changed", "probe.no_columns", "0 rows became 1"),
    ("stale materialized view", "UPDATE probe.bag SET word = 'z' WHERE word = 'a'; REFRESH MATERIALIZED VIEW probe.summary", "rows", "changed", "probe.summary", ""),
    _type("numeric scale", "exact = 1.00"),
    _type("negative zero, single", "single = '-0'"),
    _type("negative zero, double", "double = '-0'"),
    ("last digit of a double", "UPDATE probe.types SET double = 0.3 WHERE id = 2", "rows", "changed", 'probe.types ["2"]', _only("double")),
    _type("jsonb number", """document = '{"a": 1.00, "b": [1]}'"""),
    _type("json white space", """plain = '{"a":1}'"""),
    _type("interval of equal length", "span = '24 hours'"),
    _type("another time zone", "clock = '12:00+02'"),
    ("two columns swap", """UPDATE probe.types SET document = '{"a": 1}', plain = '{"a": 1.0, "b": [1]}' WHERE id = 1""", "rows", "changed", 'probe.types ["1"]', "columns document, plain differ"),
    _type("trailing blank", "loose = 'ab '"),
    _type("enum", "feeling = 'high'"),
    _type("composite", "both_ = ROW(1, '')"),
    _type("composite for NULL", "both_ = NULL"),
    _type("array bounds", "grid = '[0:1]={1,2}'"),
    _type("range of other scale", "period = '[1.00,2)'"),
    _type("bigint that folds alike", "big = 4294967296"),
    _type("bigint -1 and its fold", "big = 4294967295"),
    _type("moment", "moment = moment + interval '1 us'"),
    _type("NULL", "line = NULL"),
    _type("money", "price = 1.01"),
    _type("point", "point_ = '(0,-0)'"),
    _type("regclass", "relation = 'dataset'::regclass"),
    _type("zero byte lost", "raw = ''"),
    _type("inet mask", "address = '10.0.0.1/24'"),
]  # fmt: skip

OBJECTS: list[Case] = [
    ("another owner", _on_object("ALTER LARGE OBJECT %s OWNER TO pg_monitor"), "large object", "changed", f'public.session ["{ONE}"] notes', "owner postgres → owner pg_monitor"),
    ("granted", _on_object("GRANT SELECT ON LARGE OBJECT %s TO pg_monitor"), "large object", "changed", f'public.session ["{ONE}"] notes', "(nothing) → grant pg_monitor: SELECT"),
    ("emptied", "SELECT lo_truncate(lo_open(notes, x'60000'::int), 0) FROM session WHERE name = 'one'", "large object", "changed", f'public.session ["{ONE}"] notes', "size 12 → 0, sha256 differs"),
    ("byte flipped", "SELECT lo_put(notes, 0, 'N') FROM session WHERE name = 'one'", "large object", "changed", f'public.session ["{ONE}"] notes', "sha256 differs"),
    ("swapped", "UPDATE session a SET notes = b.notes FROM session b WHERE (a.name, b.name) IN (('one', 'two'), ('two', 'one'))", "large object", "changed", f'public.session ["{ONE}"] notes', "sha256 differs"),
    ("unlinked", "SELECT lo_unlink(notes) FROM session WHERE name = 'two'", "large object", "changed", f'public.session ["{TWO}"] notes', "12 bytes expected, the object is gone: a dangling reference"),
    ("a page lost", "DELETE FROM pg_largeobject WHERE pageno = 2", "large object", "changed", f'public.session ["{FIVE}"] notes', "sha256 differs"),
    ("the end lost", "DELETE FROM pg_largeobject WHERE pageno = 4", "large object", "changed", f'public.session ["{FIVE}"] notes', "size 9000 → 8192"),
    ("set to NULL", "UPDATE session SET notes = NULL WHERE name = 'one'", "large object", "missing", f'public.session ["{ONE}"] notes', "12 bytes expected"),
    ("NULL no more", "UPDATE session SET notes = lo_from_bytea(0, 'z') WHERE name = ''", "large object", "extra", "public.session [", "1 bytes found"),
    ("without a key", "SELECT lo_put(content, 0, 'z') FROM probe.bag_of_objects WHERE content IS NOT NULL", "large object", "missing", "probe.bag_of_objects content", "1 bytes expected"),
    ("behind a domain", "SELECT lo_unlink(other::oid) FROM probe.bag_of_objects WHERE other IS NOT NULL", "large object", "missing", "probe.bag_of_objects other", ""),
]  # fmt: skip
SCHEMA: list[Case] = [
    ("table lost", "DROP TABLE dataset", "table", "missing", "public.dataset", "15 rows"),
    ("table added", "CREATE TABLE probe.new ()", "table", "extra", "probe.new", "0 rows"),
    ("sequence back", "SELECT setval('probe.ticket', 40)", "sequence", "changed", "probe.ticket", "41 true → 40 true"),
    ("sequence not called", "SELECT setval('probe.ticket', 41, false)", "sequence", "changed", "probe.ticket", "41 true → 41 false"),
    ("sequence lost", "DROP SEQUENCE probe.ticket", "sequence", "missing", "probe.ticket", ""),
    ("index dropped", "DROP INDEX dataset_name_index", "schema", "missing", "index public.dataset_name_index", ""),
    ("index invalid", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'dataset_name_index'::regclass", "schema", "changed", "index public.dataset_name_index", "(nothing) → invalid"),
    ("constraint lost", "ALTER TABLE dataset DROP CONSTRAINT name_short", "schema", "missing", "constraint public.dataset.name_short", ""),
    ("foreign key lost", "ALTER TABLE dataset DROP CONSTRAINT dataset_sessionid_fkey", "schema", "missing", "constraint public.dataset.dataset_sessionid_fkey", ""),
    ("constraint not validated", "UPDATE pg_constraint SET convalidated = false WHERE conname = 'name_short'", "schema", "changed", "constraint public.dataset.name_short", "NOT VALID"),
    ("key lost", "ALTER TABLE dataset DROP CONSTRAINT dataset_pkey", "schema", "missing", "constraint public.dataset.dataset_pkey", ""),
    ("foreign key switched off", "ALTER TABLE dataset DISABLE TRIGGER ALL", "schema", "changed", "constraint public.dataset.dataset_sessionid_fkey", "its triggers are disabled"),
    ("line ends of a body", "CREATE OR REPLACE FUNCTION probe.spell(amount integer) RETURNS text LANGUAGE plpgsql AS E'BEGIN\\r\\n  RETURN ''a'';\\r\\nEND'", "schema", "changed", "function probe.spell(integer)", "BEGIN\\r"),
    ("function lost", "DROP FUNCTION probe.spell", "schema", "missing", "function probe.spell(integer)", ""),
    ("default lost", "ALTER TABLE session ALTER state DROP DEFAULT", "schema", "changed", "column public.session.state", "default 2 → (nothing)"),
    ("column type", "ALTER TABLE session ALTER name TYPE text", "schema", "changed", "column public.session.name", "type character varying(255) → type text"),
    ("not null lost", "ALTER TABLE probe.unique_only ALTER a DROP NOT NULL", "schema", "changed", "column probe.unique_only.a", "not null → (nothing)"),
    ("column lost", "ALTER TABLE dataset DROP COLUMN name CASCADE", "schema", "missing", "column public.dataset.name", ""),
    ("generated no more", "ALTER TABLE probe.types ALTER doubled DROP EXPRESSION", "schema", "changed", "column probe.types.doubled", "generated s"),
    ("grant lost", "REVOKE SELECT ON probe.bag FROM pg_monitor", "schema", "changed", "table probe.bag", "grant pg_monitor: SELECT → (nothing)"),
    ("grant on a column lost", "REVOKE UPDATE (word) ON probe.bag FROM pg_monitor", "schema", "changed", "column probe.bag.word", "grant pg_monitor: UPDATE → (nothing)"),
    ("owner", "ALTER TABLE probe.bag OWNER TO pg_monitor", "schema", "changed", "table probe.bag", "owner postgres → owner pg_monitor"),
    ("trigger disabled", "ALTER TABLE probe.bag DISABLE TRIGGER touched", "schema", "changed", "trigger probe.bag.touched", "disabled"),
    ("trigger lost", "DROP TRIGGER touched ON probe.bag", "schema", "missing", "trigger probe.bag.touched", ""),
    ("view changed", "CREATE OR REPLACE VIEW probe.shown AS SELECT upper(word) AS word FROM probe.bag", "schema", "changed", "view probe.shown", "upper"),
    ("view lost", "DROP VIEW probe.shown", "schema", "missing", "view probe.shown", ""),
    ("comment lost", "COMMENT ON TABLE probe.bag IS NULL", "schema", "missing", "comment on table probe.bag", ""),
    ("comment's line ends", "COMMENT ON TABLE probe.bag IS E'two\\r\\nlines'", "schema", "changed", "comment on table probe.bag", "two → two\\r"),
    ("label added", "ALTER TYPE probe.mood ADD VALUE 'new'", "schema", "changed", "type probe.mood", "label new"),
    ("rule lost", "DROP RULE ignored ON probe.unique_only", "schema", "missing", "rule probe.unique_only.ignored", ""),
    ("policy lost", "DROP POLICY positive ON probe.bag", "schema", "missing", "policy probe.bag.positive", ""),
    ("row security on", "ALTER TABLE probe.bag ENABLE ROW LEVEL SECURITY", "schema", "changed", "table probe.bag", "row security"),
    ("publication lost", "DROP PUBLICATION every", "schema", "missing", "publication every", ""),
    ("table published", "ALTER PUBLICATION every ADD TABLE probe.bag", "schema", "changed", "publication every", "table probe.bag"),
    ("collation of another locale", "DROP COLLATION probe.plain; CREATE COLLATION probe.plain (locale = 'POSIX')", "schema", "changed", "collation probe.plain", "C → "),
    ("replica identity lost", "ALTER TABLE probe.unique_only REPLICA IDENTITY FULL", "schema", "changed", "index probe.unique_only_b_key", "replica identity → (nothing)"),
    ("option of a foreign table", "ALTER FOREIGN TABLE probe.elsewhere OPTIONS (SET name 'near')", "schema", "changed", "foreign table probe.elsewhere", "options {name=far} → options {name=near}"),
    ("foreign table lost", "DROP FOREIGN TABLE probe.elsewhere", "schema", "missing", "foreign table probe.elsewhere", ""),
    ("event trigger", "CREATE FUNCTION probe.on_end() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER ended ON ddl_command_end EXECUTE FUNCTION probe.on_end()", "schema", "extra", "event trigger ended", ""),
    ("statistics lost", "DROP STATISTICS probe.correlated", "schema", "missing", "statistics probe.correlated", ""),
    ("default privileges lost", "ALTER DEFAULT PRIVILEGES IN SCHEMA probe REVOKE SELECT ON TABLES FROM pg_monitor", "schema", "missing", "default privileges postgres probe r", ""),
    ("extension lost", "DROP EXTENSION plpgsql CASCADE", "schema", "missing", "extension plpgsql", ""),
    ("schema's owner", "ALTER SCHEMA probe OWNER TO pg_monitor", "schema", "changed", "schema probe", "owner"),
    ("persistence", "ALTER TABLE probe.bag SET UNLOGGED", "schema", "changed", "table probe.bag", "persistence p → persistence u"),
    ("view emptied", "REFRESH MATERIALIZED VIEW probe.summary WITH NO DATA", "table", "missing", "probe.summary", ""),
]  # fmt: skip


def find(found: tuple[Difference, ...], kind: str, subject: str, detail: str) -> list[Difference]:
    return [one for one in found if one.kind == kind and subject in one.subject and detail in one.detail]


@pytest.mark.parametrize("case", [*ROWS, *OBJECTS, *SCHEMA], ids=lambda case: case[0].replace(" ", "-"))
def test_damage_is_named(
    case: Case, look_after: Callable[[str], DatabaseInventory], before: DatabaseInventory, evidence: Path
) -> None:
    _, damage, aspect, kind, subject, detail = case
    after = look_after(damage)
    found = compare_databases(before, after, evidence)
    assert find(found[aspect].named, kind, subject, detail), found
    if case in ROWS:
        sums = [{name: (table.rows, table.digest) for name, table in look.tables.items()} for look in (before, after)]
        assert sums[0] != sums[1]  # the digest alone sees it, for tables without lines
        assert [name for name in ASPECTS if found[name].total] == ["rows"]
    if case in OBJECTS and kind == "changed":  # rows are judged without the oid: a swapped object is no changed row
        assert [name for name in ASPECTS if found[name].total] == ["large object"]
    assert found[aspect].compared > 0


def test_no_damage_is_no_difference(
    look_after: Callable[[str], DatabaseInventory], before: DatabaseInventory, evidence: Path
) -> None:
    found = compare_databases(before, look_after("SELECT 1"), evidence)
    assert {aspect: differences.total for aspect, differences in found.items()} == dict.fromkeys(ASPECTS, 0)
    assert all(differences.compared for differences in found.values())
