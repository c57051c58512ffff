"""Sets to verify: a healthy server's bucket and archive, and tools that damage one thing in them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from quick_seals import QuickSealer, moment

from rehearsal.builtin_backup.archive_server import ArchiveServer
from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket
from rehearsal.builtin_backup.listing import ListedFile, format_line, read_listing
from rehearsal.builtin_backup.names import BackupName
from rehearsal.builtin_backup.sources import SourceFile
from rehearsal.builtin_backup.writer import (
    Seals,
    latest_archived,
    write_database_backup,
    write_files_backup,
)

FILES = "file-storage-0"
ROLES = ("session-db", "auth", "job-history")
HOUR = 3_600_000_000_000
DUMP = b"CREATE TABLE session ();\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n"


class Memory:
    """A storage in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def list_files(self) -> Iterable[SourceFile]:
        return [SourceFile(path, len(content)) for path, content in self.files.items()]

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        for path in paths:
            yield path, iter([self.files[path]])


class Server:
    """A server with a bucket and an archive, a night at a time. `now` is an hour after the last night."""

    def __init__(self, folder: Path, *, files: int = 6, suffix: str = ".lz4.gpg", sealer: Seals | None = None) -> None:
        for part in ("bucket", "backup-archive"):
            (folder / part).mkdir(parents=True)
        self.bucket = FolderBucket(folder / "bucket")
        self.archive = ArchiveFolder(folder / "backup-archive")
        self.files = {f"{n:02x}/{n:02x}-file": f"content of {n}".encode() * 40 for n in range(files)}
        self._sealer: Seals = sealer or QuickSealer(suffix)
        self._archiving = ArchiveServer(self.bucket, folder / "backup-archive")
        self.now = 0

    def back_up(self, day: int, roles: Sequence[str] = ROLES, dump: bytes = DUMP) -> list[BackupName]:
        """The databases, and the files that the archive does not have."""
        names = [
            write_database_backup(
                self.bucket,
                self._sealer if self._sealer.suffix == ".lz4.gpg" else QuickSealer(),
                role=role,
                dump=[dump],
                nanoseconds=moment(day),
            )
            for role in roles
        ]
        self.now = moment(day) + HOUR
        return [*names, self.back_up_files(day)]

    def back_up_files(self, day: int) -> BackupName:
        self.now = moment(day) + HOUR
        return write_files_backup(
            self.bucket,
            Memory(self.files),
            self._sealer,
            storage_id=FILES,
            nanoseconds=moment(day),
            archived=latest_archived(self.bucket, FILES),
        )

    def archive_all(self) -> None:
        self._archiving.run(self.now)

    def latest(self, source: str = FILES) -> BackupName:
        return [name for name in self.bucket.names() if name.source == source][-1]

    def folder_of(self, name: BackupName, *, archive: bool = False) -> Path:
        return (self.archive if archive else self.bucket).path / str(name)


def edit_tar(tar: Path, member: str, change: Callable[[bytes], bytes | None], *, again: bool = False) -> None:
    """Rewrite a tar with one member changed; None leaves it out; `again`: the changed one follows the old one."""
    out = io.BytesIO()
    touched = False
    with tarfile.open(tar) as old, tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as new:
        for info in old:
            stream = old.extractfile(info)
            assert stream is not None
            content = stream.read()
            if info.name == member:
                touched = True
                changed = change(content)
                versions = [content, changed] if again else [changed]
            else:
                versions = [content]
            for version in versions:
                if version is not None:
                    copy = tarfile.TarInfo(info.name)
                    copy.size = len(version)
                    new.addfile(copy, io.BytesIO(version))
    assert touched, f"{member} is not in {tar}"
    tar.write_bytes(out.getvalue())


def edit_list(file: Path, change: Callable[[ListedFile], ListedFile | None]) -> None:
    """Rewrite a list line by line; None leaves a line out."""
    lines = [line for line in read_listing([file.read_bytes()]) if isinstance(line, ListedFile)]
    changed = [change(line) for line in lines]
    assert changed != lines
    file.write_bytes(b"".join(format_line(line) for line in changed if line is not None))


def describe(line: ListedFile, package: bytes) -> ListedFile:
    """The line with its package's figures told anew: a damage that was covered up."""
    return replace(line, package_size=len(package), package_sha512=hashlib.sha512(package).hexdigest())


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])
