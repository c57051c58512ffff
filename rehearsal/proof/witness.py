"""The witness: whether a mutant differs at all, asked of pg_dump, find and sha256sum, never of our judge.

It looks at the lost stores just before the operator can strike, at the backup set when the backup has ended, and at
both again when the restore is over. A dump is compared by its sorted lines (physical order is no content), a tree by
its listing with mode, owner, type, size and SHA-256. A mutant that is equal in all of it is equivalent.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.backup_set import measure_file
from rehearsal.chipster import runbook
from rehearsal.deployment import DatabaseSpec, FilesSpec, StoreSpec
from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import Loss, Method, Stage
from rehearsal.stores.tables import MARK_TABLE
from rehearsal.tampering.operators import Operator

_LIST_FILES = """
find storage -printf '%p\\t%y\\t%m\\t%U:%G\\t%l\\0' | LC_ALL=C sort -z
find storage -type f -printf '%p\\t%s\\0' | LC_ALL=C sort -z
find storage -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum -z
"""
_DUMP = """
export PGPASSWORD=$POSTGRES_PASSWORD
pg_dump --create --exclude-table-data={table} -U postgres {db} && psql -XAtqU postgres -c "{marks}" {db}
"""
_NEW_EVERY_TIME = (b"\\restrict ", b"\\unrestrict ")
_UNTOUCHED = "untouched"


def dump_database(stage: Stage, database: DatabaseSpec) -> str:
    """SHA-256 of the sorted lines of `pg_dump --create`; what it complained of where it could not.

    Of the rehearsal's own marks the heartbeat is left out, which beats between our two looks, and in a store that was
    not lost all of them: its marker was written meanwhile, and stays.
    """
    kinds = "kind <> 'heartbeat'" if database in stage.lost else "false"
    marks = f"SELECT 'mark', kind, value FROM {'.'.join(MARK_TABLE)} WHERE {kinds}"  # noqa: S608 - constants
    command = _DUMP.format(table=".".join(MARK_TABLE), db=shlex.quote(database.db_name), marks=marks)
    result = stage.cluster.exec(database.pod, ("bash", "-c", command))
    if result.status != 0:
        return f"no dump: {result.stderr.decode(errors='replace').strip()}"
    lines = sorted(line for line in result.stdout.split(b"\n") if not line.startswith(_NEW_EVERY_TIME))
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def list_files(stage: Stage, files: FilesSpec) -> str:
    """Everything below `storage`: names, kinds, modes, owners and links, then sizes, then `sha256sum`'s lines."""
    result = stage.cluster.exec(files.pod, ("bash", "-c", _LIST_FILES))
    return result.stdout.decode("utf-8", "surrogateescape")


def list_set(stage: Stage) -> dict[str, str]:
    """What lies in the backup set: by path its kind, and the bytes' SHA-256 or the link's target."""
    found: dict[str, str] = {}
    for folder, directories, names in os.walk(stage.backup_folder):
        for name in directories + names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                said = f"link {os.readlink(path)}"
            else:
                said = f"file {measure_file(path)[1]}" if stat.S_ISREG(mode) else f"kind {stat.S_IFMT(mode):o}"
            found[os.fspath(path.relative_to(stage.backup_folder))] = said
    return found


@dataclass
class Witness:
    """What was seen in one trial; `files` are listings by store, for the rival that takes a sample of them."""

    operator: Operator
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    set_before: dict[str, str] = field(default_factory=dict)
    set_after: dict[str, str] = field(default_factory=dict)

    def look_before(self, stage: Stage) -> None:
        """Raises EnvironmentUnfit where an intact store cannot be read."""
        for store in self._watched(stage):
            if store.kind == "database":  # as the backup itself does a moment later
                stage.cluster.exec(store.pod, runbook.vacuum_large_objects(store), destructive=True)
        self.before = self._look(stage)
        for name, seen in self.before.items():
            if not seen or seen.startswith("no dump"):
                raise EnvironmentUnfit(f"the witness cannot read the intact store: {seen or 'nothing'}", where=name)

    def look_after(self, stage: Stage) -> None:
        self.after = self._look(stage)
        if self.operator.moment != "after backup":
            self.set_after = list_set(stage)

    def differs(self, struck: tuple[str, ...], marks: Collection[str] = ()) -> bool:
        """Whether the mutant differs from an intact restore, in the way its operator says.

        Args:
            marks: paths of the rehearsal's own files that are written between the two looks.
        """
        match self.operator.differs:
            case _ if not struck:
                return False
            case "content":
                return _without(self.before, marks) != _without(self.after, marks)
            case "set":
                return self.set_before != self.set_after
            case "procedure":
                return True

    def _watched(self, stage: Stage) -> tuple[StoreSpec, ...]:
        """The lost stores; the other databases too where the operator may strike there."""
        others = _UNTOUCHED in self.operator.checks
        return tuple(s for s in stage.stores if s in stage.lost or (others and s.kind == "database"))

    def _look(self, stage: Stage) -> dict[str, str]:
        return {
            store.name: dump_database(stage, store) if store.kind == "database" else list_files(stage, store)
            for store in self._watched(stage)
        }


def _without(seen: dict[str, str], marks: Collection[str]) -> dict[str, list[str]]:
    """Without the entries of a listing that speak of a mark; a dump's digest has no such entry."""
    return {
        name: [entry for entry in text.split("\0") if not any(mark in entry for mark in marks)]
        for name, text in seen.items()
    }


@dataclass(frozen=True)
class Watched:
    """An operator with a witness beside it; plays `roles.Tampering`."""

    operator: Operator
    witness: Witness
    look_before: Callable[[Stage], None]
    """The witness's own, and what others do at that moment."""

    @property
    def name(self) -> str:
        return self.operator.name

    @property
    def why(self) -> str:
        return self.operator.why

    def method(self, method: Method) -> Method:
        return self.operator.method(method)

    def loss(self, loss: Loss) -> Loss:
        return self.operator.loss(loss)

    def before_nonce(self, stage: Stage, method: Method) -> str:
        return self.operator.before_nonce(stage, method)

    def before_backup(self, stage: Stage) -> str:
        self.look_before(stage)
        return self.operator.before_backup(stage)

    def after_backup(self, stage: Stage) -> str:
        self.witness.set_before = list_set(stage)
        struck = self.operator.after_backup(stage)
        self.witness.set_after = list_set(stage)
        return struck

    def after_restore(self, stage: Stage) -> str:
        return self.operator.after_restore(stage)
