"""Ninety days and more of nightly backups, a round of the archive server after each, by a clock that is told.

The state of a day comes back as it was that night, or is reported as gone, with the rule that removed it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from quick_seals import ChangingStorage, QuickOpener, QuickSealer, moment, read_tree

from rehearsal.builtin_backup.archive_server import ArchiveRound, ArchiveServer
from rehearsal.builtin_backup.chain import Gone, plan_restore
from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket
from rehearsal.builtin_backup.names import BackupName, make_name
from rehearsal.builtin_backup.restoring import open_dump, restore_files
from rehearsal.builtin_backup.sources import FolderSource
from rehearsal.builtin_backup.writer import latest_archived, write_database_backup, write_files_backup

FILES = "file-storage-0"
DUMPS = "session-db-db-backup"
HOUR = 3_600_000_000_000


class Server:
    """A Chipster server, its bucket and its archive server, a night at a time."""

    def __init__(self, folder: Path, *, suffix: str = ".lz4.gpg", seed: int = 6) -> None:
        (folder / "bucket").mkdir(parents=True)
        self.bucket = FolderBucket(folder / "bucket")
        self.storage = ChangingStorage(folder / "storage", seed)
        self.archive_server = ArchiveServer(self.bucket, folder / "backup-archive")
        self.archive = ArchiveFolder(folder / "backup-archive")
        self.suffix = suffix
        self.rounds: dict[int, ArchiveRound] = {}
        self.packed: dict[int, int] = {}
        self._folder = folder
        self._restores = 0

    def back_up(self, day: int) -> None:
        sealer = QuickSealer(self.suffix)
        write_files_backup(
            self.bucket,
            FolderSource(self.storage.folder),
            sealer,
            storage_id=FILES,
            nanoseconds=moment(day),
            archived=latest_archived(self.bucket, FILES),
        )
        self.packed[day] = len(sealer.packed)

    def live_until(self, last: int, *, first: int = 1) -> None:
        for day in range(first, last + 1):
            self.storage.live(day)
            self.back_up(day)
            self.rounds[day] = self.archive_server.run(moment(day) + HOUR)

    def restore(self, day: int, *places: FolderBucket | ArchiveFolder) -> dict[str, bytes]:
        self._restores += 1
        target = self._folder / f"restored-{self._restores}"
        name = make_name(FILES, moment(day))
        restored = restore_files(places or (self.bucket, self.archive), name, QuickOpener(), target)
        assert restored.whole, restored
        tree = read_tree(target)
        assert (restored.files, restored.bytes) == (len(tree), sum(map(len, tree.values())))
        return tree


def test_every_state_comes_back_or_is_gone_with_the_reason(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.live_until(60)
    days = server.storage.days
    assert set(days[1]) - set(days[60])  # something came
    assert set(days[60]) - set(days[1])  # and went
    for day in (1, 2, 30, 60):
        assert server.restore(day) == days[day], day
        assert server.restore(day, server.archive) == days[day], day
    server.live_until(93, first=61)
    for day in (61, 91, 93, 34):
        assert server.restore(day) == days[day], day
        assert server.restore(day, server.archive) == days[day], day
    for day in (1, 30, 33):
        with pytest.raises(Gone) as gone:
            server.restore(day)
        assert "archives of files are removed after 60 days" in str(gone.value)
        assert "the oldest that is left is of 2026-02-17T01:10:00.123456789Z" in str(gone.value)
    assert server.archive.names() == tuple(make_name(FILES, moment(day)) for day in range(34, 94))
    assert not any(done.complaints for done in server.rounds.values())


def test_day_1_comes_back_while_it_is_kept_though_its_files_have_moved_on(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.live_until(60)
    first = make_name(FILES, moment(1))
    lying = {item.key.split("/", 1)[1] for item in server.archive.objects(first)}
    survivors = set(server.storage.days[1]) & set(server.storage.days[60])
    assert survivors
    assert not {f"{path}.lz4.gpg" for path in survivors} & lying
    assert server.restore(1) == server.storage.days[1]
    assert {str(holder.name) for holder, _ in plan_restore([server.archive], first).give} >= {
        str(make_name(FILES, moment(60)))
    }


def test_an_incremental_packs_only_what_is_new(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.live_until(10)
    days = server.storage.days
    for day in range(2, 11):
        assert server.packed[day] == len(set(days[day]) - set(days[day - 1]))


def test_without_encryption_everything_is_packed_every_night_and_still_comes_back(tmp_path: Path) -> None:
    server = Server(tmp_path, suffix=".lz4")
    server.live_until(12)
    days = server.storage.days
    assert server.packed == {day: len(files) for day, files in days.items()}
    for day in (1, 7, 12):
        assert server.restore(day, server.archive) == days[day]


def test_the_bucket_keeps_the_latest_archived_backup_alone(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.live_until(5)
    latest = make_name(FILES, moment(5))
    assert server.bucket.names() == (latest,)
    assert server.rounds[5] == ArchiveRound((latest,), (), (latest,), ())
    with pytest.raises(AssertionError, match="give the archive server's directory too"):
        server.restore(5, server.bucket)
    assert server.restore(5, server.bucket, server.archive) == server.storage.days[5]


def test_nights_without_the_archive_server_are_made_up_for(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.live_until(3)
    for day in range(4, 9):
        server.storage.live(day)
        server.back_up(day)
    assert len(server.bucket.names()) == 6
    for day in range(3, 9):
        assert server.restore(day) == server.storage.days[day]
    server.rounds[8] = server.archive_server.run(moment(8) + HOUR)
    assert [name.nanoseconds for name in server.rounds[8].archived] == [moment(day) for day in range(4, 9)]
    assert server.bucket.names() == (make_name(FILES, moment(8)),)
    for day in range(1, 9):
        assert server.restore(day, server.archive) == server.storage.days[day]
    server.live_until(12, first=9)
    for day in (1, 3, 4, 8, 12):
        assert server.restore(day, server.archive) == server.storage.days[day]


@pytest.mark.parametrize("seed", range(4))
def test_any_history_comes_back(tmp_path: Path, seed: int) -> None:
    server = Server(tmp_path, seed=seed)
    for day in range(1, 15):
        server.storage.live(day, uploads=3 + seed)
        server.back_up(day)
        if (day * 7 + seed) % 3:  # some nights the archive server sleeps
            server.rounds[day] = server.archive_server.run(moment(day) + HOUR)
    for day in range(1, 15):
        assert server.restore(day) == server.storage.days[day], day


def test_dumps_are_kept_90_days_and_the_first_of_each_month(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    bucket, archive = FolderBucket(tmp_path / "bucket"), ArchiveFolder(tmp_path / "backup-archive")
    archive_server = ArchiveServer(bucket, tmp_path / "backup-archive")

    def name(day: int) -> BackupName:
        return make_name(DUMPS, moment(day))

    for day in range(1, 94):
        write_database_backup(
            bucket, QuickSealer(), role="session-db", dump=[b"day ", str(day).encode()], nanoseconds=moment(day)
        )
        assert archive_server.run(moment(day) + HOUR).complaints == ()
    for day in (1, 4, 30, 61, 91, 93):  # day 1: the first of its month
        target = tmp_path / f"{day}.sql"
        assert open_dump([bucket, archive], name(day), QuickOpener(), target).whole
        assert target.read_bytes() == b"day %d" % day
    for day in (2, 3):
        with pytest.raises(Gone, match="kept for 90 days, and the first of each of 24 months"):
            open_dump([bucket, archive], name(day), QuickOpener(), tmp_path / "gone.sql")
    assert not (tmp_path / "gone.sql").exists()


def test_the_extra_backup_before_an_upgrade_is_removed_by_the_next_archiving(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    bucket, archive = FolderBucket(tmp_path / "bucket"), ArchiveFolder(tmp_path / "backup-archive")
    archive_server = ArchiveServer(bucket, tmp_path / "backup-archive")
    taken = [moment(1), moment(1) + 9 * HOUR, moment(2)]
    for when in taken:
        write_database_backup(bucket, QuickSealer(), role="auth", dump=[b"dump"], nanoseconds=when)
        done = archive_server.run(when + HOUR)
    extra = make_name("auth-db-backup", taken[1])
    assert extra not in archive.names()
    assert extra not in bucket.names()
    assert done.removed == ()  # its own round has removed it already
    with pytest.raises(Gone, match="of each day only the first archive is kept, auth-db-backup_2026-01-15T01:10"):
        open_dump([bucket, archive], extra, QuickOpener(), tmp_path / "gone.sql")
