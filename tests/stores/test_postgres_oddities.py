"""What is no damage compares equal: other oids, other order on disk, statistics, dense for sparse, a dump restored."""

# ruff: noqa: E501 - an oddity is a line or two

from __future__ import annotations

from pathlib import Path

import pytest
from database_server import DatabaseServer

from rehearsal.chipster.seeding import Seed
from rehearsal.deployment import DatabaseKey
from rehearsal.differences import ASPECTS, compare_databases
from rehearsal.inventory import DatabaseInventory

REWRITE_OBJECTS = """
UPDATE session SET notes = lo_from_bytea(0, lo_get(notes)) WHERE notes IS NOT NULL;
UPDATE probe.bag_of_objects SET content = lo_from_bytea(0, lo_get(content)) WHERE content IS NOT NULL;
SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid NOT IN (SELECT notes FROM session WHERE notes IS NOT NULL
    UNION SELECT content FROM probe.bag_of_objects WHERE content IS NOT NULL
    UNION SELECT other::oid FROM probe.bag_of_objects WHERE other IS NOT NULL)
"""
OTHER_ORDER = """
CREATE TEMP TABLE kept AS SELECT * FROM probe.bag ORDER BY amount DESC, word;
TRUNCATE probe.bag; INSERT INTO probe.bag SELECT * FROM kept; DROP TABLE kept
"""
ENUM_REMADE = """
ALTER TABLE probe.types ALTER feeling TYPE text;
DROP TYPE probe.mood; CREATE TYPE probe.mood AS ENUM ('low', 'high');
ALTER TABLE probe.types ALTER feeling TYPE probe.mood USING feeling::probe.mood
"""

ODDITIES = {
    "vacuum full": ["VACUUM FULL"],
    "cluster": ["CLUSTER dataset USING dataset_name_index"],
    "other order": [OTHER_ORDER],
    "rows moved": ["UPDATE session SET name = name", "VACUUM session"],
    "statistics": ["ANALYZE", "ALTER TABLE dataset ALTER name SET STATISTICS 500"],
    "sequence cache": ["ALTER SEQUENCE probe.ticket CACHE 20"],
    "other oids of large objects": [REWRITE_OBJECTS],
    "orphan removed": ["SELECT lo_unlink(max(oid)) FROM pg_largeobject_metadata WHERE oid NOT IN "
        "(SELECT notes FROM session WHERE notes IS NOT NULL UNION SELECT content FROM probe.bag_of_objects WHERE "
        "content IS NOT NULL UNION SELECT other::oid FROM probe.bag_of_objects WHERE other IS NOT NULL)"],
    "enum with other oids": [ENUM_REMADE],
    "indexes rebuilt": ["REINDEX TABLE dataset"],
    "mark": ["INSERT INTO rehearsal_extras.mark VALUES ('nonce', 'x', now())"],
    "default privileges written out": ["GRANT ALL ON session TO postgres", "GRANT EXECUTE ON FUNCTION probe.spell TO PUBLIC"],
    "server's settings": ["ALTER DATABASE {copy} SET timezone TO 'Asia/Tokyo'", "ALTER DATABASE {copy} SET datestyle TO 'SQL, DMY'",
        "ALTER DATABASE {copy} SET extra_float_digits TO -15", "ALTER DATABASE {copy} SET bytea_output TO 'escape'",
        "ALTER DATABASE {copy} SET search_path TO probe, public", "ALTER DATABASE {copy} SET default_transaction_isolation TO 'serializable'",
        "ALTER DATABASE {copy} SET quote_all_identifiers TO on", "ALTER DATABASE {copy} SET intervalstyle TO 'iso_8601'",
        "ALTER DATABASE {copy} SET statement_timeout TO 1", "ALTER DATABASE {copy} SET enable_seqscan TO off"],
}  # fmt: skip


def totals(before: DatabaseInventory, after: DatabaseInventory, evidence: Path) -> dict[str, int]:
    found = compare_databases(before, after, evidence)
    assert not [difference for differences in found.values() for difference in differences.named]
    return {aspect: differences.total for aspect, differences in found.items()}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_an_oddity_is_no_difference(
    oddity: str, server: DatabaseServer, copy: str, before: DatabaseInventory, evidence: Path
) -> None:
    with server.connect(copy) as connection:
        for statement in ODDITIES[oddity]:
            connection.execute(statement.format(copy=copy).encode())
    after = server.look_at(copy, evidence, copy)
    assert totals(before, after, evidence) == dict.fromkeys(ASPECTS, 0)


def test_dense_copy_of_a_sparse_object_is_equal(server: DatabaseServer, copy: str, evidence: Path) -> None:
    """Holes in front, in between, and a short page before a hole."""
    with server.connect(copy) as connection:
        for offset, name in ((500_000, "one"), (70_001, "two")):
            connection.execute("SELECT lo_put(notes, %s, 'far away') FROM session WHERE name = %s", (offset, name))
        connection.execute(
            "UPDATE session SET notes = lo_create(0) WHERE name = '';"
            "SELECT lo_put(notes, 10000, 'z') FROM session WHERE name = '';"
        )
        pages = connection.execute("SELECT count(*) FROM pg_largeobject").fetchone()
        sparse = server.look_at(copy, evidence, "sparse")
        connection.execute("UPDATE session SET notes = lo_from_bytea(0, lo_get(notes)) WHERE notes IS NOT NULL")
        connection.execute(
            "SELECT lo_unlink(oid) FROM pg_largeobject_metadata m WHERE NOT EXISTS (SELECT FROM session WHERE notes = m.oid)"
            " AND NOT EXISTS (SELECT FROM probe.bag_of_objects WHERE m.oid IN (content, other::oid))"
        )
        more_pages = connection.execute("SELECT count(*) FROM pg_largeobject").fetchone()
    assert pages is not None and more_pages is not None and more_pages[0] > pages[0] + 200
    assert totals(sparse, server.look_at(copy, evidence, "dense"), evidence) == dict.fromkeys(ASPECTS, 0)


@pytest.mark.parametrize("key", ["sessionDb", "auth", "jobHistory"])
def test_a_restored_dump_is_equal(server: DatabaseServer, evidence: Path, key: DatabaseKey) -> None:
    """The seed, which is made to hurt, through `pg_dump --clean` and psql, onto an empty database and onto itself."""
    original, restored = server.create(), server.create()
    with server.connect(original) as connection:
        connection.autocommit = False
        Seed(1, "s").fill_database(connection, key)
    expected = server.look_at(original, evidence, original)
    for _ in range(2):
        server.restore_dump(original, restored)
        after = server.look_at(restored, evidence, restored)
        assert totals(expected, after, evidence) == dict.fromkeys(ASPECTS, 0)
    assert sum(table.rows for table in expected.tables.values()) > 100


def test_the_intact_database_survives_a_dump(
    server: DatabaseServer, intact: str, before: DatabaseInventory, evidence: Path
) -> None:
    restored = server.create()
    server.restore_dump(intact, restored)
    after = server.look_at(restored, evidence, restored)
    assert totals(before, after, evidence) == dict.fromkeys(ASPECTS, 0)
