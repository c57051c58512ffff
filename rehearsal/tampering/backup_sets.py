"""Operators on the backup set, between the backup and the loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import Method, Stage
from rehearsal.tampering import Harmless

_LARGE_OBJECT_DATA = b"SELECT pg_catalog.lo_open("
_BEGIN = b"BEGIN;\n"


def _yesterday(stage: Stage) -> Path:
    return stage.backup_folder.with_name("backup-yesterday")


@dataclass(frozen=True)
class RestoreYesterdaysSet(Harmless):
    """The set that is restored is whole, and a day old."""

    name: str = "yesterday's set restored"
    why: str = "an upload that failed quietly leaves the day before as the newest set in the backup system"

    def before_nonce(self, stage: Stage, method: Method) -> str:
        method.back_up(replace(stage, backup_folder=_yesterday(stage)))
        return ""

    def after_backup(self, stage: Stage) -> str:
        stage.backup_folder.rename(stage.backup_folder.with_name("backup-today"))
        _yesterday(stage).rename(stage.backup_folder)
        return stage.lost[0].name


@dataclass(frozen=True)
class CutBeforeLargeObjects(Harmless):
    """The first lost database's dump ends just before the data of its large objects."""

    name: str = "dump cut before its large objects"
    why: str = (
        "measured: it restores with status 0, row counts and row digests equal, and every large object empty; kubectl "
        "exec can end with status 0 after a cut stream (kubernetes/kubernetes#73056)"
    )

    def after_backup(self, stage: Stage) -> str:
        database = next(store for store in stage.lost if store.kind == "database")
        dump = stage.backup_folder / f"{database.name}.sql"
        position = begin = 0
        with dump.open("r+b") as stream:
            for line in stream:
                if line == _BEGIN:
                    begin = position
                if line.startswith(_LARGE_OBJECT_DATA):
                    stream.truncate(begin)
                    return database.name
                position += len(line)
        raise EnvironmentUnfit("the dump holds no large object data to cut before", where=str(dump))
