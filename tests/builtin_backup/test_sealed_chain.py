"""The whole way with the real gpg and the real lz4: write, archive, restore, and the manual's loop beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from quick_seals import moment, read_tree

from rehearsal.builtin_backup.archive_server import ArchiveServer
from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.names import BackupName
from rehearsal.builtin_backup.restoring import open_dump, restore_files
from rehearsal.builtin_backup.sealing import Sealer
from rehearsal.builtin_backup.sources import FolderSource
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.builtin_backup.writer import latest_archived, write_database_backup, write_files_backup
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.shell import Shell

FILES = "file-storage-0"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(Journal(tmp_path / "journal.jsonl"))


@pytest.fixture
def keyring(shell: Shell) -> Iterator[Keyring]:
    with Keyring(shell, passphrase=SecretStr("three words and more")) as made:
        yield made


@pytest.mark.parametrize("kind", ["public-key", "passphrase"])
def test_two_nights_and_back(tmp_path: Path, shell: Shell, keyring: Keyring, kind: str) -> None:
    scratch, storage = tmp_path / "scratch", tmp_path / "storage"
    for folder in (scratch, storage, tmp_path / "bucket"):
        folder.mkdir()
    bucket, archive = FolderBucket(tmp_path / "bucket"), ArchiveFolder(tmp_path / "backup-archive")
    recipient = keyring.generate("Admin <admin@example.org>") if kind == "public-key" else ""
    sealer = Sealer(shell, keyring, kind, recipient, scratch=scratch)  # type: ignore[arg-type]
    nights: list[tuple[BackupName, dict[str, bytes]]] = []
    for day in (1, 2):
        for number in range(6 if kind == "public-key" else 2):
            path = storage / f"{day}{number}/{day}{number}f"
            path.parent.mkdir()
            path.write_bytes(os.urandom(1 + 300 * number**4))
        if day == 2:
            next(iter(sorted(storage.glob("1*/*")))).unlink()
        name = write_files_backup(
            bucket,
            FolderSource(storage),
            sealer,
            storage_id=FILES,
            nanoseconds=moment(day),
            archived=latest_archived(bucket, FILES),
        )
        assert ArchiveServer(bucket, tmp_path / "backup-archive").run(moment(day) + 1).complaints == ()
        nights.append((name, read_tree(storage)))
    unsealer = Unsealer(shell, keyring, scratch)
    for number, (name, files) in enumerate(nights):
        restored = restore_files([bucket, archive], name, unsealer, tmp_path / f"out{number}")
        assert restored.whole, restored
        assert read_tree(tmp_path / f"out{number}") == files
    dump = b"-- PostgreSQL database dump complete\n" * 40_000
    name = write_database_backup(bucket, sealer, role="session-db", dump=[dump], nanoseconds=moment(3))
    assert open_dump([bucket], name, unsealer, tmp_path / "session-db.sql").whole
    assert (tmp_path / "session-db.sql").read_bytes() == dump
    with Keyring(shell) as nobody:
        restored = restore_files([archive], nights[1][0], Unsealer(shell, nobody, scratch), tmp_path / "locked")
    assert {path for path, _ in restored.broken} == set(nights[1][1])
    assert restored.files == 0
    assert read_tree(tmp_path / "locked") == {}


def test_the_manual_s_loop_reads_what_the_stand_in_wrote(tmp_path: Path, shell: Shell, keyring: Keyring) -> None:
    scratch, storage = tmp_path / "scratch", tmp_path / "storage/ab"
    for folder in (scratch, storage, tmp_path / "bucket"):
        folder.mkdir(parents=True)
    (storage / "ab1").write_bytes(content := os.urandom(70_000) + bytes(70_000))
    bucket = FolderBucket(tmp_path / "bucket")
    sealer = Sealer(shell, keyring, "public-key", keyring.generate("Admin <admin@example.org>"), scratch=scratch)
    name = write_files_backup(bucket, FolderSource(storage.parent), sealer, storage_id=FILES, nanoseconds=moment(1))
    tar = tmp_path / f"bucket/{name}/storage/backup/_small_files.tar"
    shell.run(Process(("tar", "xf", f"./{tar.name}", "-C", str(scratch)), cwd=tar.parent))
    package = scratch / "ab/ab1.lz4.gpg"
    plain = tmp_path / "plain"
    shell.run(keyring.process("--decrypt", str(package)), Process(("lz4", "-d")), stdout=plain)
    assert plain.read_bytes() == content
