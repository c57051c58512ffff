"""The rivals: what other restore tests look at, measured for real on the same mutants as our judge.

Each says of one trial whether it saw anything wrong, or None where it does not apply (there is no database to count
in, no file to sample). They look at the moments an admin would: at the stores before the backup, at the set before it
is restored, at the stores after it was. Nothing of ours judges for them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rehearsal.backup_set import Manifest, measure_tree, read_manifest
from rehearsal.deployment import DatabaseSpec
from rehearsal.errors import RehearsalError
from rehearsal.launch import Process
from rehearsal.proof.witness import Witness
from rehearsal.record import Record
from rehearsal.roles import Stage
from rehearsal.shell import Shell

STATUS, STRICT = "psql status", "psql -1 ON_ERROR_STOP"
ROWS, OBJECTS, FORMULA = "row counts", "large-object count", "pgcopydb's formula"
READABLE, SUMS, SAMPLE = "pg_restore -l / tar -t", "sha256sum -c", "1 % of files"

RIVALS = {
    STATUS: "exit status of the restore as in the manual (`psql < dump`, `tar xf`, `kubectl cp`)",
    STRICT: "`psql -1 -v ON_ERROR_STOP=1` of the set's dump into a copy of the database it came from",
    ROWS: "`count(*)` of every table, before the backup and after the restore",
    OBJECTS: "number of large objects, before and after",
    FORMULA: "`sum(hashtext(t::text)::bigint)` of every table, as pgcopydb compares, before and after",
    READABLE: "the set can be read: a plain dump (`pg_restore -l` refuses it) has its trailer, a tree goes through tar",
    SUMS: "`sha256sum -c` of the digests in the set's own manifest",
    SAMPLE: "one file in a hundred, one at least, compared by SHA-256",
}
"""Every rival by name, in the order of the tables, and what it does."""

_COUNT = b"""
SELECT 'large objects', count(*), 0 FROM pg_largeobject_metadata;
SELECT format('SELECT %L, count(*), coalesce(sum(hashtext(t::text)::bigint), 0) FROM ONLY %I.%I t',
    n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (n.nspname, c.relname) <> ('rehearsal_extras', 'mark') AND c.relpersistence <> 't'
ORDER BY 1 \\gexec
"""
_LARGE_OBJECTS = "large objects"
_SCRATCH = "rehearsal_scratch"
_NO_SCRATCH = 90
_STRICT = """
export PGPASSWORD=$POSTGRES_PASSWORD
psql -XqU postgres -d postgres -c 'CREATE DATABASE {scratch} TEMPLATE "{db}"' || exit {no_scratch}
psql -XqU postgres -1 -v ON_ERROR_STOP=1 {scratch} >/dev/null; status=$?
psql -XqU postgres -d postgres -c 'DROP DATABASE {scratch} WITH (FORCE)' || exit {no_scratch}
exit $status
"""
_TRAILER = b"-- PostgreSQL database dump complete"
_TAIL = 4096
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (storage/.*)", re.DOTALL)

Counts = dict[str, tuple[str, str]]
"""By table (or `large objects`) the row count and the formula's value."""


@dataclass
class Rivals:
    """The rivals at work in one trial; the witness's listings of the files are what the sample is drawn from."""

    witness: Witness
    seed: int
    before: dict[str, Counts] = field(default_factory=dict)
    after: dict[str, Counts] = field(default_factory=dict)
    seen: dict[str, bool | None] = field(default_factory=lambda: dict.fromkeys(RIVALS))

    def look_before(self, stage: Stage) -> None:
        self.before = _count_all(stage)

    def look_at_set(self, stage: Stage) -> None:
        """Before the loss: the strict restore meets the server on which its dump was made."""
        databases = [store for store in stage.lost if store.kind == "database"]
        strict = [_restore_strictly(stage, database) for database in databases]
        known = [seen for seen in strict if seen is not None]
        self.seen[STRICT] = any(known) if known else None
        self.seen[READABLE] = any([*(_lacks_trailer(stage, one) for one in databases), *_refused_by_tar(stage)])
        self.seen[SUMS] = _fails_sums(stage)

    def look_after(self, stage: Stage) -> None:
        """The witness has looked before."""
        self.after = _count_all(stage)
        if self.before:
            self.seen[ROWS] = _project(self.before, 0) != _project(self.after, 0)
            self.seen[FORMULA] = _project(self.before, 1) != _project(self.after, 1)
            self.seen[OBJECTS] = _count_objects(self.before) != _count_objects(self.after)

    def conclude(self, record: Record, marks: Collection[str]) -> dict[str, bool | None]:
        """What each saw, once the rehearsal is over; `marks`: paths that are the rehearsal's own."""
        if self.witness.after:
            self.seen[SAMPLE] = self._sample([s.name for s in record.stores if s.lost and s.kind == "files"], marks)
        statuses = [command.status for command in record.commands if command.phase == "restore"]
        self.seen[STATUS] = any(status != 0 for status in statuses)
        return dict(self.seen)

    def _sample(self, names: Collection[str], marks: Collection[str]) -> bool | None:
        before = {(name, *line) for name in names for line in _read_sums(self.witness.before.get(name, ""))}
        before = {line for line in before if line[1] not in marks}
        after = {(name, *line) for name in names for line in _read_sums(self.witness.after.get(name, ""))}
        if not before:
            return None
        draw = Random(f"sample:{self.seed}")  # noqa: S311 - repeatable on purpose
        return not after.issuperset(draw.sample(sorted(before), max(1, len(before) // 100)))


def _count_all(stage: Stage) -> dict[str, Counts]:
    return {store.name: _count(stage, store) for store in stage.lost if store.kind == "database"}


def _count(stage: Stage, database: DatabaseSpec) -> Counts:
    psql = f"PGPASSWORD=$POSTGRES_PASSWORD psql -XAtq -F '\t' -U postgres {shlex.quote(database.db_name)}"
    result = stage.cluster.exec(database.pod, ("bash", "-c", psql), stdin=_COUNT)
    lines = [line.split("\t") for line in result.stdout.decode(errors="replace").splitlines()]
    return {fields[0]: (fields[1], fields[2]) for fields in lines if len(fields) == 3}


def _project(counts: dict[str, Counts], column: int) -> dict[tuple[str, str], str]:
    return {
        (store, table): values[column]
        for store, tables in counts.items()
        for table, values in tables.items()
        if table != _LARGE_OBJECTS
    }


def _count_objects(counts: dict[str, Counts]) -> dict[str, tuple[str, str] | None]:
    return {store: tables.get(_LARGE_OBJECTS) for store, tables in counts.items()}


def _restore_strictly(stage: Stage, database: DatabaseSpec) -> bool | None:
    dump = stage.backup_folder / f"{database.name}.sql"
    if not dump.is_file():
        return True
    script = _STRICT.format(scratch=_SCRATCH, db=database.db_name, no_scratch=_NO_SCRATCH)
    result = stage.cluster.exec(database.pod, ("bash", "-c", script), stdin=dump)
    if result.status == _NO_SCRATCH:
        stage.journal.note(f"no scratch database for the strict restore of {database.name}")
        return None
    return result.status != 0


def _lacks_trailer(stage: Stage, database: DatabaseSpec) -> bool:
    try:
        with (stage.backup_folder / f"{database.name}.sql").open("rb") as dump:
            dump.seek(max(0, dump.seek(0, 2) - _TAIL))
            return _TRAILER not in dump.read()
    except OSError:
        return True


def _refused_by_tar(stage: Stage) -> list[bool]:
    shell = Shell(stage.journal)
    refused = []
    for store in stage.lost:
        if store.kind == "files":
            place = str(stage.backup_folder / store.pod)
            pack = Process(("tar", "-C", place, "-c", "-f", "-", "storage"))
            outcome = shell.run(pack, Process(("tar", "-t", "-f", "-")), accept=None)
            refused.append(any(outcome.statuses))
    return refused


def _fails_sums(stage: Stage) -> bool:
    try:
        manifest = read_manifest(stage.backup_folder)
    except RehearsalError:
        return True
    return _fails_file_sums(stage, manifest) or any(
        _tree_differs(stage.backup_folder / artefact.path, artefact.sha256)
        for artefact in manifest.artefacts
        if artefact.kind == "tree"
    )


def _fails_file_sums(stage: Stage, manifest: Manifest) -> bool:
    lines = "".join(f"{one.sha256}  {one.path}\n" for one in manifest.artefacts if one.kind == "file")
    if not lines:
        return False
    check = Process(("sha256sum", "--status", "-c", "-"), cwd=stage.backup_folder)
    return any(Shell(stage.journal).run(check, stdin=lines.encode(), accept=None).statuses)


def _tree_differs(tree: Path, sha256: str) -> bool:
    return not tree.is_dir() or measure_tree(tree)[1] != sha256


def _read_sums(listing: str) -> list[tuple[str, str]]:
    """Path and SHA-256 of every regular file in a listing of the witness."""
    found = (_SUM_LINE.fullmatch(entry) for entry in listing.split("\0"))
    return [(match[2], match[1]) for match in found if match]
