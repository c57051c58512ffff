"""The stand-in archives as BackupArchive does, holes included, and never writes outside its folder."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from archived_storage import FILES, Archived, flip, make_tar, read_tar
from quick_seals import QuickOpener, moment, read_tree

from rehearsal.builtin_backup.names import make_name
from rehearsal.builtin_backup.restoring import restore_files

A, B = {"aa/a": b"1" * 50}, {"bb/b": b"2" * 60}


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path)


def test_an_archive_holds_the_packages_and_its_list_which_the_bucket_gets_too(archived: Archived) -> None:
    first = archived.back_up(1, A)
    done = archived.run(1)
    assert (done.archived, done.removed, done.kept_in_bucket, done.complaints) == ((first,), (), (first,), ())
    lying = read_tree(archived.folder / f"backup-archive/{first}")
    assert set(lying) == {"aa/a.lz4.gpg", "archive-info"}
    info = archived.folder / f"bucket/{first}"
    assert lying["archive-info"] == (info / "archive-info").read_bytes() == (info / "backup-info").read_bytes()
    assert archived.run(1) == type(done)((), (), (first,), ())  # nothing to do


def test_older_files_are_moved_and_what_was_deleted_stays(archived: Archived) -> None:
    first = archived.back_up(1, A | B)
    archived.run(1)
    second = archived.back_up(2, A)
    assert read_tree(archived.folder / f"bucket/{second}").keys() == {"backup-info"}
    assert archived.run(2).complaints == ()
    assert archived.package(second, "aa/a").exists()
    assert not archived.package(first, "aa/a").exists()
    assert archived.package(first, "bb/b").exists()
    (line,) = (archived.folder / f"backup-archive/{second}/archive-info").read_text().splitlines()
    assert line.split("\t")[6] == str(second)  # the next incremental finds it there
    assert archived.bucket.names() == (second,)


def test_a_backup_that_is_not_complete_is_left_alone(archived: Archived) -> None:
    first = archived.back_up(1, A)
    (archived.folder / f"bucket/{first}/backup-info").unlink()
    assert archived.run(1).archived == ()
    assert archived.archive.names() == ()
    assert archived.bucket.names() == (first,)


def test_another_content_of_the_same_size_goes_unnoticed(archived: Archived) -> None:
    first = archived.back_up(1, A)
    members = read_tar(archived.tar(first))
    archived.tar(first).write_bytes(make_tar(*((name, flip(data)) for name, data in members.items())))
    assert archived.run(1).complaints == ()
    assert b"aa/a" in (archived.folder / f"backup-archive/{first}/archive-info").read_bytes()


@pytest.mark.parametrize("change", ["missing", "shorter", "cut"])
def test_what_is_missing_or_of_another_size_is_told_left_out_and_packed_again(archived: Archived, change: str) -> None:
    first = archived.back_up(1, A | B)
    members = read_tar(archived.tar(first))
    if change == "missing":
        del members["bb/b.lz4.gpg"]
    elif change == "shorter":
        members["bb/b.lz4.gpg"] = members["bb/b.lz4.gpg"][:-1]
    data = make_tar(*members.items())
    archived.tar(first).write_bytes(data[:1030] if change == "cut" else data)
    done = archived.run(1)
    assert any(f"{first}/bb/b.lz4.gpg: " in what and "in no other archive" in what for what in done.complaints)
    info = (archived.folder / f"backup-archive/{first}/archive-info").read_text()
    assert [line.split("\t")[0] for line in info.splitlines()] == ["aa/a"]
    assert set(read_tree(archived.folder / f"backup-archive/{first}")) == {"aa/a.lz4.gpg", "archive-info"}
    second = archived.back_up(2, A | B)
    assert set(read_tar(archived.tar(second))) == {"bb/b.lz4.gpg"}
    assert archived.run(2).complaints == ()


def test_a_file_that_is_not_where_the_line_says_is_taken_from_another_archive(archived: Archived) -> None:
    archived.back_up(1, A)
    archived.run(1)
    second = archived.back_up(2, A)  # both say: in the first
    third = archived.back_up(3, A)
    done = archived.run(3)
    assert done.archived == (second, third)
    assert len(done.complaints) == 1
    assert f"taken from {second}" in done.complaints[0]
    assert archived.package(third, "aa/a").exists()


def test_of_other_archives_the_newest_is_asked_first(archived: Archived) -> None:
    first, second, third = (archived.back_up(day, A) for day in (1, 2, 3))  # nothing archived yet: all three pack it
    archived.run(3)
    fourth = archived.back_up(4, A)
    archived.package(third, "aa/a").unlink()
    (told,) = archived.run(4).complaints
    assert told.startswith(f"{fourth}/aa/a.lz4.gpg: not in {third}, taken from {second}")
    assert archived.package(first, "aa/a").exists()


def test_nothing_is_taken_from_another_storage_s_archive(archived: Archived) -> None:
    archived.back_up(1, A, "file-storage-1")
    first = archived.back_up(1, A)
    archived.run(1)
    second = archived.back_up(2, A)
    archived.package(first, "aa/a").unlink()
    done = archived.run(2)
    assert any(f"{second}/aa/a.lz4.gpg: missing" in what for what in done.complaints)
    assert archived.package(make_name("file-storage-1", moment(1)), "aa/a").exists()


def test_an_archive_that_is_there_already_stops_its_source_alone(archived: Archived) -> None:
    first = archived.back_up(1, A)
    other = archived.back_up(1, A, "file-storage-1")
    (archived.folder / f"backup-archive/{first}").mkdir(parents=True)
    done = archived.run(1)
    assert done.archived == (other,)
    assert len(done.complaints) == 1
    assert "is there already" in done.complaints[0]
    assert f"rm -r '{archived.folder}/backup-archive/{first}'" in done.complaints[0]
    assert archived.bucket.names() == (first, other)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda text: text[:-20], "line 2"),
        (lambda text: text + text.splitlines()[0] + "\n", "listed twice"),
        (lambda text: text.replace("aa/a", "../a"), "unsafe path"),
        (lambda text: text.replace("aa/a", "download/a"), "the archive's own files"),
        (lambda text: text.replace("aa/a.lz4.gpg", "archive-info"), "the archive's own files"),
    ],
)
def test_a_damaged_list_stops_its_source_before_anything_is_moved(
    archived: Archived, damage: object, what: str
) -> None:
    first = archived.back_up(1, A | B)
    archived.run(1)
    second = archived.back_up(2, A | B)
    info = archived.folder / f"bucket/{second}/backup-info"
    info.write_text(damage(info.read_text()))  # type: ignore[operator]
    done = archived.run(2)
    assert done.archived == ()
    assert len(done.complaints) == 1
    assert what in done.complaints[0]
    assert archived.archive.names() == (first,)
    assert archived.package(first, "aa/a").exists()


def test_nothing_is_unpacked_outside_the_folder(archived: Archived) -> None:
    first = archived.back_up(1, A)
    link = tarfile.TarInfo("aa")
    link.type, link.linkname = tarfile.SYMTYPE, str(archived.folder / "outside")
    (archived.folder / "outside").mkdir()
    members = read_tar(archived.tar(first))
    archived.tar(first).write_bytes(
        make_tar(("../../out", b"x"), ("/out", b"x"), ("../archive-info", b"x"), link, *members.items())
    )
    before = set(archived.folder.parent.rglob("out*"))
    done = archived.run(1)
    assert set(archived.folder.parent.rglob("out*")) == before
    assert list((archived.folder / "outside").iterdir()) == []
    assert len(done.complaints) >= 2
    assert archived.package(first, "aa/a").exists()


def test_a_link_planted_in_the_archive_is_not_followed(archived: Archived) -> None:
    first = archived.back_up(1, A)
    archived.run(1)
    second = archived.back_up(2, A)
    real = archived.folder / f"backup-archive/{first}/aa"
    real.rename(archived.folder / "outside")
    real.symlink_to(archived.folder / "outside")
    done = archived.run(2)
    assert any(f"{second}/aa/a.lz4.gpg: missing" in what for what in done.complaints)
    assert (archived.folder / "outside/a.lz4.gpg").exists()


def test_a_wrong_clock_archives_and_removes_nothing(archived: Archived) -> None:
    for day in range(1, 64):
        archived.back_up(day, A)
        done = archived.run(day if day < 63 else 20)
    assert done.archived == (make_name(FILES, moment(63)),)
    assert done.removed == ()
    assert any("newer than the clock" in what for what in done.complaints)
    assert len(archived.archive.names()) == 61
    assert archived.run(80).complaints == ()  # nothing archived, so no clean-up


def test_the_first_of_the_twins_has_the_file_and_both_come_back(archived: Archived) -> None:
    first = archived.back_up(1, A)
    second = archived.back_up(2, A | B)  # before the first is archived: both pack it
    archived.run(2)
    for name, files in ((first, A), (second, A | B)):
        target = archived.folder / f"out-{name}"
        assert restore_files([archived.archive], name, QuickOpener(), target).whole
        assert read_tree(target) == files
