"""Operators on the backup set as a whole: artefacts that changed places, another day's set, an edited manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rehearsal.backup_set import MANIFEST
from rehearsal.roles import Method, Stage
from rehearsal.tampering.operators import REGISTRY, Area, Moment, Operator, Strike, operator
from rehearsal.tampering.set_dump_cuts import cut_before_trailer
from rehearsal.tampering.sets import draw_dump, find_artefact, lost_databases, lost_files, remake_manifest


def _yesterday(stage: Stage) -> Path:
    return stage.backup_folder.with_name("backup-yesterday")


@dataclass(frozen=True)
class RestoreYesterdaysSet(Operator):
    """Strikes twice: the set of the day before is made before the nonce is written, and put in today's place."""

    name: str = "yesterday's set restored"
    why: str = "an upload that failed quietly leaves the day before as the newest set in the backup system"
    moment: Moment = "after backup"
    area: Area = "backup set"
    checks: tuple[str, ...] = ("nonce",)

    def before_nonce(self, stage: Stage, method: Method) -> str:
        method.back_up(replace(stage, backup_folder=_yesterday(stage)))
        return ""

    def after_backup(self, stage: Stage) -> str:
        stage.backup_folder.rename(stage.backup_folder.with_name("backup-today"))
        _yesterday(stage).rename(stage.backup_folder)
        return self._draw().choice(stage.lost).name


REGISTRY[RestoreYesterdaysSet.name] = RestoreYesterdaysSet()


def _swap(one: Path, other: Path) -> None:
    aside = one.with_name(f".{one.name}.aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@operator(
    "two databases' dumps swapped",
    why="a loop that names its files by position; both dumps are whole, each restores without a complaint of its own",
    moment="after backup",
    area="backup set",
    checks="tables",
    loses=("session-db", "auth"),
)
def swap_dumps(strike: Strike) -> str:
    databases = lost_databases(strike.stage)
    if len(databases) < 2:
        return ""
    one, other = strike.draw.sample(databases, 2)
    _swap(find_artefact(strike.stage, one), find_artefact(strike.stage, other))
    remake_manifest(strike.stage)
    own = {"sessionDb": "session", "auth": "user_table", "jobHistory": "jobhistory"}[one.key]
    return f"{one.name}: public.{own}"


@operator(
    "two replicas' files swapped",
    why="file-storage-0 and -1 hold different files; session-db names the replica of each: a swap loses them all",
    moment="after backup",
    area="backup set",
    checks="files",
    loses=("file-storage",),
    replicas=2,
)
def swap_replicas(strike: Strike) -> str:
    replicas = lost_files(strike.stage)
    if len(replicas) < 2:
        return ""
    one, other = strike.draw.sample(replicas, 2)
    trees = [find_artefact(strike.stage, store) for store in (one, other)]
    mine, others = ({path.relative_to(tree).as_posix() for path in tree.rglob("*")} for tree in trees)
    _swap(*trees)
    remake_manifest(strike.stage)
    # files differ or folders do: the first of an inventory is named
    return f"{one.name}: {min(mine ^ others, key=str.encode)}" if mine != others else ""


@operator(
    "manifest edited with its artefact",
    why="whoever repairs a manifest after a checksum failed makes the set agree with itself, and with nothing else",
    moment="after backup",
    area="backup set",
    checks="backup-set",
    differs="set",
)
def edit_manifest(strike: Strike) -> str:
    _, path = draw_dump(strike.stage, strike.draw)
    piece = cut_before_trailer(path, strike.draw, strike.intensity)
    remake_manifest(strike.stage)
    return MANIFEST if piece else ""
