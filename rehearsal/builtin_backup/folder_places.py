"""Backups in a folder of this machine: a bucket copied with its keys, or an archive server's `backup-archive`.

A folder is walked a directory at a time, in the order of the keys, so an archive of a million files is never held
whole. Links are never followed, not even where one is put in place while we read: every part of a path is opened on its
own. Facts, section 6.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.builtin_backup.listing import is_safe_path
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, parse_name
from rehearsal.builtin_backup.places import (
    STRANGERS,
    Kind,
    ObjectMissing,
    Place,
    StoredObject,
    find_owner,
    show_key,
)
from rehearsal.builtin_backup.safe_folder import SafeFolder
from rehearsal.errors import EnvironmentUnfit, StreamError, UsageError

_CHUNK = 1 << 20
_TARS = ("storage/backup/", "db-backups/")
_PACKAGES = (".lz4", ".lz4.gpg")
_LOOKED_AT = 50  # objects of one backup that tell what kind of folder it lies in
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make us wait


class _Folder:
    """What a bucket's copy and an archive have in common.

    Args:
        path: the folder above the backups' own; it may itself be reached through a link.
    """

    kind: Kind

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = str(path)

    def names(self) -> tuple[BackupName, ...]:
        """Oldest first; also of folders that are empty."""
        found = []
        for entry in self._scan(""):
            name = parse_name(entry.name)
            if name is not None and entry.is_dir(follow_symlinks=False):
                found.append(name)
        return tuple(sorted(found))

    def strangers(self) -> tuple[str, ...]:
        """The first 20; a link or device says what it is."""
        told: list[str] = []
        for key, entry in self._walk(""):
            if not entry.is_file(follow_symlinks=False):
                told.append(f"{show_key(key)} ({_name_kind(entry)})")
            elif find_owner(key) is None:
                told.append(show_key(key))
            if len(told) == STRANGERS:
                break
        return tuple(told)

    def objects(self, name: BackupName) -> Iterator[StoredObject]:
        """Regular files alone, sorted by key."""
        for key, entry in self._walk(f"{name}/"):
            if entry.is_file(follow_symlinks=False) and find_owner(key) is not None:
                with suppress(FileNotFoundError):  # clean-up was quicker
                    status = entry.stat(follow_symlinks=False)
                    yield StoredObject(key, status.st_size, _say_instant(status.st_mtime))

    def read(self, key: str) -> Iterator[bytes]:
        """The file's bytes; it must neither shrink nor grow while it is read."""
        with self._open(key) as (file, size):
            left = size
            while chunk := os.read(file, _CHUNK):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
            if left:
                came = f"more than {size}" if left < 0 else f"{size - left}"
                raise StreamError(
                    f"{came} bytes came of {size}: the file changed while it was read",
                    where=f"{self.shown}/{show_key(key)}",
                )

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Under a name of its own first, then renamed; nothing is written through a link."""
        with SafeFolder(self.path) as folder:
            return folder.write(key, chunks)

    def remove(self, name: BackupName) -> None:
        """The info files first, then the rest; links are removed, not followed."""
        present = [f"{name}/{info}" for info in (INFO, ARCHIVE_INFO)]
        with SafeFolder(self.path, make=False) as folder:
            for path in (*present, str(name)):
                folder.remove(path)

    def _walk(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What is no folder, below `prefix` (empty, or a folder's key with its `/`), in the order of the keys."""
        # a list, not a recursion: folders may be nested very deeply
        open_folders = [(prefix, iter(self._scan(prefix)))]
        while open_folders:
            inside, entries = open_folders[-1]
            entry = next(entries, None)
            if entry is None:
                open_folders.pop()
            elif entry.is_dir(follow_symlinks=False):
                below = f"{inside}{entry.name}/"
                open_folders.append((below, iter(self._scan(below))))
            else:
                yield inside + entry.name, entry

    def _scan(self, prefix: str) -> list[os.DirEntry[str]]:
        """One folder, a sub-folder sorted as its name with `/`, which is where its keys belong."""
        folder = self.path / prefix
        if prefix and folder.is_symlink():
            return []
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=_order)
        except FileNotFoundError as error:
            if prefix:
                return []
            raise _unreadable(error, folder) from error
        except OSError as error:
            raise _unreadable(error, folder) from error

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[int, int]]:
        """The descriptor of a key's file and its size; each part of the path is opened in the one before, no link."""
        where = f"{self.shown}/{show_key(key)}"
        if not is_safe_path(key):
            raise ObjectMissing("no key of a backup", where=where)
        *folders, file_name = key.split("/")
        opened: list[int] = []
        try:
            opened.append(os.open(self.path, _FOLDER & ~os.O_NOFOLLOW))
            for folder in folders:
                opened.append(os.open(folder, _FOLDER, dir_fd=opened[-1]))
                os.close(opened.pop(0))
            opened.append(os.open(file_name, _FILE, dir_fd=opened[-1]))
            status = os.fstat(opened[-1])
            if not stat.S_ISREG(status.st_mode):
                raise ObjectMissing("it is no regular file: not read", where=where)
            os.close(opened.pop(0))
            yield opened[-1], status.st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectMissing("there is no such file", where=where, hint=f"ls -l '{self.path}'") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise ObjectMissing("it is a link: not followed", where=where) from error
            raise _unreadable(error, Path(where)) from error
        finally:
            for descriptor in opened:
                os.close(descriptor)


class FolderBucket(_Folder):
    """A bucket copied to a folder, or the storage of an S3 server that keeps files."""

    kind: Kind = "bucket"


class ArchiveFolder(_Folder):
    """An archive server's `backup-archive`."""

    kind: Kind = "archive"


def open_folder(path: Path) -> Place:
    """The bucket's copy or the archive that lies in a folder, told apart by what most of its backups hold: tars below
    `storage/backup` or `db-backups`, or packages. Where no backup holds either, a bucket.

    Raises:
        UsageError: no such folder, or no backup in it.
    """
    if not path.is_dir():
        raise UsageError("no such folder", where=str(path), hint=f"ls -ld '{path.parent}'/*")
    bucket = FolderBucket(path)
    names = bucket.names()
    if not names:
        raise UsageError(
            "neither a copied bucket nor an archive: no folder in it is named like a backup, such as "
            "`session-db-db-backup_2026-04-30T01:10:00.123456789Z`",
            where=str(path),
            hint=_advise(path),
        )
    balance = sum(_tell_kind(bucket, name) for name in names)
    return ArchiveFolder(path) if balance < 0 else bucket


def _tell_kind(folder: FolderBucket, name: BackupName) -> int:
    """1: tars, as in a bucket; -1: packages, as in an archive; 0: neither."""
    for number, found in enumerate(folder.objects(name)):
        below = found.key.removeprefix(f"{name}/")
        if below.startswith(_TARS) and below.endswith(".tar"):
            return 1
        if below.endswith(_PACKAGES):
            return -1
        if number == _LOOKED_AT:
            break
    return 0


def _advise(path: Path) -> str:
    """Where the backups may be instead: a level up, or down."""
    resolved = path.resolve()
    if parse_name(resolved.name) is not None:
        return f"this is one backup; give the folder above it: {resolved.parent}"
    with suppress(OSError):
        for child in sorted(resolved.iterdir()):
            if child.is_dir() and any(parse_name(name) is not None for name in os.listdir(child)):
                return f"there are backups in: {child}"
    return f"ls '{path}'"


def _order(entry: os.DirEntry[str]) -> bytes:
    name = os.fsencode(entry.name)
    return name + b"/" if entry.is_dir(follow_symlinks=False) else name


def _name_kind(entry: os.DirEntry[str]) -> str:
    return "a link" if entry.is_symlink() else "no regular file"


def _say_instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unreadable(error: OSError, place: Path) -> EnvironmentUnfit:
    return EnvironmentUnfit(f"cannot read it: {error.strerror}", where=show_key(str(place)), hint=f"ls -ld '{place}'")
