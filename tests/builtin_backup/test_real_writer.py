"""A set that the real services write when asked: late, never, in part; and what of it is copied into the set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from admin_server import PASSWORD, TOKEN, AdminServer, serve
from pydantic import SecretStr
from quick_seals import QuickSealer, read_tree

from rehearsal.builtin_backup.admin_calls import AdminAccess
from rehearsal.builtin_backup.folder_places import FolderBucket
from rehearsal.builtin_backup.listing import ListedFile, format_line
from rehearsal.builtin_backup.names import BackupName, make_name
from rehearsal.builtin_backup.real_writer import RealService, copy_backup
from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.builtin_backup.writer import write_database_backup
from rehearsal.errors import RehearsalError, StreamError, UsageError
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell

SOURCES = ("session-db-db-backup", "auth-db-backup", "file-storage-0")
OLD = make_name("file-storage-0", 1_700_000_000_000_000_000)


@dataclass
class Scene:
    """The services, their bucket, and an empty set.

    Attributes:
        bucket: the services' bucket, as the folder that it is.
        shown: progress that was told.
    """

    admin: AdminServer
    service: RealService
    bucket: FolderBucket
    into: FolderBucket
    journal: Journal
    shown: list[str] = field(default_factory=list)

    def write(self) -> tuple[BackupName, ...]:
        return self.service.write(self.into, SOURCES, self.journal)

    def made(self) -> dict[str, bytes]:
        """What lies in the services' bucket."""
        return read_tree(self.bucket.path)

    def back_up(self, path: str) -> None:
        """What a good service does for a call."""
        last = path.removesuffix("/backup").rpartition("/")[2]
        if last == "file-storage-0":
            self.put(make_name(last, time.time_ns()), {"storage/backup/_small_files.tar": b"tar"}, info=b"")
        else:
            write_database_backup(
                self.bucket, QuickSealer(), role=last, dump=[b"dump of ", last.encode()], nanoseconds=time.time_ns()
            )

    def put(self, name: BackupName, objects: dict[str, bytes], info: bytes | None) -> None:
        for key, content in objects.items():
            self.bucket.write(f"{name}/{key}", [content])
        if info is not None:
            self.bucket.write(f"{name}/backup-info", [info])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    shown: list[str] = []
    told = [lambda line: shown.append(line["message"]) if line["event"] == "progress" else None]
    with (
        closing(Journal(tmp_path / "journal.jsonl", listeners=told)) as journal,
        serve() as admin,
        S3Server(Shell(journal), tmp_path / "s3", tmp_path / "s3.log", ("theirs",)) as s3,
    ):
        (tmp_path / "set").mkdir()
        access = AdminAccess(
            f"{admin.url}/backup-admin",
            f"{admin.url}/file-broker-admin",
            f"{admin.url}/auth",
            password=SecretStr(PASSWORD),
        )
        service = RealService(access, s3.access("theirs"), deadline=10.0, look_every=0.05)
        scene = Scene(admin, service, s3.folder("theirs"), FolderBucket(tmp_path / "set"), journal, shown)
        admin.work = scene.back_up
        yield scene
        admin.wait()


def test_every_source_is_asked_and_its_new_backup_is_copied(scene: Scene) -> None:
    scene.put(OLD, {"storage/backup/_small_files.tar": b"of long ago"}, info=b"")
    names = scene.write()
    assert [name.source for name in names] == list(SOURCES)
    assert scene.admin.asked == [
        "POST /auth/tokens",
        "POST /backup-admin/admin/backup/session-db",
        "POST /backup-admin/admin/backup/auth",
        "POST /file-broker-admin/admin/storages/file-storage-0/backup",
    ]
    fetched = read_tree(scene.into.path)
    assert fetched == {key: content for key, content in scene.made().items() if not key.startswith(str(OLD))}
    assert len(fetched) == 6
    journal = scene.journal.path.read_text()
    assert "asking for a backup of session-db" in journal
    assert TOKEN not in journal
    assert PASSWORD not in journal


def test_a_set_that_comes_late_is_waited_for_and_told(scene: Scene) -> None:
    def late(path: str) -> None:
        time.sleep(0.6 if path.endswith("/auth") else 0.0)
        scene.back_up(path)

    scene.admin.work = late
    assert [name.source for name in scene.write()] == list(SOURCES)
    assert any(line.startswith("2 of 3 backups; waiting for auth: ") for line in scene.shown), scene.shown


def test_no_database_backup_is_named_with_the_words_of_trap_16(scene: Scene) -> None:
    scene.service = replace(scene.service, deadline=0.5)
    scene.admin.work = lambda path: scene.back_up(path) if path.startswith("/file-broker-admin") else None
    with pytest.raises(RehearsalError) as caught:
        scene.write()
    assert caught.value.what == (
        "no new backup of session-db, auth is complete 0.5 s after the calls, though each was answered with 200; "
        "without a gpg key or a passphrase the service makes no backup of any database, and a key that can only sign "
        "is as good as none"
    )
    assert "backup-gpg-public-key" in caught.value.hint
    assert "kubectl logs deployment/backup" in caught.value.hint
    assert read_tree(scene.into.path) == {}


def test_an_incomplete_backup_is_none(scene: Scene) -> None:
    scene.service = replace(scene.service, deadline=0.5)
    begun = make_name("file-storage-0", time.time_ns())

    def work(path: str) -> None:
        if path.startswith("/file-broker-admin"):
            scene.put(begun, {"storage/backup/_small_files.tar": b"cut"}, info=None)
        else:
            scene.back_up(path)

    scene.admin.work = work
    with pytest.raises(
        RehearsalError, match=f"no new backup of file-storage-0 .*begun, without its backup-info: {begun}"
    ) as caught:
        scene.write()
    assert "gpg" not in str(caught.value)
    assert caught.value.hint == "kubectl logs file-storage-0"


def test_a_backup_of_before_the_call_does_not_count(scene: Scene) -> None:
    """Not even one that was begun before it and is complete only now: it does not hold what was written since."""
    scene.service = replace(scene.service, deadline=0.5)
    running = make_name("file-storage-0", time.time_ns() + 10**9)
    scene.put(running, {"storage/backup/_small_files.tar": b"tar"}, info=None)
    scene.admin.work = lambda path: (
        scene.put(running, {}, info=b"") if path.startswith("/file-broker-admin") else scene.back_up(path)
    )
    with pytest.raises(RehearsalError, match="no new backup of file-storage-0"):
        scene.write()


def test_older_backups_that_it_refers_to_come_along_as_far_as_they_are_there(scene: Scene) -> None:
    gone = make_name("file-storage-0", 1_600_000_000_000_000_000)
    digest = "ab" * 64

    def lines(*names: BackupName) -> bytes:
        return b"".join(
            format_line(ListedFile(f"ab/{n}", 1, digest, f"ab/{n}.lz4.gpg", 9, digest, str(name)))
            for n, name in enumerate(names)
        )

    new = make_name("file-storage-0", time.time_ns())
    scene.put(OLD, {"storage/backup/_small_files.tar": b"of long ago", "archive-info": b""}, info=lines(OLD))
    scene.put(make_name("file-storage-0", 1_650_000_000_000_000_000), {"storage/backup/x.tar": b""}, info=b"")

    def work(path: str) -> None:
        if path.startswith("/file-broker-admin"):
            scene.put(new, {"storage/backup/_small_files.tar": b"tar"}, info=lines(OLD, gone, new))
        else:
            scene.back_up(path)

    scene.admin.work = work
    scene.write()
    storages = {key.partition("/")[0] for key in read_tree(scene.into.path) if key.startswith("file-storage-0_")}
    assert storages == {str(new), str(OLD)}
    notes = [str(line["message"]) for line in read_journal(scene.journal.path) if line["event"] == "note"]
    assert f"{new} refers to {gone}, which the bucket no longer has: only the archive server does" in notes


def test_nothing_is_asked_where_the_bucket_cannot_be_read(scene: Scene) -> None:
    wrong = replace(scene.service.bucket, secret_key=SecretStr("another-secret"))
    scene.service = replace(scene.service, bucket=wrong)
    with pytest.raises(UsageError, match="the secret key is wrong"):
        scene.write()
    assert scene.admin.asked == []


def test_a_call_that_fails_ends_it_and_the_next_is_not_made(scene: Scene) -> None:
    scene.admin.answers["/backup-admin/admin/backup/session-db"] = (500, {}, b"broken")
    with pytest.raises(RehearsalError, match=r"HTTP 500\); it said: broken"):
        scene.write()
    assert scene.admin.asked[-1] == "POST /backup-admin/admin/backup/session-db"


class Shrinking(FolderBucket):
    """Gives less than it lists."""

    def read(self, key: str) -> Iterator[bytes]:
        yield b"".join(super().read(key))[:-1]


def test_a_copy_has_its_list_last_and_every_byte(scene: Scene, tmp_path: Path) -> None:
    name = make_name("file-storage-0", time.time_ns())
    scene.put(name, {"a.tar": b"1234", "z.tar": b"5", "archive-info": b"6"}, info=b"7")
    order: list[str] = []

    class Noting(FolderBucket):
        def write(self, key: str, chunks: object) -> int:
            order.append(key.rpartition("/")[2])
            return super().write(key, chunks)  # type: ignore[arg-type]

    nothing: Callable[[str], None] = lambda _: None  # noqa: E731
    (tmp_path / "copy").mkdir()
    assert copy_backup(scene.bucket, name, Noting(tmp_path / "copy"), nothing) == 7
    assert order == ["a.tar", "z.tar", "archive-info", "backup-info"]
    with pytest.raises(StreamError, match="3 bytes came of 4"):
        copy_backup(Shrinking(scene.bucket.path), name, scene.into, nothing)


def test_its_secrets_are_known_and_the_report_tells_who_wrote(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an-s3-secret")
    service = replace(scene.service, passphrase=SecretStr("open sesame"))
    assert set(service.secrets()) == {PASSWORD, "an-s3-secret", "open sesame"}
    assert service.told == (
        f"Chipster's own services at {scene.admin.url}/backup-admin and {scene.admin.url}/file-broker-admin"
    )
    assert "open sesame" not in repr(service)
