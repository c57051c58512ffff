import os
import stat
import subprocess

import pytest

from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket, open_folder
from rehearsal.builtin_backup.names import parse_name
from rehearsal.builtin_backup.places import ObjectMissing
from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError, UsageError

FILES = "file-storage-0_2026-04-30T01:10:00.123456789Z"
LATER = "file-storage-0_2026-05-01T01:10:00.5Z"
DUMP = "session-db-db-backup_2026-04-30T01:15:00Z"
KINDS = [FolderBucket, ArchiveFolder]


def put(folder, *keys, content=b"x"):
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def keys(place, name):
    return [found.key for found in place.objects(parse_name(name))]


@pytest.mark.parametrize("kind", KINDS)
def test_backups_are_named_oldest_first_with_the_colons_in_their_names(tmp_path, kind):
    put(tmp_path, f"{LATER}/backup-info", f"{DUMP}/backup-info", f"{FILES}/backup-info")
    assert [str(name) for name in kind(tmp_path).names()] == [FILES, DUMP, LATER]


def test_objects_come_sorted_by_key_with_size_and_instant(tmp_path):
    names = ["backup-info", "a.tar", "a/z", "a-", "a0", "storage/backup/_small_files.tar", "ä", "z"]
    put(tmp_path, *(f"{FILES}/{name}" for name in names), content=b"12345")
    os.utime(tmp_path / FILES / "z", (1777511400.25, 1777511400.25))
    found = list(FolderBucket(tmp_path).objects(parse_name(FILES)))
    assert [item.key for item in found] == sorted((f"{FILES}/{name}" for name in names), key=str.encode)
    assert {item.size for item in found} == {5}
    assert next(item for item in found if item.key == f"{FILES}/z").modified == "2026-04-30T01:10:00.250Z"


def test_a_backup_that_is_not_there_has_no_objects(tmp_path):
    assert keys(FolderBucket(tmp_path), FILES) == []


def test_a_deep_folder_is_walked(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for part in [FILES, *["d"] * 1500]:
        os.mkdir(part, dir_fd=here)
        below = os.open(part, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    try:
        assert keys(FolderBucket(tmp_path), FILES) == [f"{FILES}/{'d/' * 1500}f"]
    finally:
        subprocess.run(["rm", "-r", tmp_path / FILES], check=True)  # too deep for pytest's own clean-up


def test_strangers_are_what_belongs_to_no_backup(tmp_path):
    put(tmp_path, f"{FILES}/backup-info", "readme", "lost+found/x", f"{FILES}/.rclone_temp_put_1", "notaname_2026/y")
    (tmp_path / FILES / "link").symlink_to("/etc/passwd")
    (tmp_path / DUMP).symlink_to(tmp_path / FILES)
    os.mkfifo(tmp_path / FILES / "pipe")
    (tmp_path / FILES / os.fsdecode(b"bad\xff")).write_bytes(b"")
    place = FolderBucket(tmp_path)
    assert set(place.strangers()) == {
        f"{FILES}/bad\\udcff",
        f"{FILES}/.rclone_temp_put_1",
        f"{FILES}/link (a link)",
        f"{FILES}/pipe (no regular file)",
        "lost+found/x",
        "notaname_2026/y",
        "readme",
        f"{DUMP} (a link)",
    }
    assert keys(place, FILES) == [f"{FILES}/backup-info"]
    assert keys(place, DUMP) == []
    assert [str(name) for name in place.names()] == [FILES]


def test_twenty_strangers_are_told(tmp_path):
    put(tmp_path, *(f"stray-{number:02}" for number in range(30)))
    assert FolderBucket(tmp_path).strangers() == tuple(f"stray-{number:02}" for number in range(20))


def test_a_file_is_read_in_chunks_of_a_mebibyte(tmp_path):
    content = os.urandom((5 << 20) + 3)
    put(tmp_path, f"{FILES}/a:b", content=content)
    chunks = list(FolderBucket(tmp_path).read(f"{FILES}/a:b"))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= 1 << 20


@pytest.mark.parametrize("grown", [True, False])
def test_a_file_that_changes_while_it_is_read_is_a_stream_error(tmp_path, grown):
    put(tmp_path, f"{FILES}/a", content=bytes(3 << 20))
    reading = FolderBucket(tmp_path).read(f"{FILES}/a")
    next(reading)
    os.truncate(tmp_path / FILES / "a", (4 << 20) if grown else (2 << 20))
    told = "more than 3145728 bytes came of 3145728" if grown else "2097152 bytes came of 3145728"
    with pytest.raises(StreamError, match=told):
        list(reading)


@pytest.mark.parametrize(
    "key", ["link", "linked/backup-info", "../outside", "/etc/passwd", "folder", "absent", "pipe", "folder/../file", ""]
)
def test_nothing_but_a_regular_file_inside_is_read(tmp_path, key):
    inside = tmp_path / "inside"
    put(tmp_path, "outside", "elsewhere/backup-info")
    put(inside, "folder/x", "file")
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "linked").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(inside / "pipe")
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ObjectMissing):
        list(FolderBucket(inside).read(key))
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_again_and_replaced_as_a_whole(tmp_path, kind):
    place = kind(tmp_path)
    key = f"{DUMP}/db-backups/{DUMP}/{DUMP}.tar"
    assert place.write(key, [b"12", b"345"]) == 5
    assert place.write(key, iter([b"678"])) == 3
    assert b"".join(place.read(key)) == b"678"

    def broken():
        yield b"9"
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        place.write(key, broken())
    assert b"".join(place.read(key)) == b"678"
    assert keys(place, DUMP) == [key]
    assert place.strangers() == ()


@pytest.mark.parametrize("key", ["../out", "/tmp/out", "linked/out", "a//b", ""])
def test_nothing_is_written_outside(tmp_path, key):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RehearsalError):
        FolderBucket(tmp_path / "inside").write(key, [b"x"])
    assert not list((tmp_path / "elsewhere").iterdir())
    assert not (tmp_path / "out").exists()


def test_a_backup_is_removed_and_what_its_links_lead_to_stays(tmp_path):
    put(tmp_path, f"{FILES}/backup-info", f"{FILES}/storage/backup/a.tar", f"{LATER}/backup-info", "outside")
    (tmp_path / FILES / "linked").symlink_to(tmp_path / LATER)
    place = FolderBucket(tmp_path)
    place.remove(parse_name(FILES))
    place.remove(parse_name(FILES))
    assert [str(name) for name in place.names()] == [LATER]
    assert keys(place, LATER) == [f"{LATER}/backup-info"]


def test_an_interrupted_removal_leaves_no_backup_that_looks_complete(tmp_path, monkeypatch):
    put(tmp_path, f"{FILES}/backup-info", f"{FILES}/archive-info", f"{FILES}/a.tar")

    def fail(*args, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("shutil.rmtree", fail)
    place = FolderBucket(tmp_path)
    with pytest.raises(RehearsalError, match="Input/output error"):
        place.remove(parse_name(FILES))
    assert keys(place, FILES) == [f"{FILES}/a.tar"]


def test_a_folder_that_is_not_there_is_not_an_empty_bucket(tmp_path):
    with pytest.raises(EnvironmentUnfit, match="No such file"):
        FolderBucket(tmp_path / "absent").names()


# -- which of the two -------------------------------------------------------------------------------------------------


def test_a_copied_bucket_is_told_by_its_tars(tmp_path):
    put(tmp_path, f"{FILES}/backup-info", f"{FILES}/storage/backup/_small_files.tar", f"{LATER}/backup-info")
    assert open_folder(tmp_path).kind == "bucket"


def test_a_copied_bucket_of_databases_alone_is_told_by_its_tars(tmp_path):
    put(tmp_path, f"{DUMP}/backup-info", f"{DUMP}/db-backups/{DUMP}/{DUMP}.tar")
    assert open_folder(tmp_path).kind == "bucket"


def test_an_archive_is_told_by_its_packages(tmp_path):
    put(tmp_path, f"{FILES}/backup-info", f"{FILES}/archive-info", f"{FILES}/ab/ab12.lz4.gpg", f"{DUMP}/{DUMP}.sql.lz4")
    assert open_folder(tmp_path).kind == "archive"


def test_one_stray_package_does_not_make_an_archive_of_a_bucket(tmp_path):
    put(tmp_path, f"{FILES}/storage/backup/a.tar", f"{DUMP}/db-backups/{DUMP}/{DUMP}.tar", f"{LATER}/ab/ab12.lz4")
    assert open_folder(tmp_path).kind == "bucket"


def test_lists_alone_make_a_bucket(tmp_path):
    put(tmp_path, f"{FILES}/backup-info")
    assert open_folder(tmp_path).kind == "bucket"


def test_a_folder_that_is_neither_says_what_was_looked_for(tmp_path):
    put(tmp_path, "holidays/photo.jpg")
    with pytest.raises(UsageError) as caught:
        open_folder(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "session-db-db-backup_2026-04-30T01:10:00.123456789Z" in caught.value.what


def test_a_level_too_low_or_too_high_is_said(tmp_path):
    put(tmp_path / "backup-archive", f"{FILES}/ab/ab12.lz4")
    with pytest.raises(UsageError) as above:
        open_folder(tmp_path)
    assert above.value.hint == f"there are backups in: {tmp_path / 'backup-archive'}"
    with pytest.raises(UsageError) as below:
        open_folder(tmp_path / "backup-archive" / FILES)
    assert below.value.hint.endswith(str(tmp_path / "backup-archive"))


@pytest.mark.parametrize("name", ["absent", "file"])
def test_no_folder_is_a_usage_error(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="no such folder"):
        open_folder(tmp_path / name)


def test_written_files_are_readable_as_the_umask_says(tmp_path):
    FolderBucket(tmp_path).write(f"{FILES}/a", [b""])
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / FILES / "a").stat().st_mode) == 0o666 & ~mask
