"""The record: everything the judge needs to know of one rehearsal, written before anybody judges.

`record.json` and the line files it names are the evidence; the judgement is made from them alone, on any machine, so
an old rehearsal can be judged again by newer checks. The schema is versioned (docs/records.md): an older record is
read as it is, what it does not hold is None. The file carries its own SHA-256, and each inventory that of its line
files, so that one that was cut or edited is refused in words.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rehearsal import __version__
from rehearsal.backup_set import ArtefactState, Manifest, write_atomically
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import DatabaseInventory, FilesInventory, LineFile
from rehearsal.journal import JOURNAL, read_last_line

RECORD = "record.json"
SCHEMA_VERSION: Final = 2
"""What is written. Version 1 (the first releases) had no seal; it is read all the same."""
START_SERVICES = "start-services command"
"""Name of the phase that starts the services; a record without it has no settled inventories."""
_SEALED_FROM = 2
_SEAL = "sha256"
_SHOWN = 200

FOLDERS: Final = "empty directories"
"""In `Record.not_carried`."""

AnyInventory = Annotated[DatabaseInventory | FilesInventory, Field(discriminator="kind")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PhaseTime(_Entry):
    """A phase of the rehearsal: wall seconds, and how many of them the runbook's own commands took."""

    name: str
    seconds: float
    command_seconds: float = 0.0
    error: str = ""


class CommandOutcome(_Entry):
    """A command of the runbook: recorded for the reader, never evidence."""

    phase: str
    store: str
    command: str
    status: int
    error_lines: int
    seconds: float


class MarkState(_Entry):
    """A nonce or marker: what was written, and what was found after the restore (None: not there)."""

    kind: Literal["nonce", "marker"]
    place: str
    written: str
    written_at: str
    found: str | None = None
    looked: bool = False


class HeartbeatState(_Entry):
    """Heartbeats written into a store while the backup ran: each a number and an instant, over the one before.

    Attributes:
        beats: how many were written; first_at, last_at: instants of the first and the last.
        found_beat, found_at: the one that was there after the restore; None: none was.
        looked: somebody looked after the restore.
    """

    place: str
    beats: int
    first_at: str
    last_at: str
    found_beat: int | None = None
    found_at: str | None = None
    looked: bool = False


class LossProof(_Entry):
    """What was seen between the loss and the restore.

    Attributes:
        claim_before, claim_after: the claim's UID, None where no claim protects the store.
        leftovers: what the store still held; None: nobody looked.
    """

    claim_name: str
    claim_before: str | None
    claim_after: str | None
    claim_expected_new: bool
    leftovers: tuple[str, ...] | None


class StoreRecord(_Entry):
    """One store in one rehearsal."""

    name: str
    kind: Literal["database", "files"]
    lost: bool
    seeded: dict[str, int] = {}
    before: AnyInventory | None = None
    after: AnyInventory | None = None
    """Taken before anything starts on what was restored."""
    settled: AnyInventory | None = None
    """Taken once the services run again; None: they were not started (`--start-services`)."""
    nonce: MarkState | None = None
    marker: MarkState | None = None
    heartbeat: HeartbeatState | None = None
    loss: LossProof | None = None
    set_lines: LineFile | None = None
    """What the intact backup set held of a file-storage just before the restore, a line per directory and file, sorted:
    `[path, type, size, sha256]` as in a `FilesInventory`. None: the set has no such tree, or was damaged."""
    claim_end: str | None = None
    """UID of the claim at the end, for stores that were not lost: must equal `claim_start`."""
    claim_start: str | None = None


OTHER_CONTENT = "the file that came out has the listed size, but another SHA-512"
"""What a method says of a file that was written over while its set was made; a check knows it from other damage so."""


class SetRemarkState(_Entry):
    """What the method's own verification said of the set, before the loss; see `roles.SetRemark`."""

    sound: bool | None
    subject: str
    message: str
    details: tuple[str, ...] = ()


class ControlPlan(_Entry):
    """What a control damages, why, and the finding that must catch it."""

    tampering: str
    why: str
    expects_check: str
    expects_subject: str
    damaged: tuple[str, ...] = ()
    """What was damaged, named while it was done: the catching finding's subject must contain each."""


class Trouble(_Entry):
    """Something of ours that broke: the phase, what was said, and where the traceback lies."""

    phase: str
    message: str
    where: str = ""
    hint: str = ""
    log: str = ""


class Record(_Entry):
    """One rehearsal, as it happened."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    """As it was written: a check that wants what an older version did not hold has nothing to say."""
    tool_version: str
    run_id: str
    scenario: str
    title: str
    started: str
    finished: str = ""
    command: str
    """The command line to repeat it."""
    cluster: str
    does_not_prove: tuple[str, ...]
    seed: int
    size: str
    method: str
    runbook: str
    not_carried: tuple[str, ...] = ()
    """What a backup by this method does not hold by its nature, such as `empty directories`: told, never a loss."""
    loss: str
    control: ControlPlan | None = None
    values_sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """For the reader: databases that are disabled, claims that do not exist, passwords that were generated."""
    not_rehearsed: tuple[str, ...] = ()
    stores: list[StoreRecord] = []
    manifest: Manifest | None = None
    artefacts: tuple[ArtefactState, ...] = ()
    """The set as it was found just before the restore."""
    set_remarks: tuple[SetRemarkState, ...] = ()
    """What the method's own verification said of it; () where it has none."""
    commands: list[CommandOutcome] = []
    phases: list[PhaseTime] = []
    versions: dict[str, str] = {}
    troubles: list[Trouble] = []
    completed: bool = False
    """True once every phase up to the last inventory was gone through."""

    def store(self, name: str) -> StoreRecord | None:
        return next((store for store in self.stores if store.name == name), None)


def _make_seal(facts: dict[str, Any]) -> str:
    """SHA-256, hex, of a record as canonical JSON: keys sorted, no blanks, ASCII."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def write_record(folder: Path, record: Record) -> None:
    """Write `record.json`, sealed, into a rehearsal's folder, to a temporary name first."""
    facts = json.loads(record.model_dump_json())
    sealed = {_SEAL: _make_seal(facts), **facts}
    write_atomically(folder / RECORD, json.dumps(sealed, indent=1, ensure_ascii=False) + "\n")


def read_record(folder: Path) -> Record:
    """Read a rehearsal's record.

    Raises:
        EnvironmentUnfit: there is none (the run died), it was cut or edited, or it has another schema version.
    """
    path = folder / RECORD
    facts = _load(path)
    seal = facts.pop(_SEAL, None)
    version = facts.get("schema_version")
    if type(version) is not int:
        raise EnvironmentUnfit(
            "it names no schema version: it is no record of a rehearsal, or was edited",
            where=str(path),
            hint="judge the record as it was written, from a copy; or rehearse again",
        )
    if not 1 <= version <= SCHEMA_VERSION:
        raise EnvironmentUnfit(
            f"its schema version is {version}; release {__version__} reads versions 1 to {SCHEMA_VERSION}",
            where=str(path),
            hint=f"judge it with release {facts.get('tool_version')}, which wrote it, or later",
        )
    if seal != _make_seal(facts) and (seal is not None or version >= _SEALED_FROM):
        raise EnvironmentUnfit(
            "the record was edited after it was written: its own SHA-256 is "
            f"{'another one' if seal is not None else 'gone'}",
            where=str(path),
            hint="judge the record as it was written, from a copy; or rehearse again: an edited record proves nothing",
        )
    try:
        return Record.model_validate_json(json.dumps(facts), strict=True)
    except ValidationError as error:
        raise _explain_misfit(error, facts, path) from error


def _load(path: Path) -> dict[str, Any]:
    """The JSON object in a record's file."""
    try:
        raw = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise _explain_absence(path.parent) from error
    except OSError as error:
        raise EnvironmentUnfit(f"the record cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise EnvironmentUnfit(
            f"the record is cut short or was edited: {error}",
            where=str(path),
            hint="judge the record as it was written, from a copy; or rehearse again",
        ) from error
    if not isinstance(raw, dict):
        raise EnvironmentUnfit("it is no record: it holds no JSON object", where=str(path))
    return raw


def _explain_absence(folder: Path) -> EnvironmentUnfit:
    """What a folder without a record is: a run that died (or is still on), or something else altogether."""
    journal = folder / JOURNAL
    try:
        last = read_last_line(journal)
    except OSError:
        return EnvironmentUnfit(
            "neither a record nor a journal: this is not a rehearsal's folder",
            where=str(folder),
            hint="give a run's folder, such as runs/latest, or a scenario's folder in it",
        )
    what = "no record: the rehearsal died before it wrote one, or is still on"
    if last:
        said = next((last[key] for key in ("error", "message", "command", "state", "name") if last.get(key)), "")
        said = f"{last.get('event', '')} {said}".strip()
        said = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
        what += f"; its journal ends at {last.get('at', '?')} in phase {last.get('phase') or '(none)'!r}: {said}"
    else:
        what += "; its journal is empty"
    return EnvironmentUnfit(what, where=str(folder), hint=f"tail -n 3 {journal}; then rehearse again")


def _explain_misfit(error: ValidationError, facts: dict[str, Any], path: Path) -> EnvironmentUnfit:
    """The first place that does not fit, in words; a field nobody knows here was written by a later release."""
    unknown = next((found for found in error.errors() if found["type"] == "extra_forbidden"), None)
    first = unknown or error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if unknown is None:
        return EnvironmentUnfit(
            f"the record does not fit its schema: {place}: {first['msg']}",
            where=str(path),
            hint="judge the record as it was written, from a copy; or rehearse again",
        )
    return EnvironmentUnfit(
        f"release {__version__} does not know its field {place}",
        where=str(path),
        hint=f"judge it with release {facts.get('tool_version')}, which wrote it, or later",
    )
