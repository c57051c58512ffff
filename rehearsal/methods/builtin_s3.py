"""Method `builtin-s3`: the server's own backup to S3, as Chipster's `backup` service and its archive server make it.

The set is written by a STAND-IN for those services, in their format, from the pods: a throwaway system has the data
tier alone. Where a site runs the real services on it, they are asked instead, by their admin calls. What is rehearsed
is the restore: a bucket or an archive directory of that format, read, decrypted, decompressed and brought back as the
manual says (copy it back, `gpg --decrypt F.lz4.gpg | lz4 -d` for every file, then as with kubectl). Its dumps have no
`--clean`, so a database must be empty before (facts, trap 5).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rehearsal.backup_set import Artefact, Manifest, write_atomically, write_manifest
from rehearsal.builtin_backup.chain import find_latest
from rehearsal.builtin_backup.folder_places import ArchiveFolder, FolderBucket
from rehearsal.builtin_backup.keys import Keyring
from rehearsal.builtin_backup.names import BackupName
from rehearsal.builtin_backup.places import Place
from rehearsal.builtin_backup.real_writer import RealService
from rehearsal.builtin_backup.restoring import Restored, open_dump, restore_files
from rehearsal.builtin_backup.s3_access import S3Access
from rehearsal.builtin_backup.s3_bucket import S3Bucket
from rehearsal.builtin_backup.s3_server import S3Server
from rehearsal.builtin_backup.scratch import scratch_folder
from rehearsal.builtin_backup.set_layout import BUCKET, archive_folder, bucket_folder, storage_of_server
from rehearsal.builtin_backup.unsealing import Unsealer
from rehearsal.chipster import runbook
from rehearsal.deployment import DatabaseSpec, FilesSpec, StoreSpec
from rehearsal.errors import RehearsalError
from rehearsal.methods.kubectl_copy import VALUES_COPY, KubectlCopy, feed_dump, list_artefact
from rehearsal.methods.set_remarks import examine_places
from rehearsal.methods.stand_in_nights import RestoreFrom, StandInNights, source_of
from rehearsal.methods.throwaway_keys import SealKind, open_keyring, open_sealer
from rehearsal.packing import pack_tree
from rehearsal.record import FOLDERS
from rehearsal.roles import SetRemark, Stage
from rehearsal.shell import Shell

_RUNBOOK = "Chipster manual, Server backups: built-in backup to S3 and its restore; the set is written by "
_WORDS: dict[SealKind, str] = {
    "public-key": "encrypted to a public key",
    "passphrase": "encrypted with a passphrase",
    "none": "not encrypted",
}


@dataclass(frozen=True)
class BuiltinS3:
    """Back up to S3 in the server's own format; restore from the bucket, or from the archive server's directory.

    Attributes:
        restore_from: a full backup in the bucket; the latest incremental in the bucket, with the archive for what it
            leaves out; or the archive directory alone.
        sealed_by: how packages are encrypted. With `none` the real service makes no backup of a database (trap 16).
        databases_by: `kubectl` for the mixed way: databases as the manual's other method has it.
        only_into_empty: look whether a database is empty before its dump is restored; False: what would happen.
        service: the real services, which write the set in place of the stand-in, sealed as their settings say; see
            `written_by`.
    """

    restore_from: RestoreFrom = "full"
    sealed_by: SealKind = "public-key"
    databases_by: Literal["builtin", "kubectl"] = "builtin"
    only_into_empty: bool = True
    not_carried: tuple[str, ...] = (FOLDERS,)
    runbook: str = f"{_RUNBOOK}a stand-in for Chipster's backup service and archive server"
    service: RealService | None = None

    def __post_init__(self) -> None:
        if self.sealed_by == "none" and self.databases_by == "builtin":
            raise ValueError("without a key or a passphrase the service backs up no database: databases_by='kubectl'")

    @property
    def name(self) -> str:
        mixed = ", databases by kubectl-copy" if self.databases_by == "kubectl" else ""
        sealed = "written by Chipster's own services" if self.service else _WORDS[self.sealed_by]
        return f"builtin-s3 ({self.restore_from}, {sealed}{mixed})"

    def why_stand_in(self) -> str:
        """Why only the stand-in can write this set; "" where the real services can too."""
        if self.restore_from != "full":
            return "the nights before the last are written by the stand-in alone"
        if self.sealed_by == "none":
            return "whether packages are encrypted is up to the service's own settings"
        return ""

    def written_by(self, service: RealService) -> BuiltinS3:
        """The same, its set written by the real services.

        Raises:
            ValueError: they cannot; see `why_stand_in`.
        """
        if reason := self.why_stand_in():
            raise ValueError(reason)
        return replace(self, service=service, runbook=_RUNBOOK + service.told)

    def back_up(self, stage: Stage) -> None:
        """One night's backup; for an incremental or an archive nights before it, of some of the files.

        Raises:
            StreamError: what arrived is not what left the pod.
            EnvironmentUnfit: gpg or rclone is missing, or the disk under the run's folder is full.
            RehearsalError: the real services made no backup.
        """
        stage.backup_folder.mkdir(parents=True, exist_ok=True)
        stage.private.mkdir(mode=0o700, parents=True, exist_ok=True)
        artefacts = []
        if self.databases_by == "kubectl":
            databases = [store for store in stage.stores if store.kind == "database"]
            artefacts += [KubectlCopy().back_up_store(stage, store) for store in databases]
        stores = [store for store in stage.stores if self._is_ours(store)]
        if self.service is None:
            self._write_as_stand_in(stage, stores)
        else:
            bucket_folder(stage.backup_folder).mkdir(parents=True)
            bucket = FolderBucket(bucket_folder(stage.backup_folder))
            self.service.write(bucket, [source_of(store) for store in stores], stage.journal)
        write_atomically(stage.backup_folder / VALUES_COPY, stage.values_copy)
        artefacts.append(list_artefact(stage, VALUES_COPY, "file", source="values.yaml, secrets removed"))
        artefacts += self._list_objects(stage)
        versions = dict(stage.cluster.versions())
        manifest = Manifest(method=self.name, run=stage.run_id, artefacts=tuple(artefacts), tool_versions=versions)
        write_manifest(stage.backup_folder, manifest)

    def _write_as_stand_in(self, stage: Stage, stores: Sequence[StoreSpec]) -> None:
        with (
            self._serve(stage, to_write=True) as bucket,
            scratch_folder() as scratch,
            open_sealer(Shell(stage.journal), self.sealed_by, stage.private, scratch) as sealer,
        ):
            StandInNights(stage, bucket, sealer, stores).write(self.restore_from)

    def _list_objects(self, stage: Stage) -> Iterator[Artefact]:
        """Every object of the bucket and every file of the archive, for the manifest."""
        owners = {source_of(store): store.name for store in stage.stores}
        bucket = bucket_folder(stage.backup_folder)
        archive = archive_folder(stage.backup_folder)
        places: list[tuple[Path, Place]] = [(bucket, FolderBucket(bucket))]
        if archive.is_dir():
            places.append((archive, ArchiveFolder(archive)))
        for folder, place in places:
            within = folder.relative_to(stage.backup_folder).as_posix()
            for name in place.names():
                owner = owners.get(name.source, "")
                for found in place.objects(name):
                    yield list_artefact(stage, f"{within}/{found.key}", "file", store=owner, source=str(name))

    def examine(self, stage: Stage) -> tuple[SetRemark, ...]:
        """What `rehearsal verify-backup` says of the set, for the stores that are lost."""
        wanted = {source_of(store) for store in stage.lost if self._is_ours(store)}
        if not wanted:
            return ()
        with self._open(stage) as (places, unsealer, keyring):
            return examine_places(places, unsealer, keyring, wanted)

    def restore(self, stage: Stage) -> None:
        """Read the newest backup of every store of `stage.lost` and bring it back.

        Raises:
            RehearsalError: a database has tables already, and nothing was fed to it; a dump or a stream holds what
                must not be run or unpacked.
        """
        with self._open(stage) as (places, unsealer, _):
            for store in stage.lost:
                if not self._is_ours(store):
                    KubectlCopy().restore_store(stage, store)
                elif store.kind == "database":
                    self._restore_database(stage, store, places, unsealer)
                else:
                    self._restore_files(stage, store, places, unsealer)

    def _is_ours(self, store: StoreSpec) -> bool:
        return store.kind == "files" or self.databases_by == "builtin"

    # -- reading ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _serve(self, stage: Stage, *, to_write: bool = False) -> Iterator[S3Bucket]:
        """The bucket, over S3, from the set's folder and into it: the cluster's server, or a process of our own."""
        storage = storage_of_server(stage.backup_folder)
        bucket_folder(stage.backup_folder).mkdir(parents=True, exist_ok=True)
        inside = stage.cluster.serve_s3(storage, to_write=to_write)
        log = stage.logs / "s3-server.log"
        with inside or S3Server(Shell(stage.journal), storage, log, buckets=(BUCKET,)) as server:
            yield S3Bucket(
                S3Access(server.endpoint, BUCKET, access_key=server.access_key, secret_key=server.secret_key)
            )

    @contextmanager
    def _open(self, stage: Stage) -> Iterator[tuple[Sequence[Place], Unsealer, Keyring]]:
        """The places to restore from, and what opens their packages with the keys at hand."""
        shell = Shell(stage.journal)
        with ExitStack() as stack:
            places: list[Place] = []
            if self.restore_from != "archive":
                places.append(stack.enter_context(self._serve(stage)))
            if self.restore_from != "full":
                places.append(ArchiveFolder(archive_folder(stage.backup_folder)))
            keys = self.service.open_keyring(shell) if self.service else open_keyring(shell, stage.private)
            keyring = stack.enter_context(keys)
            scratch = stack.enter_context(scratch_folder())
            yield places, Unsealer(shell, keyring, scratch), keyring

    def _restore_database(self, stage: Stage, store: DatabaseSpec, places: Sequence[Place], unsealer: Unsealer) -> None:
        if self.only_into_empty:
            _require_empty(stage, store)
        with _restoring(stage, store, places) as (name, folder):
            dump = folder / f"{store.name}.sql"
            if name is not None:
                _tell_restored(stage, store, open_dump(places, name, unsealer, dump))
            if dump.is_file():
                feed_dump(stage, store, dump)

    def _restore_files(self, stage: Stage, store: FilesSpec, places: Sequence[Place], unsealer: Unsealer) -> None:
        stage.report_command(store.name, stage.cluster.exec(store.pod, runbook.REMOVE_FILES, destructive=True))
        with _restoring(stage, store, places) as (name, folder):
            if name is None:
                return
            (folder / "storage").mkdir()
            _tell_restored(stage, store, restore_files(places, name, unsealer, folder / "storage"))
            packed = pack_tree(folder, "storage")
            result = stage.cluster.exec(store.pod, runbook.UNPACK_FILES, stdin=packed, destructive=True)
            stage.report_command(store.name, result)


@contextmanager
def _restoring(stage: Stage, store: StoreSpec, places: Sequence[Place]) -> Iterator[tuple[BackupName | None, Path]]:
    """The newest complete backup of a store, and a folder for what is opened of it, which goes with the block."""
    name = find_latest(places, source_of(store))
    if name is None:
        stage.journal.note(f"no backup of {store.name} to restore: none is complete")
    folder = stage.private / "restored"
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield name, folder
    finally:
        shutil.rmtree(folder)


def _tell_restored(stage: Stage, store: StoreSpec, restored: Restored) -> None:
    note = stage.journal.note
    note(f"{store.name}: {restored.files} files of {restored.bytes} bytes opened")
    for path in restored.missing:
        note(f"{store.name}: {path} is in no backup at hand")
    for reason in restored.reasons:
        note(f"{store.name}: {reason}")
    for path, what in restored.broken:
        note(f"{store.name}: {path}: {what}")


def _require_empty(stage: Stage, store: DatabaseSpec) -> None:
    """Raises RehearsalError unless the database has no table: the dump has no `--clean`."""
    result = stage.cluster.exec(store.pod, runbook.list_tables(store))
    tables = result.stdout.decode(errors="replace").split()
    if result.status != 0:
        raise RehearsalError(
            f"nobody could see whether the database is empty: {result.stderr.decode(errors='replace').strip()}",
            where=store.name,
        )
    if tables:
        raise RehearsalError(
            f"the database has {len(tables)} tables already ({', '.join(tables[:3])}, …): a service has made them. The "
            "built-in backup's dump has no --clean: restored over them every session comes back, and no dataset and no "
            "rule, with status 0",
            where=store.name,
            hint="scale the services to 0, then "
            f"`kubectl scale --replicas 0 sts/{store.workload}`, `kubectl delete pvc {store.claim}`; start the "
            "database alone, and restore before any service runs",
        )
