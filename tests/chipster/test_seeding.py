"""The seed in a real PostgreSQL: the same every time, hard where it should be, and whole after a dump and restore."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from seed_server import KEYS, PINNED, Postgres, Seeded, describe_all, digest_all, digest_database, fetch, fill

from rehearsal.chipster.files import COMPLETE
from rehearsal.chipster.hard_values import DOCUMENTS, LARGE_OBJECTS, TEXTS
from rehearsal.chipster.plan import JOB_STATES
from rehearsal.chipster.seeding import Seed
from rehearsal.deployment import DatabaseKey
from rehearsal.errors import EnvironmentUnfit

# SHA-256 (first 16 digits) of the sorted lines of COPY TO, by table, and of every large object by oid; seed 1, size s.
# They are the same on PostgreSQL 14 to 18. A change means that the seed is another one: when that is wanted, run
# `pytest tests/chipster -k golden -vv` and copy the new values from the failing comparison.
GOLDEN: dict[DatabaseKey, dict[str, str]] = {
    "sessionDb": {
        "public.dataset": "9164bfbca9b9e58e",
        "public.file": "b904882823295914",
        "public.flyway_schema_history": "e9fd9b2b2e52cfe9",
        "public.job": "63b25b1bd384ef12",
        "public.label": "31761752d1f47551",
        "public.news": "2dada12c91a060bf",
        "public.rule": "24912d7dc6949a49",
        "public.session": "67cc296ec9ffc08a",
        "rehearsal_extras.Order by": "9cf98240fbb49ef8",
        "rehearsal_extras.attachment": "14b431504ca49a06",
        "rehearsal_extras.counted": "1f0b490eb2bcf28e",
        "rehearsal_extras.extremes": "a41d98d2e6559bf6",
        "rehearsal_extras.mark": "e3b0c44298fc1c14",
        "rehearsal_extras.no_key": "3568841916da7bff",
        "rehearsal_extras.nothing_yet": "e3b0c44298fc1c14",
        "large objects": "5930e56b853d0bab",
        "sequences": "48d09a7eaf2183d9",
    },
    "auth": {
        "public.flyway_schema_history": "b314db95b50c8e4a",
        "public.oidcloginsession": "de1fc97c6252937e",
        "public.user_table": "377773fabaa6c871",
        "rehearsal_extras.Order by": "9cf98240fbb49ef8",
        "rehearsal_extras.attachment": "8af1462f8d76ed35",
        "rehearsal_extras.counted": "1f0b490eb2bcf28e",
        "rehearsal_extras.extremes": "a41d98d2e6559bf6",
        "rehearsal_extras.mark": "e3b0c44298fc1c14",
        "rehearsal_extras.no_key": "3568841916da7bff",
        "rehearsal_extras.nothing_yet": "e3b0c44298fc1c14",
        "large objects": "5d1fe25a37fac5ae",
        "sequences": "48d09a7eaf2183d9",
    },
    "jobHistory": {
        "public.flyway_schema_history": "ad7033cd9551a372",
        "public.jobhistory": "bc9dc6e2ff52b967",
        "rehearsal_extras.Order by": "9cf98240fbb49ef8",
        "rehearsal_extras.attachment": "f630272512489763",
        "rehearsal_extras.counted": "1f0b490eb2bcf28e",
        "rehearsal_extras.extremes": "a41d98d2e6559bf6",
        "rehearsal_extras.mark": "e3b0c44298fc1c14",
        "rehearsal_extras.no_key": "3568841916da7bff",
        "rehearsal_extras.nothing_yet": "e3b0c44298fc1c14",
        "large objects": "7cef27de93da6417",
        "sequences": "48d09a7eaf2183d9",
    },
}

LARGE_OBJECT_COLUMNS: dict[DatabaseKey, tuple[tuple[str, str], ...]] = {
    "sessionDb": (
        ("session", "notes"),
        ("dataset", "notes"),
        ("job", "screenoutput"),
        ("job", "sourcecode"),
        ("job", "statedetail"),
        ("job", "tooldescription"),
    ),
    "auth": (("oidcloginsession", "code"),),
    "jobHistory": (("jobhistory", "screenoutput"),),
}


def test_every_table_is_golden(postgres: Postgres, seeded: Seeded) -> None:
    assert digest_all(postgres, seeded.databases) == GOLDEN


def test_one_seed_is_one_dump(postgres: Postgres, seeded: Seeded, tmp_path: Path) -> None:
    again = fill(postgres, Seed(1, "s"), "again")
    assert again.counts == seeded.counts
    for key in KEYS:
        dumps = [postgres.dump(name, tmp_path) for name in (seeded.databases[key], again.databases[key])]
        assert hashlib.sha256(dumps[0]).digest() == hashlib.sha256(dumps[1]).digest()


def test_another_number_changes_every_seeded_table(postgres: Postgres, seeded: Seeded) -> None:
    one = digest_all(postgres, seeded.databases)
    two = digest_all(postgres, fill(postgres, Seed(2, "s"), "two").databases)
    same = {table for key in KEYS for table in one[key] if one[key][table] == two[key][table]}
    assert same == {"rehearsal_extras.counted", "rehearsal_extras.mark", "rehearsal_extras.nothing_yet"}


def test_counts_are_what_the_database_says(postgres: Postgres, seeded: Seeded) -> None:
    for key in KEYS:
        with postgres.connect(seeded.databases[key]) as connection:
            tables = fetch(
                connection,
                "SELECT schemaname || '.' || tablename, quote_ident(schemaname) || '.' || quote_ident(tablename)"
                " FROM pg_tables WHERE schemaname IN ('public', 'rehearsal_extras')",
            )
            found = {table: fetch(connection, f"SELECT count(*) FROM {quoted}")[0][0] for table, quoted in tables}
            found["large objects"] = fetch(connection, "SELECT count(*) FROM pg_largeobject_metadata")[0][0]
            referring = fetch(
                connection,
                "SELECT quote_ident(nspname) || '.' || quote_ident(relname), quote_ident(attname) FROM pg_attribute"
                " JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE atttypid = 'oid'::regtype AND attnum > 0 AND relkind = 'r'"
                " AND nspname IN ('public', 'rehearsal_extras')",
            )
            used = " UNION ALL ".join(f"SELECT {column} FROM {table}" for table, column in referring)
            found["unreferenced large objects"] = fetch(
                connection,
                "SELECT count(*) FROM pg_largeobject_metadata AS m"
                f" WHERE NOT EXISTS (SELECT FROM ({used}) AS used (object) WHERE object = m.oid)",
            )[0][0]
            dangling = fetch(
                connection,
                f"SELECT count(*) FROM ({used}) AS u(o) WHERE o NOT IN (SELECT oid FROM pg_largeobject_metadata)",
            )[0][0]
        assert found == seeded.counts[key]
        assert found["unreferenced large objects"] == 3
        assert dangling == 0


def test_rows_and_files_agree(postgres: Postgres, seeded: Seeded) -> None:
    with postgres.connect(seeded.databases["sessionDb"]) as connection:
        rows = fetch(connection, "SELECT fileid::text, size, state, storage, checksum FROM file")
        orphans = fetch(
            connection,
            "SELECT count(*) FROM file WHERE fileid NOT IN (SELECT fileid FROM dataset WHERE fileid IS NOT NULL)",
        )
    described = {file.file_id: file for file in describe_all(seeded.seed.plan)}
    assert {row[0]: row[1:3] for row in rows} == {id_: (file.size, file.state) for id_, file in described.items()}
    assert {row[3:] for row in rows} == {("file-storage-0", None)}
    assert sum(row[2] == COMPLETE for row in rows) == 498
    assert orphans == [(0,)]


def test_rows_name_the_replica_that_has_the_file(postgres: Postgres) -> None:
    seed = Seed(1, "s", file_replicas=2)
    name = postgres.create("replicas")
    with postgres.connect(name) as connection:
        seed.fill_database(connection, "sessionDb")
        rows = dict(fetch(connection, "SELECT fileid::text, storage FROM file"))
    for replica in range(2):
        stream = b"".join(seed.tar_stream(replica))
        here = set(re.findall(rb"storage/../([0-9a-f-]{36})\0", stream))
        assert here == {file.encode() for file, storage in rows.items() if storage == f"file-storage-{replica}"}


def test_sessions_have_one_owner_each_who_is_a_user(postgres: Postgres, seeded: Seeded) -> None:
    with postgres.connect(seeded.databases["sessionDb"]) as connection:
        owners = fetch(
            connection,
            "SELECT count(ruleid), min(username) FROM session LEFT JOIN rule"
            " ON rule.sessionid = session.sessionid AND sharedby IS NULL GROUP BY session.sessionid",
        )
        shares = fetch(connection, "SELECT readwrite, count(*) FROM rule WHERE sharedby LIKE '%/%' GROUP BY 1")
        everyone = fetch(connection, "SELECT readwrite, sharedby FROM rule WHERE username = 'everyone'")
        users = {row[0] for row in fetch(connection, "SELECT username FROM rule WHERE username <> 'everyone'")}
    with postgres.connect(seeded.databases["auth"]) as connection:
        known = {row[0] for row in fetch(connection, "SELECT auth || '/' || username FROM user_table")}
        terms = fetch(connection, "SELECT termsaccepted IS NULL, count(*) FROM user_table GROUP BY 1 ORDER BY 1")
    assert len(owners) == 50
    assert {count for count, _ in owners} == {1}
    assert users <= known
    assert {readwrite for readwrite, _ in shares} == {True, False}
    assert set(everyone) == {(False, "")}
    assert [row[0] for row in terms] == [False, True]


def test_every_state_occurs(postgres: Postgres, seeded: Seeded) -> None:
    with postgres.connect(seeded.databases["sessionDb"]) as connection:
        assert {row[0] for row in fetch(connection, "SELECT state FROM session")} == set(range(5))
        assert {row[0] for row in fetch(connection, "SELECT state FROM job")} == set(range(13))
    with postgres.connect(seeded.databases["jobHistory"]) as connection:
        assert {row[0] for row in fetch(connection, "SELECT state FROM jobhistory")} == set(JOB_STATES)


def test_files_are_shared_and_missing_as_on_a_real_server(postgres: Postgres, seeded: Seeded) -> None:
    with postgres.connect(seeded.databases["sessionDb"]) as connection:
        across = fetch(
            connection,
            "SELECT count(*) FROM (SELECT fileid FROM dataset GROUP BY 1 HAVING count(DISTINCT sessionid) > 1) AS x",
        )
        within = fetch(
            connection,
            "SELECT count(*) FROM (SELECT fileid FROM dataset WHERE fileid IS NOT NULL"
            " GROUP BY fileid, sessionid HAVING count(*) > 1) AS x",
        )
        without = fetch(connection, "SELECT count(*) FROM dataset WHERE fileid IS NULL")
        empty = fetch(connection, "SELECT count(*) FROM session WHERE sessionid NOT IN (SELECT sessionid FROM dataset)")
        lost = fetch(
            connection,
            "SELECT count(*) FROM dataset d WHERE sourcejob IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM job WHERE sessionid = d.sessionid AND jobid = d.sourcejob)",
        )
    assert across[0][0] >= 10
    assert within[0][0] >= 10
    assert without[0][0] >= 5
    assert empty == [(1,)]
    assert lost == [(0,)]


@pytest.mark.parametrize(
    ("key", "table", "column"),
    [
        ("sessionDb", "session", "name"),
        ("sessionDb", "dataset", "name"),
        ("sessionDb", "label", "name"),
        ("sessionDb", "job", "toolcategory"),
        ("auth", "oidcloginsession", "state"),
        ("jobHistory", "jobhistory", "statedetail"),
    ],
)
def test_hard_texts_come_back_as_they_were(
    postgres: Postgres, seeded: Seeded, key: DatabaseKey, table: str, column: str
) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        found = {row[0] for row in fetch(connection, f"SELECT {column} FROM {table}")}
    assert not set(TEXTS) - found


@pytest.mark.parametrize(
    ("key", "table", "column", "wanted"),
    [("sessionDb", "news", "contents", DOCUMENTS), ("auth", "user_table", "preferences", DOCUMENTS[:16])],
)
def test_hard_documents_are_there(
    postgres: Postgres, seeded: Seeded, key: DatabaseKey, table: str, column: str, wanted: tuple[str | None, ...]
) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        found = {row[0] for row in fetch(connection, f"SELECT {column}::text FROM {table}")}
        canonical = {connection.execute("SELECT %s::jsonb::text", (text,)).fetchall()[0][0] for text in wanted}
    assert {"1", "1.0", "1.00", "null", None} <= found
    assert not canonical - found


@pytest.mark.parametrize(
    ("key", "table", "column"),
    [(key, table, column) for key, columns in LARGE_OBJECT_COLUMNS.items() for table, column in columns],
)
def test_every_large_object_column_has_every_hard_object(
    postgres: Postgres, seeded: Seeded, key: DatabaseKey, table: str, column: str
) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        found = {bytes(row[0]) for row in fetch(connection, f"SELECT lo_get({column}) FROM {table} WHERE {column} > 0")}
        nulls = fetch(connection, f"SELECT count(*) FROM {table} WHERE {column} IS NULL")[0][0]
    assert not set(LARGE_OBJECTS) - found
    assert nulls > 0


@pytest.mark.parametrize(("key", "table"), [("sessionDb", "job"), ("jobHistory", "jobhistory")])
def test_the_unusual_large_objects(postgres: Postgres, seeded: Seeded, key: DatabaseKey, table: str) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        sizes = fetch(connection, f"SELECT length(lo_get(screenoutput)) FROM {table} WHERE screenoutput IS NOT NULL")
        sparse = fetch(
            connection, "SELECT lo_get(4294967294), (SELECT count(*) FROM pg_largeobject WHERE loid = 4294967294)"
        )
    assert ((1 << 20) + 1,) in sizes
    assert sparse == [(bytes(300_000) + b"after the hole", 1)]


def test_extremes_keep_their_bits(postgres: Postgres, seeded: Seeded) -> None:
    with postgres.connect(seeded.databases["auth"]) as connection:
        connection.execute(PINNED)
        rows = fetch(connection, "SELECT exact::text, double::text, moment::text FROM rehearsal_extras.extremes")
        repeats = fetch(connection, "SELECT max(times) FROM rehearsal_extras.repeats")
        counts = fetch(
            connection, "SELECT count(*), count(DISTINCT (word, amount::text, moment)) FROM rehearsal_extras.no_key"
        )
    exact, double, moment = (set(column) for column in zip(*rows, strict=True))
    assert {"NaN", "Infinity", "-Infinity", "1.0", "1.00", None} <= exact
    assert {"NaN", "-Infinity", "-0", "1e-307", "5e-324", "1.7976931348623157e+308"} <= double
    assert {"infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"} <= moment
    assert repeats[0][0] >= 2
    assert counts[0][0] > counts[0][1]


def test_every_fifth_number_has_no_job_history(postgres: Postgres) -> None:
    name = postgres.create("fifth")
    with postgres.connect(name) as connection:
        counts = Seed(10, "s").fill_database(connection, "jobHistory")
        assert fetch(connection, "SELECT count(*) FROM jobhistory") == [(0,)]
    assert counts["public.jobhistory"] == 0
    assert counts["public.flyway_schema_history"] == 7


def test_a_database_in_use_is_refused_and_left_alone(postgres: Postgres) -> None:
    name = postgres.create("in_use")
    with postgres.connect(name) as connection:
        connection.execute("CREATE TABLE public.session (kept integer)")
        connection.commit()
        with pytest.raises(EnvironmentUnfit, match='relation "session" already exists'):
            Seed(1, "s").fill_database(connection, "sessionDb")
        assert fetch(
            connection, "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'rehearsal_extras')"
        ) == [(1,)]


def test_autocommit_connections_are_served_too(postgres: Postgres, seeded: Seeded) -> None:
    name = postgres.create("autocommit")
    with postgres.connect(name, autocommit=True) as connection:
        assert Seed(1, "s").fill_database(connection, "auth") == seeded.counts["auth"]
    with postgres.connect(name) as connection:
        assert fetch(connection, "SELECT count(*) FROM user_table") == [(16,)]


@pytest.mark.parametrize("key", KEYS)
def test_a_clean_dump_restores_into_an_empty_database(
    postgres: Postgres, seeded: Seeded, tmp_path: Path, key: DatabaseKey
) -> None:
    name = seeded.databases[key]
    postgres.dump(name, tmp_path)
    restored = postgres.create(f"restored_{key.lower()}")
    outcome = postgres.run(f"psql -X -q -U postgres {restored}", stdin=tmp_path / f"{name}.sql")
    errors = [line for line in outcome.stderr.decode().splitlines() if "ERROR" in line]
    assert [line for line in errors if not re.search(r"does not exist$", line)] == []
    assert outcome.error_lines == len(errors) > 20
    with postgres.connect(name) as before, postgres.connect(restored) as after:
        assert digest_database(after) == digest_database(before)
        first, second = (
            fetch(connection, "SELECT * FROM rehearsal_extras.loud ORDER BY 1") for connection in (before, after)
        )
    assert first == second
    assert len(first) == 1


def test_vacuumlo_has_work_and_takes_nothing_else(postgres: Postgres, seeded: Seeded) -> None:
    name = postgres.create("vacuumed")
    with postgres.connect(name) as connection:
        counts = Seed(1, "s").fill_database(connection, "auth")
    postgres.run(f"vacuumlo -U postgres {name}")
    with postgres.connect(name) as connection:
        assert fetch(connection, "SELECT count(*) FROM pg_largeobject_metadata") == [(counts["large objects"] - 3,)]
