"""The nights that the stand-ins of `backup` and BackupArchive write for a rehearsal, into its bucket and archive.

One night's backup of the pods; for an incremental or an archive nights before it, of some of the files, each archived
half a day later.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rehearsal.builtin_backup.archive_server import ArchiveServer
from rehearsal.builtin_backup.names import database_source
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.set_layout import archive_folder
from rehearsal.builtin_backup.writer import Seals, latest_archived, write_database_backup, write_files_backup
from rehearsal.chipster import runbook
from rehearsal.deployment import DatabaseSpec, StoreSpec
from rehearsal.methods.pod_files import PodFiles
from rehearsal.roles import Stage

RestoreFrom = Literal["full", "incremental", "archive"]

_NIGHT = 86_400 * 10**9
_CHUNK = 1 << 20
_NIGHTS_BEFORE: dict[RestoreFrom, tuple[int, ...]] = {"full": (), "incremental": (2, 1), "archive": (1,)}
"""Before the last night, oldest first. After two archived nights the bucket has dropped the first one, and an
incremental backup refers to files that the archive alone has."""


@dataclass(frozen=True)
class StandInNights:
    """Writes them.

    Attributes:
        stores: the ones that are backed up this way.
    """

    stage: Stage
    bucket: S3Bucket
    sealer: Seals
    stores: Sequence[StoreSpec]

    def write(self, restore_from: RestoreFrom) -> None:
        """As many nights as that needs; the last one now.

        Raises:
            StreamError: what arrived is not what left the pod.
        """
        last = time.time_ns()
        archive = ArchiveServer(self.bucket, archive_folder(self.stage.backup_folder))
        for before in _NIGHTS_BEFORE[restore_from]:
            night = last - before * _NIGHT
            self.stage.journal.note(
                f"{before} nights before: the files that were there by then, archived in the morning"
            )
            self._write_night(night, before)
            self._archive(archive, night)
        self._write_night(last, 0)
        if restore_from == "archive":
            self._archive(archive, last)

    def _write_night(self, night: int, before: int) -> None:
        for store in self.stores:
            if store.kind == "database":
                self._write_database(store, night)
            else:
                source = PodFiles(self.stage, store, lambda path: _was_there(path, before))
                write_files_backup(
                    self.bucket,
                    source,
                    self.sealer,
                    storage_id=store.pod,
                    nanoseconds=night,
                    archived=latest_archived(self.bucket, store.pod),
                    tell=self.stage.journal.note,
                )

    def _write_database(self, store: DatabaseSpec, night: int) -> None:
        stage, cluster = self.stage, self.stage.cluster
        vacuumed = cluster.exec(store.pod, runbook.vacuum_large_objects(store), destructive=True)
        stage.report_command(store.name, vacuumed)
        dump = stage.private / f"{store.name}.sql"
        try:
            stage.report_command(store.name, cluster.exec(store.pod, runbook.dump_plainly(store), stdout=dump))
            with dump.open("rb") as stream:
                chunks = iter(lambda: stream.read(_CHUNK), b"")
                write_database_backup(self.bucket, self.sealer, role=store.role, dump=chunks, nanoseconds=night)
        finally:
            dump.unlink(missing_ok=True)

    def _archive(self, archive: ArchiveServer, night: int) -> None:
        """A round of the archive server; what it complains of goes into the journal."""
        for complaint in archive.run(night + _NIGHT // 2).complaints:
            self.stage.journal.note(f"archive server: {complaint}")


def source_of(store: StoreSpec) -> str:
    """The first part of the names of a store's backups."""
    return database_source(store.role) if store.kind == "database" else store.pod


def _was_there(path: str, nights_before: int) -> bool:
    """Whether a file was there so many nights before the last: half of those of the night after, always the same."""
    return sum(path.encode("utf-8", "surrogateescape")) % (1 << nights_before) == 0
