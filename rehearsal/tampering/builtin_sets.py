"""What operators on a set of the server's own backup need: its backups by name, its lists, and tars made anew.

They strike the bucket or the archive as they lie in the set, the way an object store, an archive server or a hand
would, and make the manifest anew: only the set's own lists and what came back can tell.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket
from rehearsal.builtin_backup.listing import ListedFile, format_line, read_listing
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, database_source
from rehearsal.builtin_backup.set_layout import archive_folder, bucket_folder
from rehearsal.deployment import StoreSpec
from rehearsal.roles import Stage
from rehearsal.tampering.set_files import is_upload

Packages = dict[str, bytes]
"""The members of a tar by package path, in order; sets of rehearsals are small."""


@dataclass(frozen=True)
class LaidBackup:
    """One backup as it lies in the set.

    Attributes:
        folder: of the bucket or the archive.
        list_name: `backup-info`, or `archive-info`.
    """

    folder: Path
    name: BackupName
    list_name: str = INFO

    @property
    def list_path(self) -> Path:
        return self.folder / str(self.name) / self.list_name

    def read_lines(self) -> list[ListedFile]:
        """The lines of its list that can be read."""
        return [line for line in read_listing([self.list_path.read_bytes()]) if isinstance(line, ListedFile)]

    def write_lines(self, lines: list[ListedFile]) -> None:
        self.list_path.write_bytes(b"".join(map(format_line, lines)))

    def uploads(self, least: int = 1) -> list[ListedFile]:
        """The lines of users' files that this backup packed itself; the rehearsal's own marks are left out."""
        return [
            line
            for line in self.read_lines()
            if line.backup_name == str(self.name) and line.size >= least and is_upload(line.path)
        ]

    def locate(self, line: ListedFile) -> Path:
        """Where the archive server has a package, if it has it."""
        return self.folder / str(self.name) / line.package_path

    def tars(self) -> list[Path]:
        return sorted((self.folder / str(self.name)).rglob("*.tar"))

    def change_packages(self, change: Callable[[Packages], Mapping[str, bytes]]) -> None:
        """Write every tar anew with what `change` makes of its members; a tar that has none left stays, empty."""
        for tar in self.tars():
            with tarfile.open(tar) as old:
                members = {member.name: (old.extractfile(member) or io.BytesIO()).read() for member in old}
            with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as new:
                for path, content in change(members).items():
                    member = tarfile.TarInfo(path)
                    member.size, member.mode = len(content), 0o644
                    new.addfile(member, io.BytesIO(content))

    def change_package(self, path: str, change: Callable[[bytes], bytes | None]) -> None:
        """Change one package, None: take it out."""

        def apply(members: Packages) -> Packages:
            if path not in members:
                return members
            content = change(members.pop(path))
            return members if content is None else {**members, path: content}

        self.change_packages(apply)


def lay_backups(stage: Stage, store: StoreSpec) -> list[LaidBackup]:
    """The backups of a store in the bucket, oldest first."""
    folder = bucket_folder(stage.backup_folder)
    source = database_source(store.role) if store.kind == "database" else store.pod
    return [LaidBackup(folder, name) for name in FolderBucket(folder).names() if name.source == source]


def lay_archives(stage: Stage, store: StoreSpec) -> list[LaidBackup]:
    """The backups of a store on the archive server, oldest first."""
    folder = archive_folder(stage.backup_folder)
    source = database_source(store.role) if store.kind == "database" else store.pod
    return [LaidBackup(folder, name, ARCHIVE_INFO) for name in ArchiveFolder(folder).names() if name.source == source]


def lay_moved(stage: Stage, store: StoreSpec) -> tuple[LaidBackup, list[ListedFile]]:
    """The newest archive, and the users' files that it alone has: an older backup packed them, they were moved into it,
    and the bucket has dropped that older backup.

    Raises:
        LookupError: this set has no archive of the store.
    """
    newest = lay_archives(stage, store)[-1]
    in_bucket = next(backup for backup in lay_backups(stage, store) if backup.name == newest.name)
    lines = [line for line in in_bucket.read_lines() if line.backup_name != str(newest.name) and is_upload(line.path)]
    return newest, [line for line in lines if newest.locate(line).is_file()]


def relist(line: ListedFile, package: bytes) -> ListedFile:
    """The line that would be right for other bytes of its package; the plain file's figures stay."""
    return ListedFile(
        line.path,
        line.size,
        line.sha512,
        line.package_path,
        len(package),
        hashlib.sha512(package).hexdigest(),
        line.backup_name,
    )
