"""The catalogue that the DDL makes, against the catalogue of a running Chipster, typed here word for word."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from seed_server import KEYS, Postgres, Seeded

from rehearsal.chipster.schemas import MARK_TABLE
from rehearsal.deployment import DatabaseKey

FLYWAY = (
    "flyway_schema_history(installed_rank integer not null, version varchar(50), description varchar(200) not null, "
    "type varchar(20) not null, script varchar(1000) not null, checksum integer, installed_by varchar(100) not null, "
    "installed_on timestamp(6) not null default now(), execution_time integer not null, success boolean not null)"
)

TABLES: dict[DatabaseKey, set[str]] = {
    "sessionDb": {
        FLYWAY,
        "dataset(datasetid uuid not null, sessionid uuid not null, created timestamptz(6), name varchar(255), "
        "notes oid, sourcejob uuid, x integer, y integer, fileid uuid, metadatafiles jsonb, labelids jsonb)",
        "file(fileid uuid not null, checksum varchar(255), filecreated timestamptz(6), size bigint not null, "
        "storage varchar(255), state integer, encryptionkey varchar(255))",
        "job(jobid uuid not null, sessionid uuid not null, created timestamptz(6), createdby varchar(255), "
        "endtime timestamptz(6), inputs jsonb, memoryusage bigint, module varchar(255), parameters jsonb, "
        "screenoutput oid, sourcecode oid, starttime timestamptz(6), state integer, statedetail oid, "
        "toolcategory varchar(255), tooldescription oid, toolid varchar(255), toolname varchar(255), "
        "metadatafiles jsonb, comp varchar(255), storageusage bigint, memorylimit bigint, cpulimit integer, "
        "outputs jsonb, storagelimit bigint, slotlimit integer)",
        "label(sessionid uuid not null, labelid uuid not null, name varchar(255), color varchar(64), "
        "created timestamptz(6))",
        "news(newsid uuid not null, contents jsonb, created timestamptz(6), modified timestamptz(6))",
        "rule(ruleid uuid not null, readwrite boolean not null, sharedby varchar(255), username varchar(255), "
        "sessionid uuid, created timestamptz(6))",
        "session(sessionid uuid not null, accessed timestamptz(6), created timestamptz(6), name varchar(255), "
        "notes oid, state integer)",
    },
    "auth": {
        FLYWAY,
        "oidcloginsession(oidcloginid uuid not null, created timestamptz(6), nonce varchar(255), "
        "oidcname varchar(255), state varchar(255), sourceip varchar(255), code oid)",
        "user_table(auth varchar(255) not null, username varchar(255) not null, accessed timestamptz(6), "
        "created timestamptz(6), latestsession uuid, mail varchar(255), modified timestamptz(6), name varchar(255), "
        "organization varchar(255), termsaccepted timestamptz(6), termsversion integer not null, "
        "version bigint not null, preferences jsonb)",
    },
    "jobHistory": {
        FLYWAY,
        "jobhistory(jobid uuid not null, sessionid uuid not null, comp varchar(255), endtime timestamptz(6), "
        "state varchar(255), screenoutput oid, starttime timestamptz(6), toolid varchar(255), toolname varchar(255), "
        "createdby varchar(255), created timestamptz(6), memoryusage bigint, statedetail varchar(255), "
        "module varchar(255), storageusage bigint)",
    },
}

FLYWAY_KEY = "flyway_schema_history: flyway_schema_history_pk PRIMARY KEY (installed_rank)"
CONSTRAINTS: dict[DatabaseKey, set[str]] = {
    "sessionDb": {
        "dataset: dataset_pkey PRIMARY KEY (sessionid, datasetid)",
        "dataset: fktnwjerv439jr4lmc37uvdp6ha FOREIGN KEY (fileid) REFERENCES file(fileid)",
        "file: file_pkey PRIMARY KEY (fileid)",
        FLYWAY_KEY,
        "job: job_pkey PRIMARY KEY (sessionid, jobid)",
        "label: label_pkey PRIMARY KEY (sessionid, labelid)",
        "news: news_pkey PRIMARY KEY (newsid)",
        "rule: fkmf1c6t4ld9isrgivjddortper FOREIGN KEY (sessionid) REFERENCES session(sessionid)",
        "rule: rule_pkey PRIMARY KEY (ruleid)",
        "session: session_pkey PRIMARY KEY (sessionid)",
    },
    "auth": {
        FLYWAY_KEY,
        "oidcloginsession: oidcloginsession_pkey PRIMARY KEY (oidcloginid)",
        "user_table: user_table_pkey PRIMARY KEY (auth, username)",
    },
    "jobHistory": {FLYWAY_KEY, "jobhistory: jobhistorymodel_pkey PRIMARY KEY (jobid, sessionid)"},
}

INDEXES: dict[DatabaseKey, set[str]] = {
    "sessionDb": {
        "dataset_fileid_index on dataset (fileid)",
        "flyway_schema_history_s_idx on flyway_schema_history (success)",
        "label_sessionid_index on label (sessionid)",
        "rule_sessionid_index on rule (sessionid)",
        "rule_sharedby_index on rule (sharedby)",
        "rule_username_index on rule (username)",
    },
    "auth": {"flyway_schema_history_s_idx on flyway_schema_history (success)"},
    "jobHistory": {
        "flyway_schema_history_s_idx on flyway_schema_history (success)",
        "job_history_created_index on jobhistory (created)",
    },
}

MIGRATIONS: dict[DatabaseKey, str] = {
    "sessionDb": "1 Base version · 2 Add session state column · 3 Add sharedby index and timestamp · "
    "4 Add metadata files to dataset and job · 5 Initialize metadatafiles array · 6 Convert lob columns to oid · "
    "7 Add file storage column · 8 Add comp column · 9 Add storage usage column · 10 Add resource limits · "
    "11 Add news table · 12 Add job outputs · 13 Add file state · 14 Add encrypt key · 15 Hibernate6 types · "
    "16 Add user resource limits · 17 Add labels",
    "auth": "1 Base version · 2 Add preferences column · 3 Hibernate6 types · 4 Add oidc login session · "
    "5 Add source ip · 6 Add code",
    "jobHistory": "1 Base version · 2 Convert lob columns to oid · 3 Add created column · 4 Add state detail column · "
    "5 Rename columns · 6 Add storage usage column · 7 Hibernate6 types",
}

_COLUMNS = """
SELECT c.relname || '(' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
    || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''), ', ' ORDER BY a.attnum) || ')'
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' GROUP BY c.oid, c.relname
"""
_CONSTRAINTS = """
SELECT conrelid::regclass || ': ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""
_INDEXES = """
SELECT indexname || ' on ' || tablename || substring(indexdef from ' \\(.*$') FROM pg_indexes
WHERE schemaname = 'public' AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)
"""
_OTHER = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'i')
UNION ALL SELECT oid::regproc::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
UNION ALL SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'
UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relacl IS NOT NULL
UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner <> 10
"""
_SHORT = (
    ("timestamp(6) with time zone", "timestamptz(6)"),
    ("timestamp(6) without time zone", "timestamp(6)"),
    ("character varying", "varchar"),
)


def read_texts(connection: psycopg.Connection[Any], query: str) -> list[str]:
    texts = [row[0] for row in connection.execute(query.encode()).fetchall()]
    for long, short in _SHORT:
        texts = [text.replace(long, short) for text in texts]
    return texts


@pytest.mark.parametrize("key", KEYS)
def test_the_catalogue_is_chipsters(postgres: Postgres, seeded: Seeded, key: DatabaseKey) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        columns, constraints, indexes, other = (
            read_texts(connection, query) for query in (_COLUMNS, _CONSTRAINTS, _INDEXES, _OTHER)
        )
    assert set(columns) == TABLES[key]
    assert set(constraints) == CONSTRAINTS[key]
    assert set(indexes) == INDEXES[key]
    assert other == []


@pytest.mark.parametrize("key", KEYS)
def test_flyway_remembers_every_migration(postgres: Postgres, seeded: Seeded, key: DatabaseKey) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        rows = connection.execute(
            "SELECT version || ' ' || description, installed_rank = version::integer, success, installed_on"
            " FROM flyway_schema_history ORDER BY installed_rank"
        ).fetchall()
    assert " · ".join(row[0] for row in rows) == MIGRATIONS[key]
    assert all(row[1] and row[2] for row in rows)
    instants = [row[3] for row in rows]
    assert instants == sorted(instants)


@pytest.mark.parametrize("key", KEYS)
def test_the_extras_are_in_every_database(postgres: Postgres, seeded: Seeded, key: DatabaseKey) -> None:
    with postgres.connect(seeded.databases[key]) as connection:
        kinds = dict(
            connection.execute(
                "SELECT relkind::text, count(*) FROM pg_class"
                " WHERE relnamespace = 'rehearsal_extras'::regnamespace GROUP BY 1"
            ).fetchall()
        )
        keyless = connection.execute(
            "SELECT relname FROM pg_class c WHERE relnamespace = 'rehearsal_extras'::regnamespace AND relkind = 'r'"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p')"
        ).fetchall()
        body = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'spell'").fetchone()
        spelled = connection.execute("SELECT rehearsal_extras.spell(7)").fetchone()
        partial = connection.execute("SELECT count(*) FROM pg_index WHERE indpred IS NOT NULL").fetchone()
        connection.execute(f"INSERT INTO {MARK_TABLE} VALUES ('nonce', 'value', now())".encode())
        connection.rollback()
    assert {kind: kinds[kind] for kind in "rSvm"} == {"r": 7, "S": 6, "v": 1, "m": 1}
    assert keyless == [("no_key",)]
    assert body is not None
    assert body[0].count("\n") > 8
    assert "\r" not in body[0]
    assert spelled == ("amount:\n7",)
    assert partial == (1,)


def test_sequences_are_in_every_state(postgres: Postgres, seeded: Seeded) -> None:
    query = (
        "SELECT '{0}', last_value, is_called FROM rehearsal_extras.{0}",
        ("never_called", "called", "set_not_called", "downwards", "counted_id_seq", "counted_ticket_seq"),
    )
    with postgres.connect(seeded.databases["auth"]) as connection:
        found = {
            name: (last, called)
            for name, last, called in connection.execute(
                " UNION ALL ".join(query[0].format(name) for name in query[1]).encode()
            ).fetchall()
        }
        grants = connection.execute(
            "SELECT relacl::text FROM pg_class WHERE oid = 'rehearsal_extras.counted'::regclass"
        ).fetchone()
    assert found["never_called"] == (42, False)
    assert found["downwards"] == (-(2**63), True)
    assert found["counted_id_seq"] == (40, True)  # three rows fewer are left
    assert found["counted_ticket_seq"] == (40, True)
    assert found["called"][1] is True
    assert found["called"][0] >= 1_000
    assert found["set_not_called"][1] is False
    assert grants is not None
    assert "pg_monitor=a*r*/postgres" in grants[0]
