"""What operators on a backup set need: where a store's artefact lies, a manifest made anew over the damage."""

from __future__ import annotations

from pathlib import Path
from random import Random

from rehearsal.backup_set import measure, read_manifest, write_manifest
from rehearsal.deployment import DatabaseSpec, FilesSpec, StoreSpec
from rehearsal.roles import Stage


def lost_databases(stage: Stage) -> list[DatabaseSpec]:
    return [store for store in stage.lost if store.kind == "database"]


def lost_files(stage: Stage) -> list[FilesSpec]:
    return [store for store in stage.lost if store.kind == "files"]


def name_artefact(stage: Stage, store: StoreSpec) -> str:
    """The path of a store's artefact within the set, as the manifest has it; "" for none."""
    artefacts = read_manifest(stage.backup_folder).artefacts
    return next((artefact.path for artefact in artefacts if artefact.store == store.name), "")


def find_artefact(stage: Stage, store: StoreSpec) -> Path:
    """Where a store's artefact lies.

    Raises:
        LookupError: the manifest names none.
    """
    path = name_artefact(stage, store)
    if not path:
        raise LookupError(f"the backup set holds nothing of {store.name}")
    return stage.backup_folder / path


def draw_dump(stage: Stage, draw: Random) -> tuple[DatabaseSpec, Path]:
    """One of the lost databases, and its dump."""
    database = draw.choice(lost_databases(stage))
    return database, find_artefact(stage, database)


def remake_manifest(stage: Stage) -> None:
    """Write the manifest anew, over the artefacts as they lie there now; those that are missing are left out."""
    manifest = read_manifest(stage.backup_folder)
    artefacts = []
    for artefact in manifest.artefacts:
        try:
            size, sha256, files = measure(stage.backup_folder, artefact.path, artefact.kind)
        except FileNotFoundError:
            continue
        artefacts.append(artefact.model_copy(update={"size": size, "sha256": sha256, "files": files}))
    write_manifest(stage.backup_folder, manifest.model_copy(update={"artefacts": tuple(artefacts)}))
