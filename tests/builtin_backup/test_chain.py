"""Who holds a line: the own tars, an older backup, the archive, or a later archive directory; or nobody, with the
reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from archived_storage import Archived
from quick_seals import moment

from rehearsal.builtin_backup.chain import Gone, Holder, find_holder, find_list, plan_restore, verify_command
from rehearsal.builtin_backup.listing import ListedFile, read_listing
from rehearsal.builtin_backup.names import BackupName, make_name
from rehearsal.builtin_backup.places import Place
from rehearsal.errors import RehearsalError

A, B, C = {"aa/a": b"1" * 50}, {"bb/b": b"2" * 60}, {"cc/c": b"3" * 70}


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path)


def lines_of(place: Place, key: str) -> dict[str, ListedFile]:
    return {line.path: line for line in read_listing(place.read(key)) if isinstance(line, ListedFile)}


def tell(archived: Archived, name: BackupName, *places: Place) -> dict[str, str]:
    plan = plan_restore(places, name)
    told = {line.path: f"{h.place.kind} {h.name.taken.day}" for h, lines in plan.give for line in lines.values()}
    return told | {line.path: "nobody" for line in plan.missing}


def test_files_of_three_nights(archived: Archived) -> None:
    bucket, archive = archived.bucket, archived.archive
    first = archived.back_up(1, A | B)
    assert tell(archived, first, bucket) == {"aa/a": "bucket 15", "bb/b": "bucket 15"}
    archived.run(1)
    second = archived.back_up(2, A | C)
    assert tell(archived, second, bucket, archive) == {"aa/a": "bucket 15", "cc/c": "bucket 16"}
    assert tell(archived, second, archive, bucket) == {"aa/a": "archive 15", "cc/c": "bucket 16"}
    archived.run(2)
    assert tell(archived, first, archive) == {"aa/a": "archive 16", "bb/b": "archive 15"}
    assert tell(archived, second, bucket, archive) == {"aa/a": "archive 16", "cc/c": "bucket 16"}
    assert tell(archived, second, bucket) == {"aa/a": "nobody", "cc/c": "bucket 16"}
    assert plan_restore([bucket], second).reasons == {
        str(first): f"{first} is not in the bucket any more: give the archive server's directory too"
    }
    archived.back_up(3, A)
    archived.run(3)
    assert tell(archived, first, archive) == {"aa/a": "archive 17", "bb/b": "archive 15"}


def test_one_line_at_a_time(archived: Archived) -> None:
    first = archived.back_up(1, A | B)
    archived.run(1)
    second = archived.back_up(2, A)
    archived.run(2)
    lines = lines_of(archived.archive, f"{first}/archive-info")
    assert find_holder([archived.archive], first, lines["aa/a"]) == Holder(archived.archive, second)
    assert find_holder([archived.archive], first, lines["bb/b"]) == Holder(archived.archive, first)
    assert find_holder([archived.bucket], first, lines["bb/b"]) is None
    assert str(Holder(archived.archive, first)) == f"{archived.folder}/backup-archive/{first}"


def test_a_bucket_holds_only_what_it_packed_whatever_the_archive_s_list_says(archived: Archived) -> None:
    first = archived.back_up(1, A)
    archived.run(1)
    second = archived.back_up(2, A | C)
    archived.run(2)
    lines = lines_of(archived.archive, f"{second}/archive-info")
    assert {line.backup_name for line in lines.values()} == {str(second)} != {str(first)}
    assert find_holder([archived.bucket], second, lines["aa/a"]) is None
    assert find_holder([archived.bucket], second, lines["cc/c"]) == Holder(archived.bucket, second)


def test_the_bucket_s_list_is_taken_before_the_archive_s(archived: Archived) -> None:
    first = archived.back_up(1, A)
    archived.run(1)
    assert find_list([archived.archive, archived.bucket], first) == (archived.bucket, f"{first}/backup-info")
    shutil.rmtree(archived.folder / "bucket" / str(first))
    assert find_list([archived.archive, archived.bucket], first) == (archived.archive, f"{first}/archive-info")


def test_a_later_package_of_another_content_is_no_holder(archived: Archived) -> None:
    first = archived.back_up(1, A)
    archived.run(1)
    (archived.folder / f"backup-archive/{first}/aa/a.lz4.gpg").unlink()
    shutil.rmtree(archived.folder / "bucket" / str(first))
    second = archived.back_up(2, {"aa/a": b"4" * 50})
    archived.run(2)
    assert (
        archived.package(second, "aa/a").stat().st_size
        == lines_of(archived.archive, f"{first}/archive-info")["aa/a"].package_size
    )
    assert tell(archived, first, archived.archive) == {"aa/a": "nobody"}
    assert plan_restore([archived.archive], first).reasons == {
        str(first): f"{first} is there, and does not hold it; no later archive does"
    }


def test_a_package_of_another_size_or_storage_is_no_holder(archived: Archived) -> None:
    first = archived.back_up(1, A)
    archived.back_up(2, A, "file-storage-1")
    archived.run(2)
    shutil.rmtree(archived.folder / "bucket")
    (archived.folder / "bucket").mkdir()
    assert tell(archived, first, archived.archive) == {"aa/a": "archive 15"}
    package = archived.package(first, "aa/a")
    package.write_bytes(package.read_bytes()[:-1])
    assert tell(archived, first, archived.archive) == {"aa/a": "nobody"}


def test_a_bucket_whose_tars_are_gone_holds_nothing(archived: Archived) -> None:
    first = archived.back_up(1, A)
    shutil.rmtree(archived.folder / f"bucket/{first}/storage")
    assert tell(archived, first, archived.bucket) == {"aa/a": "nobody"}


def test_the_archive_that_the_chain_needs_was_cleaned_up(archived: Archived) -> None:
    first = archived.back_up(1, A)
    archived.run(1)
    second = archived.back_up(70, A)
    shutil.rmtree(archived.folder / f"backup-archive/{first}")
    shutil.rmtree(archived.folder / f"bucket/{first}")
    archived.back_up(70, A, "file-storage-1")
    archived.run(70)
    plan = plan_restore([archived.bucket, archived.archive], second)
    assert [line.path for line in plan.missing] == ["aa/a"]
    assert plan.reasons == {
        str(first): f"{first} is gone, and no later archive holds it: archives of files are removed after 60 days; "
        f"the oldest that is left is of {second.instant}"
    }


def test_a_backup_that_is_nowhere_or_never_was_complete(archived: Archived) -> None:
    first = archived.back_up(1, A)
    with pytest.raises(Gone, match="the newest that is there is of 2026-01-15") as gone:
        plan_restore([archived.bucket], make_name("file-storage-0", moment(2)))
    assert gone.value.hint == f"rehearsal verify-backup {archived.folder}/bucket"
    with pytest.raises(Gone, match="no backup of x is there at all"):
        plan_restore([], make_name("x", 0))
    (archived.folder / f"bucket/{first}/backup-info").unlink()
    with pytest.raises(RehearsalError, match="never completed"):
        plan_restore([archived.bucket], first)


def test_what_is_wrong_with_the_list_is_told_and_the_rest_is_planned(archived: Archived) -> None:
    first = archived.back_up(1, A | B | C)
    info = archived.folder / f"bucket/{first}/backup-info"
    a, b, c = info.read_text().splitlines()
    shared = "\t".join(["dd/d", *b.split("\t")[1:]])
    info.write_text("\n".join([a, a, b, shared, c.replace("cc/c", "../c"), "x"]))
    plan = plan_restore([archived.bucket], first)
    assert tell(archived, first, archived.bucket) == {"aa/a": "bucket 15", "bb/b": "bucket 15"}
    assert plan.troubles == (
        ("aa/a", "listed twice; the first line is taken"),
        ("dd/d", "its package bb/b.lz4.gpg is also that of another file"),
        ("line 5", "an unsafe path: '../c'"),
        ("line 6", "the last line has no newline: the list is cut"),
    )


@pytest.mark.parametrize(
    ("shown", "command"),
    [
        ("s3://b/p at https://s3.example.org", "rehearsal verify-backup s3://b/p --endpoint https://s3.example.org"),
        ("s3://b at the default endpoint", "rehearsal verify-backup s3://b"),
        ("/a folder at home", "rehearsal verify-backup '/a folder at home'"),
    ],
)
def test_the_next_command_can_be_pasted(archived: Archived, shown: str, command: str) -> None:
    archived.bucket.shown = shown
    assert verify_command(archived.bucket) == command
