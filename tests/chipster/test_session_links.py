"""The link lines of a seeded server: every session, dataset and user is in them once, and they are sorted as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from seed_server import Postgres, Seeded, describe_all, fetch

from rehearsal.deployment import DatabaseKey
from rehearsal.evidence import read_lines
from rehearsal.inventory import LineFile
from rehearsal.roles import Coordinates
from rehearsal.stores.link_lines import write_link_lines
from rehearsal.stores.sessions import Connection, connect
from rehearsal.stores.tables import find_tables

Pair = tuple[list[str], list[object]]


@pytest.fixture
def session_db(postgres: Postgres, seeded: Seeded) -> Iterator[Connection]:
    with open_pinned(postgres, seeded, "sessionDb") as connection:
        yield connection


def open_pinned(postgres: Postgres, seeded: Seeded, key: DatabaseKey) -> Connection:
    at = postgres.at
    return connect(Coordinates(at.host, at.port, seeded.databases[key], at.user, at.password), pinned=True)


def write(connection: Connection, key: DatabaseKey, folder: Path) -> dict[str, LineFile]:
    return write_link_lines(connection, key, find_tables(connection), folder, "inventory/before/x")


def read(evidence: LineFile, folder: Path) -> list[Pair]:
    lines = list(read_lines(evidence, folder))
    keys = [line.split(b"\t")[0] for line in lines]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    return [(json.loads(key), json.loads(line.split(b"\t")[1])) for key, line in zip(keys, lines, strict=True)]


def test_every_session_is_told_with_its_owner_and_those_who_see_it(
    session_db: Connection, seeded: Seeded, tmp_path: Path
) -> None:
    sessions = read(write(session_db, "sessionDb", tmp_path)["sessions"], tmp_path)
    plan = seeded.seed.plan
    found = {key[0]: values for key, values in sessions}
    assert found.keys() == {plan.session_id(number) for number in range(plan.scale.sessions)}
    assert {name: values[1] for name, values in found.items()} == {
        plan.session_id(number): [plan.owner(number)] for number in range(plan.scale.sessions)
    }
    assert any("everyone" in values[2] for values in found.values())  # type: ignore[operator]
    assert {values[0] for values in found.values()} == {0, 1, 2, 3, 4}


def test_every_dataset_and_every_file_is_told_shared_ones_and_gaps_too(
    session_db: Connection, seeded: Seeded, tmp_path: Path
) -> None:
    datasets = read(write(session_db, "sessionDb", tmp_path)["datasets"], tmp_path)
    assert sum(bool(key[2]) for key, _ in datasets) == seeded.counts["sessionDb"]["public.dataset"]
    assert any(key[0] == "" for key, _ in datasets), "a dataset without a file"
    files = {file.file_id: [file.size, "file-storage-0", file.state] for file in describe_all(seeded.seed.plan)}
    assert {key[0]: values for key, values in datasets if key[0]} == files


def test_a_file_without_a_dataset_and_a_reference_to_no_file_are_told(session_db: Connection, tmp_path: Path) -> None:
    with session_db.transaction(force_rollback=True):
        session_db.execute("ALTER TABLE public.dataset DROP CONSTRAINT fktnwjerv439jr4lmc37uvdp6ha")
        taken = fetch(session_db, "SELECT fileid::text FROM public.file ORDER BY 1 LIMIT 2")
        (dangling,), (unused,) = taken
        session_db.execute("DELETE FROM public.file WHERE fileid::text = %s", (dangling,))
        session_db.execute("DELETE FROM public.dataset WHERE fileid::text = %s", (unused,))
        datasets = read(write(session_db, "sessionDb", tmp_path)["datasets"], tmp_path)
    of = [(key, values) for key, values in datasets if key[0] in (dangling, unused)]
    assert {(key[0], bool(key[2]), values[0] is None) for key, values in of} == {
        (dangling, True, True),
        (unused, False, False),
    }


def test_names_that_would_break_a_line_stay_one_line(session_db: Connection, tmp_path: Path) -> None:
    hard = 'a\tb\nc"d\\e\x01f\u2028'
    with session_db.transaction(force_rollback=True):
        session_db.execute("UPDATE public.rule SET username = %s WHERE sharedby IS NULL", (hard,))
        session_db.execute("UPDATE public.file SET storage = %s", (hard,))
        written = write(session_db, "sessionDb", tmp_path)
    assert all(values[1] == [hard] for _, values in read(written["sessions"], tmp_path))
    assert all(values[1] == hard for key, values in read(written["datasets"], tmp_path) if key[0])


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("DROP TABLE public.rule", {"datasets"}),
        ("ALTER TABLE public.dataset DROP COLUMN fileid", {"sessions"}),
        ("DROP TABLE public.file CASCADE", {"sessions"}),
        ("DROP SCHEMA public CASCADE", set()),
        ("ALTER TABLE public.session RENAME TO sessions", {"datasets"}),
    ],
)
def test_tables_that_are_gone_give_no_file(session_db: Connection, tmp_path: Path, change: str, left: set[str]) -> None:
    with session_db.transaction(force_rollback=True):
        session_db.execute(change.encode())
        assert write(session_db, "sessionDb", tmp_path).keys() == left


def test_columns_of_another_type_are_read_all_the_same(session_db: Connection, tmp_path: Path) -> None:
    with session_db.transaction(force_rollback=True):
        session_db.execute("ALTER TABLE public.dataset DROP CONSTRAINT fktnwjerv439jr4lmc37uvdp6ha")
        session_db.execute("ALTER TABLE public.dataset ALTER fileid TYPE varchar(255)")
        session_db.execute("ALTER TABLE public.rule DROP CONSTRAINT fkmf1c6t4ld9isrgivjddortper")
        session_db.execute("ALTER TABLE public.rule ALTER sessionid TYPE varchar(255)")
        changed = write(session_db, "sessionDb", tmp_path / "changed")
    plain = write(session_db, "sessionDb", tmp_path / "plain")
    assert {name: file.sha256 for name, file in changed.items()} == {name: file.sha256 for name, file in plain.items()}


def test_every_user_of_auth_is_told_as_rules_name_them(postgres: Postgres, seeded: Seeded, tmp_path: Path) -> None:
    with open_pinned(postgres, seeded, "auth") as connection:
        users = read(write(connection, "auth", tmp_path)["users"], tmp_path)
    plan = seeded.seed.plan
    assert {"/".join(key) for key, _ in users} == {plan.owner(user) for user in range(plan.scale.users)}


def test_job_history_binds_nothing(postgres: Postgres, seeded: Seeded, tmp_path: Path) -> None:
    with open_pinned(postgres, seeded, "jobHistory") as connection:
        assert write(connection, "jobHistory", tmp_path) == {}
