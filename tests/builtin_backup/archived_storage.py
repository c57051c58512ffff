"""A bucket and an archive in folders, filled a backup at a time from files given as a dictionary."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from quick_seals import QuickSealer, moment

from rehearsal.builtin_backup.archive_server import ArchiveRound, ArchiveServer
from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket
from rehearsal.builtin_backup.names import BackupName
from rehearsal.builtin_backup.sources import FolderSource
from rehearsal.builtin_backup.writer import latest_archived, write_files_backup

FILES = "file-storage-0"


class Archived:
    """The places `bucket` and `archive` below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bucket").mkdir()
        self.bucket = FolderBucket(folder / "bucket")
        self.archive = ArchiveFolder(folder / "backup-archive")
        self.server = ArchiveServer(self.bucket, folder / "backup-archive")

    def back_up(self, day: int, files: dict[str, bytes], storage_id: str = FILES) -> BackupName:
        storage = self.folder / f"storage-{day}-{storage_id}"
        storage.mkdir()
        for path, content in files.items():
            (storage / path).parent.mkdir(parents=True, exist_ok=True)
            (storage / path).write_bytes(content)
        return write_files_backup(
            self.bucket,
            FolderSource(storage),
            QuickSealer(),
            storage_id=storage_id,
            nanoseconds=moment(day),
            archived=latest_archived(self.bucket, storage_id),
        )

    def run(self, day: int) -> ArchiveRound:
        return self.server.run(moment(day) + 1)

    def tar(self, name: BackupName) -> Path:
        return self.folder / f"bucket/{name}/storage/backup/_small_files.tar"

    def package(self, name: BackupName, path: str) -> Path:
        return self.folder / f"backup-archive/{name}/{path}.lz4.gpg"


def make_tar(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A tar of files, and of whatever else."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return made.getvalue()


def read_tar(path: Path) -> dict[str, bytes]:
    """Members and their content."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            found[member.name] = stream.read() if stream else b""
    return found


def flip(data: bytes) -> bytes:
    """Another content of the same size."""
    return data[:-1] + bytes([data[-1] ^ 1])
