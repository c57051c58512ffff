"""The manual's first method: dumps and files copied with kubectl commands.

Every command string is the manual's own (`seed-backup`: "Backup databases and file-storage files", "Restore"), run
through the cluster seam, so the same text meets local processes and real pods. What the commands say of themselves
(status, ERROR lines) is reported and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rehearsal.backup_set import Artefact, Manifest, measure, write_atomically, write_manifest
from rehearsal.chipster import runbook
from rehearsal.deployment import DatabaseSpec, FilesSpec, StoreSpec
from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.journal import now
from rehearsal.methods.dump_text import refuse_meta_commands
from rehearsal.packing import pack_tree
from rehearsal.roles import ExecResult, SetRemark, Stage
from rehearsal.unpacking import unpacking

VALUES_COPY = "values.yaml"


@dataclass(frozen=True)
class KubectlCopy:
    """Dumps by `pg_dump --clean` through kubectl exec; files by `kubectl cp` or by the tar stream with progress.

    Attributes:
        files_by: which of the manual's two commands copies the files, both ways.
    """

    files_by: Literal["cp", "tar"] = "cp"
    name: str = "kubectl-copy"
    not_carried: tuple[str, ...] = ()
    runbook: str = "Chipster manual, Server backups: Backup and Restore with kubectl commands"

    def back_up(self, stage: Stage) -> None:
        """Dump every database (vacuumlo first), copy the files of every replica, keep a copy of values.yaml.

        Raises:
            StreamError: what arrived is not what left the pod.
            EnvironmentUnfit: the disk under the run's folder is full.
        """
        stage.backup_folder.mkdir(parents=True, exist_ok=True)
        artefacts = [self.back_up_store(stage, store) for store in stage.stores]
        write_atomically(stage.backup_folder / VALUES_COPY, stage.values_copy)
        artefacts.append(list_artefact(stage, VALUES_COPY, "file", source="values.yaml, secrets removed"))
        write_manifest(
            stage.backup_folder,
            Manifest(
                method=self.name,
                run=stage.run_id,
                artefacts=tuple(artefacts),
                tool_versions=dict(stage.cluster.versions()),
            ),
        )

    def examine(self, stage: Stage) -> tuple[SetRemark, ...]:  # noqa: ARG002 - the manifest says it all
        return ()

    def restore(self, stage: Stage) -> None:
        """Feed each dump to psql, empty `storage` and copy the files back, for every store of `stage.lost`.

        Raises:
            RehearsalError: an artefact is missing, or holds what must not be run or unpacked.
        """
        for store in stage.lost:
            self.restore_store(stage, store)

    def restore_store(self, stage: Stage, store: StoreSpec) -> None:
        """One store out of the set. Raises as `restore` does."""
        if store.kind == "database":
            self._restore_database(stage, store)
        else:
            self._restore_files(stage, store)

    def back_up_store(self, stage: Stage, store: StoreSpec) -> Artefact:
        """One store into the set; the manifest's line for it. Raises as `back_up` does."""
        return self._dump(stage, store) if store.kind == "database" else self._copy_files(stage, store)

    def _dump(self, stage: Stage, database: DatabaseSpec) -> Artefact:
        started = now()
        cluster = stage.cluster
        vacuumed = cluster.exec(database.pod, runbook.vacuum_large_objects(database), destructive=True)
        stage.report_command(database.name, vacuumed)
        path = _dump_path(database)
        result = cluster.exec(database.pod, runbook.dump(database), stdout=stage.backup_folder / path)
        stage.report_command(database.name, result)
        return list_artefact(
            stage, path, "file", store=database.name, source=database.db_name, result=result, started=started
        )

    def _copy_files(self, stage: Stage, files: FilesSpec) -> Artefact:
        started = now()
        cluster = stage.cluster
        folder = stage.backup_folder / files.pod
        folder.mkdir()
        stage.report_command(files.name, cluster.exec(files.pod, runbook.MEASURE_FILES))
        if self.files_by == "cp":
            result = cluster.copy_out(files.pod, "storage", folder / "storage")
        else:
            with unpacking(folder) as (sink, _):
                result = cluster.exec(files.pod, runbook.PACK_FILES, stdout=sink)
        stage.report_command(files.name, result)
        path = f"{files.pod}/storage"
        return list_artefact(stage, path, "tree", store=files.name, source="storage", result=result, started=started)

    def _restore_database(self, stage: Stage, database: DatabaseSpec) -> None:
        dump = stage.backup_folder / _dump_path(database)
        if not dump.is_file():
            stage.journal.note(f"no dump to restore: {dump.name} is missing from the backup set")
            return
        feed_dump(stage, database, dump)

    def _restore_files(self, stage: Stage, files: FilesSpec) -> None:
        cluster = stage.cluster
        folder = stage.backup_folder / files.pod
        stage.report_command(files.name, cluster.exec(files.pod, runbook.REMOVE_FILES, destructive=True))
        if not (folder / "storage").is_dir():
            stage.journal.note(f"no files to restore: {files.pod}/storage is missing from the backup set")
            return
        if self.files_by == "cp":
            result = cluster.copy_in(folder / "storage", files.pod, ".")
        else:
            packed = pack_tree(folder, "storage")
            result = cluster.exec(files.pod, runbook.UNPACK_FILES, stdin=packed, destructive=True)
        stage.report_command(files.name, result)


def feed_dump(stage: Stage, database: DatabaseSpec, dump: Path) -> None:
    """A plain dump to psql in the database's pod, as the manual does it; its output goes to the logs.

    Raises:
        RehearsalError: the dump holds what must not be run.
    """
    refuse_meta_commands(dump)
    output = stage.logs / f"restore-{database.name}.psql.out"
    result = stage.cluster.exec(database.pod, runbook.feed_psql(database), stdin=dump, stdout=output, destructive=True)
    output.with_suffix(".err").write_bytes(result.stderr)
    stage.report_command(database.name, result)


def _dump_path(database: DatabaseSpec) -> str:
    return f"{database.name}.sql"


def list_artefact(
    stage: Stage,
    path: str,
    kind: Literal["file", "tree"],
    *,
    store: str = "",
    source: str,
    result: ExecResult | None = None,
    started: str = "",
) -> Artefact:
    """The manifest's line for what now lies in the set.

    Raises:
        StreamError: a file on disk is not what came through our hands.
        EnvironmentUnfit: a tree that should have been copied is not there.
    """
    try:
        size, sha256, files = measure(stage.backup_folder, path, kind)
    except FileNotFoundError as error:
        raise EnvironmentUnfit(
            "the backup command left nothing there", where=str(error), hint="read the command's stderr in journal.jsonl"
        ) from error
    if kind == "file" and result is not None and (result.received.size, result.received.sha256) != (size, sha256):
        raise StreamError(
            f"{result.received.size} bytes came from the pod, {size} bytes lie on disk, or their SHA-256 differs",
            where=str(stage.backup_folder / path),
        )
    return Artefact(
        path=path,
        kind=kind,
        size=size,
        sha256=sha256,
        files=files,
        store=store,
        source=source,
        command=result.command if result else "",
        started=started,
        finished=now(),
    )
