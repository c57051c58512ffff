"""Operators on the restore and on the loss: the method is the manual's, what reaches the pod is not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prepared_set import SMALL_DUMP, Prepared, prepare

from rehearsal.journal import Journal
from rehearsal.tampering.every import REGISTRY
from rehearsal.tampering.operators import Operator

SESSION_DB = "chipster-session-db-postgresql-0"
WHOLE = SMALL_DUMP.read_bytes()
# What reaches a database beside psql needs a server: see test_operators_rehearsed.py.
_NEED_A_SERVER = {
    "restored over tables that a service has made",
    "built-in dump restored over tables that a service has made",
    "a service writes during the restore",
    "services hold every connection",
    "disk full during the restore of a database",
    "an extension is missing on the new server",
    "restored into a database of another encoding",
    "one table dropped instead of the database",
}
OPERATORS = [
    found for found in REGISTRY.values() if found.area in ("restore", "loss") and found.name not in _NEED_A_SERVER
]


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Prepared]:
    with closing(Journal(tmp_path / "journal.jsonl")) as journal:
        yield prepare(tmp_path / "run", journal)


def fed_to_psql(prepared: Prepared) -> list[bytes]:
    return [fed.removesuffix(b"-- of session-db\n") for fed in prepared.cluster.fed_to("psql")]


def members(packed: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(packed), ignore_zeros=True) as archive:
        return [
            (member.name, content.read()) for member in archive if (content := archive.extractfile(member)) is not None
        ]


def unpacked(prepared: Prepared, replica: str) -> bytes:
    return next(told.fed for told in prepared.cluster.told if told.pod == replica and "tar" in " ".join(told.argv))


@pytest.mark.parametrize("operator", OPERATORS, ids=[found.name for found in OPERATORS])
def test_it_says_what_it_struck_and_leaves_the_set_and_no_litter(operator: Operator, prepared: Prepared) -> None:
    files = {path: path.read_bytes() for path in prepared.stage.backup_folder.rglob("*") if path.is_file()}
    assert prepared.strike(operator)
    assert files == {path: path.read_bytes() for path in prepared.stage.backup_folder.rglob("*") if path.is_file()}
    assert [path.name for path in prepared.stage.logs.iterdir() if path.name.startswith("tamper")] == []


def test_nothing_is_restored(prepared: Prepared) -> None:
    assert prepared.strike(REGISTRY["restore skipped"]) == "session-db"
    assert prepared.cluster.told == []


def test_all_but_one_are_restored(prepared: Prepared) -> None:
    forgotten = prepared.strike(REGISTRY["one store left out of the restore"])
    pods = {told.pod for told in prepared.cluster.told}
    assert f"chipster-{forgotten}-postgresql-0" not in pods
    assert len(pods) == 2


def test_the_second_time_nothing_is_dropped_first(prepared: Prepared) -> None:
    assert prepared.strike(REGISTRY["restored twice from a dump without --clean"]) == "rehearsal_extras.no_key"
    first, second = fed_to_psql(prepared)
    assert first == WHOLE
    assert b"DROP" not in second
    assert second.count(b"COPY") == WHOLE.count(b"COPY")


def test_a_restore_done_twice_is_the_same_twice(prepared: Prepared) -> None:
    prepared.strike(REGISTRY["restored twice"])
    assert fed_to_psql(prepared) == [WHOLE, WHOLE]


def test_psql_goes_to_another_database(prepared: Prepared) -> None:
    prepared.strike(REGISTRY["restored into another database of the server"])
    (told,) = prepared.cluster.told
    assert told.pod == SESSION_DB
    assert told.argv[-1].endswith("-U postgres postgres")


def test_the_neighbour_gets_the_dump(prepared: Prepared) -> None:
    neighbour = prepared.strike(REGISTRY["restored into another store's database"])
    (told,) = prepared.cluster.told
    assert told.pod == f"chipster-{neighbour}-postgresql-0"
    assert told.fed == WHOLE + b"-- of session-db\n"


def test_an_interruption_keeps_whole_tables(prepared: Prepared) -> None:
    struck = prepared.strike(REGISTRY["restore interrupted after a table"])
    (fed,) = fed_to_psql(prepared)
    assert WHOLE.startswith(fed)
    assert fed.endswith(b"\n\\.\n")
    assert f"COPY {struck} (".encode() not in fed or struck == "public.session"


def test_a_cut_stream_ends_before_the_tables_last_row(prepared: Prepared) -> None:
    struck = prepared.strike(REGISTRY["stream into psql cut"])
    (fed,) = fed_to_psql(prepared)
    assert len(fed) < len(WHOLE)
    assert WHOLE.startswith(fed)
    last = fed.rindex(b"\nCOPY ")
    assert fed[last:].startswith(f"\nCOPY {struck} (".encode())
    assert b"\n\\.\n" not in fed[last:]


def test_psql_is_told_to_stop(prepared: Prepared) -> None:
    prepared.strike(REGISTRY["psql told to stop at the first error"])
    (told,) = prepared.cluster.told
    assert "PGPASSWORD=$POSTGRES_PASSWORD psql -v ON_ERROR_STOP=1 -U postgres session_db_db" in told.argv


def test_the_fence_is_a_comment_to_an_old_psql(prepared: Prepared) -> None:
    prepared.strike(REGISTRY["restored by a psql that does not know \\restrict"])
    (fed,) = fed_to_psql(prepared)
    assert b"\\restrict" not in fed
    assert b"\\unrestrict" not in fed
    assert fed.count(b"\n") == WHOLE.count(b"\n")


def test_the_role_of_the_old_server_is_not_here(prepared: Prepared) -> None:
    assert prepared.strike(REGISTRY["dump grants to a role that is missing"]) == "public.dataset"
    (fed,) = fed_to_psql(prepared)
    assert b"GRANT SELECT ON TABLE public.dataset TO monitoring_of_the_old_server;" in fed


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("files unpacked with a strict umask", "umask 077; exec tar xf - --no-overwrite-dir"),
        ("files unpacked one folder too deep", "tar xf - --no-overwrite-dir -C storage"),
    ],
)
def test_files_are_unpacked_by_another_command(prepared: Prepared, name: str, command: str) -> None:
    prepared.strike(REGISTRY[name])
    unpacking = [told for told in prepared.cluster.told if "tar xf" in " ".join(told.argv)]
    assert len(unpacking) == 2
    assert all(" ".join(told.argv).endswith(command) for told in unpacking)
    assert all(len(members(told.fed)) == 5 for told in unpacking), "the stream is whole"


def test_a_copy_lands_within_what_is_there(prepared: Prepared) -> None:
    prepared.strike(REGISTRY["files copied one folder too deep"])
    targets = [told.argv[-1] for told in prepared.cluster.told if told.argv[0] == "copy_in"]
    assert targets == ["./storage", "./storage"]


def test_a_file_that_is_named_does_not_fit_on_the_disk(prepared: Prepared) -> None:
    struck = prepared.strike(REGISTRY["disk full while files are unpacked"])
    store, _, path = struck.partition(": ")
    size = (prepared.stage.backup_folder / store / "storage" / path).stat().st_size
    words = next(" ".join(told.argv) for told in prepared.cluster.told if "ulimit" in " ".join(told.argv))
    limit = int(words.partition("ulimit -f ")[2].partition(";")[0]) * 1024
    assert size - 1024 <= limit < size


def test_a_stream_cut_within_a_file_ends_in_it(prepared: Prepared) -> None:
    store, _, path = prepared.strike(REGISTRY["stream into tar cut within a file"]).partition(": ")
    packed = unpacked(prepared, store)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        last = next(member for member in archive if member.name == f"storage/{path}")
    assert last.offset_data <= len(packed) < last.offset_data + last.size


def test_a_stream_cut_between_files_ends_before_it(prepared: Prepared) -> None:
    store, _, path = prepared.strike(REGISTRY["stream into tar cut between two files"]).partition(": ")
    packed = unpacked(prepared, store)
    names = [name for name, _ in members(packed)]
    kept = sorted(name.removeprefix("storage/") for name in names)
    assert all(name < path for name in kept)
    assert len(packed) % 512 == 0


def test_the_second_member_has_other_bytes(prepared: Prepared) -> None:
    store, _, path = prepared.strike(REGISTRY["a file twice in the tar stream"]).partition(": ")
    twice = [content for name, content in members(unpacked(prepared, store)) if name == f"storage/{path}"]
    assert len(twice) == 2
    assert twice[0] != twice[1]
    assert len(twice[0]) == len(twice[1])


def test_the_claim_is_kept(prepared: Prepared) -> None:
    assert prepared.strike(REGISTRY["claim not deleted"]) == "session-db"
    assert prepared.cluster.deleted == []
    assert [told.argv[0] for told in prepared.cluster.told] == ["scale", "deploy"]


@pytest.mark.parametrize("name", ["a replica was forgotten in the loss", "a store was forgotten in the loss"])
def test_one_of_them_is_forgotten(prepared: Prepared, name: str) -> None:
    forgotten = prepared.strike(REGISTRY[name])
    assert prepared.cluster.deleted
    assert not any(forgotten in claim for claim in prepared.cluster.deleted)


def test_a_hidden_file_is_there_after_the_loss(prepared: Prepared) -> None:
    store = prepared.strike(REGISTRY["hidden files outlived the loss"])
    last = prepared.cluster.told[-1]
    assert last.pod == store
    assert last.argv[0] == "touch"
    assert last.argv[1].startswith("storage/.")


def test_the_old_data_come_back_before_the_restore(prepared: Prepared) -> None:
    prepared.strike(REGISTRY["a new claim on the old data"])
    words = [" ".join(told.argv) for told in prepared.cluster.told]
    assert "pg_dump" in words[0]
    assert "psql" in words[-1]
    assert prepared.cluster.deleted == ["data-chipster-session-db-postgresql-0"]
