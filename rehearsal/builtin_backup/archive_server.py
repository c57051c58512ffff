"""A STAND-IN for Chipster's BackupArchive, the program on the archive server: same rules, not the real one.

A round downloads every complete backup that is not archived yet, oldest first, unpacks its tars, moves the older files
that it still needs over from the archives before it, writes `archive-info` and uploads that: only then does the next
incremental leave those files out. Then old archives are removed, and all but the latest archived backup of the bucket.

It checks packages by size alone, as the real one does (trap 11); what it misses it leaves out of `archive-info`, so
that the next backup packs it again. Unlike the real one it goes on after a damaged list or tar, and tells of it.
Names are never trusted: nothing is unpacked or moved outside the folder. Facts, section 6.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rehearsal.builtin_backup.chain import verify_command
from rehearsal.builtin_backup.listing import BadLine, ListedFile, format_line, read_listing
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, is_database_source, parse_name
from rehearsal.builtin_backup.places import WritablePlace
from rehearsal.builtin_backup.reading import Stray, walk_packages
from rehearsal.builtin_backup.retention import Rules, choose_removed, doubt_clock
from rehearsal.builtin_backup.safe_folder import SafeFolder
from rehearsal.errors import EnvironmentUnfit, RehearsalError

_CHUNK = 1 << 20
_SPOOL = 8 << 20
_DOWNLOAD = "download"  # below an archive's directory, while it is filled


@dataclass(frozen=True)
class ArchiveRound:
    """What a round did.

    Attributes:
        archived: backups that are in the archive now, in order.
        removed: archives cleaned up.
        kept_in_bucket: archived backups that stay in the bucket.
        complaints: what the real one would write into its log only: a file missing or of another size, a clock in
            doubt, a list that cannot be read.
    """

    archived: tuple[BackupName, ...]
    removed: tuple[BackupName, ...]
    kept_in_bucket: tuple[BackupName, ...]
    complaints: tuple[str, ...]


@dataclass
class _Diary:
    archived: list[BackupName] = field(default_factory=list)
    removed: list[BackupName] = field(default_factory=list)
    kept: list[BackupName] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class _Skip(RehearsalError):
    """The rest of this source is left to the next round, and nothing of it is removed from the bucket."""


class ArchiveServer:
    """The archive of one bucket.

    Args:
        bucket: where the server's backups arrive.
        folder: `backup-archive`, made where it is missing.
        daily, monthly: `backup-daily-count`, `backup-monthly-count`.
        file_days: days after which archives of files are removed.
    """

    def __init__(
        self, bucket: WritablePlace, folder: Path, *, daily: int = 90, monthly: int = 24, file_days: int = 60
    ) -> None:
        self._bucket = bucket
        self._folder = folder
        self._rules = Rules(daily, monthly, file_days)

    def run(self, nanoseconds: int) -> ArchiveRound:
        """One round, at that moment (since 1970).

        Raises:
            EnvironmentUnfit: the disk is full or the bucket cannot be reached.
        """
        diary = _Diary()
        found = self._bucket.names()
        with SafeFolder(self._folder) as folder:
            # databases first, as the real one
            for source in sorted({name.source for name in found}, key=lambda s: (not is_database_source(s), s)):
                try:
                    self._archive_source(folder, [name for name in found if name.source == source], nanoseconds, diary)
                except _Skip as skipped:
                    diary.complaints.append(str(skipped))
        return ArchiveRound(tuple(diary.archived), tuple(diary.removed), tuple(diary.kept), tuple(diary.complaints))

    def _archive_source(self, folder: SafeFolder, names: list[BackupName], now: int, diary: _Diary) -> None:
        archived = []
        for name in names:
            infos = {item.key for item in self._bucket.objects(name)} & {f"{name}/{INFO}", f"{name}/{ARCHIVE_INFO}"}
            if f"{name}/{INFO}" in infos and f"{name}/{ARCHIVE_INFO}" not in infos:
                self._archive(folder, name, diary)
                diary.archived.append(name)
                self._clean_up(folder, name.source, now, diary)
                archived.append(name)
            elif f"{name}/{ARCHIVE_INFO}" in infos:
                archived.append(name)
        for name in archived[:-1]:
            self._bucket.remove(name)
        diary.kept += archived[-1:]

    def _archive(self, folder: SafeFolder, name: BackupName, diary: _Diary) -> None:
        if folder.exists(str(name)):
            raise _Skip(
                "the archive's directory is there already: another process, or one that died?",
                where=f"{self._folder}/{name}",
                hint=f"when no other runs: rm -r '{self._folder}/{name}', then run it again",
            )
        lines = self._read_list(name)
        self._unpack(folder, name, diary)
        for line in lines:
            self._collect(folder, name, line, diary)
        folder.remove(f"{name}/{_DOWNLOAD}")
        with tempfile.SpooledTemporaryFile(_SPOOL) as listing:
            for line in lines:
                if folder.size(f"{name}/{line.package_path}") == line.package_size:
                    listing.write(format_line(replace(line, backup_name=str(name))))
            listing.seek(0)
            folder.write(f"{name}/{ARCHIVE_INFO}", iter(lambda: listing.read(_CHUNK), b""))
        self._bucket.write(f"{name}/{ARCHIVE_INFO}", folder.read(f"{name}/{ARCHIVE_INFO}"))

    def _read_list(self, name: BackupName) -> list[ListedFile]:
        """The lines of `backup-info`. One that is damaged or listed twice stops the source, as in the real one."""
        key = f"{name}/{INFO}"
        lines: dict[str, ListedFile] = {}
        for line in read_listing(self._bucket.read(key)):
            what = f"line {line.number}: {line.what}" if isinstance(line, BadLine) else ""
            if isinstance(line, ListedFile):
                what = f"{line.path!r} is listed twice" if line.path in lines else what
                if line.package_path.split("/")[0] in (_DOWNLOAD, ARCHIVE_INFO):
                    what = f"{line.package_path!r} would lie on the archive's own files"
                lines[line.path] = line
            if what:
                raise _Skip(what, where=f"{self._bucket.shown}/{key}", hint=verify_command(self._bucket))
        return list(lines.values())

    def _unpack(self, folder: SafeFolder, name: BackupName, diary: _Diary) -> None:
        """All packages of the backup's tars into `download`; the last of several of one name stays, as tar does it."""
        try:
            for package in walk_packages(self._bucket, name):
                if isinstance(package, Stray):
                    diary.complaints.append(f"{package.key}: {package.what}")
                    continue
                try:
                    folder.write(f"{name}/{_DOWNLOAD}/{package.path}", package.chunks())
                except EnvironmentUnfit:
                    raise
                except RehearsalError as error:
                    diary.complaints.append(f"{name}: {package.path!r} cannot be unpacked: {error.what}")
        except EnvironmentUnfit:
            raise
        except RehearsalError as error:
            diary.complaints.append(f"{name}: {error}")

    def _collect(self, folder: SafeFolder, name: BackupName, line: ListedFile, diary: _Diary) -> None:
        """Move a package to where it belongs: out of the download, out of the archive that the line names, or, where
        it is not there, out of any other archive of the same storage, newest first."""
        target = f"{name}/{line.package_path}"
        own = line.backup_name == str(name)
        first = f"{name}/{_DOWNLOAD}" if own else line.backup_name
        for number, candidate in enumerate([first, *self._others(folder, name)]):
            if self._try_move(folder, f"{candidate}/{line.package_path}", target, line.package_size):
                if number:
                    diary.complaints.append(f"{target}: not in {first}, taken from {candidate}")
                return
        size = folder.size(f"{first}/{line.package_path}")
        found = "missing" if size is None else f"of {size} bytes, {line.package_size} are listed"
        diary.complaints.append(f"{target}: {found} in {first}, and in no other archive")

    def _others(self, folder: SafeFolder, name: BackupName) -> Iterator[str]:
        """Archives of the same source, newest first. A generator: hardly ever asked."""
        for other in sorted(_list_archives(folder, name.source), reverse=True):
            if other != name:
                yield str(other)

    def _try_move(self, folder: SafeFolder, source: str, target: str, size: int) -> bool:
        if source == target or folder.size(source) != size:
            return False
        try:
            folder.move(source, target)
        except EnvironmentUnfit:
            raise
        except RehearsalError:  # a directory of a name that another package needs as a file
            return False
        return True

    def _clean_up(self, folder: SafeFolder, source: str, now: int, diary: _Diary) -> None:
        archives = _list_archives(folder, source)
        doubt = doubt_clock(archives, now)
        if doubt:
            diary.complaints.append(doubt)
        for name in choose_removed(archives, self._rules, now):
            folder.remove(str(name))
            diary.removed.append(name)


def _list_archives(folder: SafeFolder, source: str) -> list[BackupName]:
    return [name for name in map(parse_name, folder.names()) if name is not None and name.source == source]
