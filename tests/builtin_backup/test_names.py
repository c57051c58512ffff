from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.builtin_backup.names import (
    choose_prefix_digits,
    choose_tar,
    database_source,
    dump_path,
    make_name,
    object_key,
    parse_name,
)
from rehearsal.errors import RehearsalError

FILES = "file-storage-0_2026-04-30T01:10:00.123456789Z"
DUMP = "session-db-db-backup_2026-04-30T01:10:00Z"


def test_a_backup_of_files():
    name = parse_name(FILES)
    assert str(name) == FILES
    assert (name.source, name.role, name.is_database) == ("file-storage-0", "file-storage-0", False)
    assert name.instant == "2026-04-30T01:10:00.123456789Z"
    assert name.nanoseconds == 1_777_511_400_123_456_789
    assert name.taken == datetime(2026, 4, 30, 1, 10, 0, 123456, tzinfo=UTC)


def test_a_backup_of_a_database():
    name = parse_name(DUMP)
    assert (name.source, name.role, name.is_database) == ("session-db-db-backup", "session-db", True)
    assert name.source == database_source("session-db")
    assert dump_path(name) == f"{DUMP}.sql"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file-storage-0",
        "file-storage-0_",
        "_2026-04-30T01:10:00Z",
        "file-storage-0_2026-02-31T01:10:00Z",
        "file-storage-0_2026-04-30T24:10:00Z",
        "file-storage-0_2026-04-30T01:10:60Z",
        "file-storage-0_0000-04-30T01:10:00Z",
        "file-storage-0_2026-04-30T01:10:00",
        "file-storage-0_2026-04-30T01:10:00.1234567890Z",
        "file-storage-0_2026-04-30T01:10:00.Z",
        "file-storage-0_2026-04-30T01:10:00Z\n",
        "file-storage-0_2026-04-30T01:10:0\N{ARABIC-INDIC DIGIT ONE}Z",
        "a/b_2026-04-30T01:10:00Z",
        "../x_2026-04-30T01:10:00Z",
        "..x_2026-04-30T01:10:00Z",
        "a..b_2026-04-30T01:10:00Z",
        "-x_2026-04-30T01:10:00Z",
        "a\tb_2026-04-30T01:10:00Z",
    ],
)
def test_what_is_no_name(text):
    assert parse_name(text) is None


@pytest.mark.parametrize(
    ("nanoseconds", "instant"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_000_000_000, "1970-01-01T00:00:01Z"),
        (100_000_000, "1970-01-01T00:00:00.100Z"),
        (120_000, "1970-01-01T00:00:00.000120Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_777_511_400_123_456_780, "2026-04-30T01:10:00.123456780Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_instants_as_java_writes_them(nanoseconds, instant):
    name = make_name("s", nanoseconds)
    assert (name.instant, name.nanoseconds) == (instant, nanoseconds)


@given(st.integers(-(10**18), 10**19), st.sampled_from(["file-storage-0", "auth-db-backup", "a_b.c"]))
def test_a_name_is_read_back(nanoseconds, source):
    name = make_name(source, nanoseconds)
    assert parse_name(str(name)) == name
    assert (name.nanoseconds, name.source) == (nanoseconds, source)


@pytest.mark.parametrize("source", ["", "a/b", "..", "a\n", "ä", ".hidden", "a" * 300])
def test_a_source_that_is_no_host_name_is_refused(source):
    with pytest.raises(RehearsalError, match="cannot name a backup"):
        make_name(source, 0)


def test_a_time_outside_the_calendar_is_refused():
    with pytest.raises(RehearsalError, match="no backup can be taken"):
        make_name("s", 10**30)


def test_names_are_ordered_by_time_then_source():
    # as text, `.1Z` < `.15Z` < `Z`: an order by text would be wrong
    ordered = [parse_name(f"{text}Z") for text in ("b_2026-01-01T00:00:00", "b_2026-01-01T00:00:00.1")]
    ordered += [parse_name(f"{text}Z") for text in ("a_2026-01-01T00:00:00.15", "b_2026-01-01T00:00:00.150")]
    for shuffled in permutations(ordered):
        assert sorted(shuffled) == ordered


@pytest.mark.parametrize(
    ("count", "digits"),
    [
        (0, 0),
        (499, 0),
        (500, 1),
        (9_999, 1),
        (10_000, 2),
        (99_999, 2),
        (100_000, 3),
        (999_999, 3),
        (1_000_000, 4),
        (9**9, 4),
    ],
)
def test_how_many_digits_group_files(count, digits):
    assert choose_prefix_digits(count) == digits


@pytest.mark.parametrize(
    ("size", "digits", "tar"),
    [
        (0, 0, "_small_files.tar"),
        ((1 << 20) - 1, 2, "ab_small_files.tar"),
        (1 << 20, 4, "ab12_medium_files.tar"),
        ((1 << 30) - 1, 0, "_medium_files.tar"),
        (1 << 30, 2, "ab12cd.tar"),
    ],
)
def test_which_tar(size, digits, tar):
    assert choose_tar("ab12cd", size, digits) == tar


def test_keys_of_tars():
    assert object_key(parse_name(FILES), "ab_small_files.tar") == f"{FILES}/storage/backup/ab_small_files.tar"
    assert object_key(parse_name(DUMP), f"{DUMP}.tar") == f"{DUMP}/db-backups/{DUMP}/{DUMP}.tar"
