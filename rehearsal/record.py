"""The record: everything the judge needs to know of one rehearsal, written before anybody judges.

`record.json` and the line files it names are the evidence; the judgement is made from them alone, on any machine, so
an old rehearsal can be judged again by newer checks. The schema is versioned; another version is refused in words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rehearsal.backup_set import ArtefactState, Manifest, write_atomically
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import DatabaseInventory, FilesInventory

RECORD = "record.json"
SCHEMA_VERSION = 1

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
    nonce: MarkState | None = None
    marker: MarkState | None = None
    loss: LossProof | None = None
    claim_end: str | None = None
    """UID of the claim at the end, for stores that were not lost: must equal `claim_start`."""
    claim_start: str | None = None


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

    schema_version: Literal[1] = 1
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
    commands: list[CommandOutcome] = []
    phases: list[PhaseTime] = []
    versions: dict[str, str] = {}
    troubles: list[Trouble] = []
    completed: bool = False
    """True once every phase up to the last inventory was gone through."""

    def store(self, name: str) -> StoreRecord | None:
        return next((store for store in self.stores if store.name == name), None)


def write_record(folder: Path, record: Record) -> None:
    """Write `record.json` into a rehearsal's folder, to a temporary name first."""
    write_atomically(folder / RECORD, record.model_dump_json(indent=1) + "\n")


def read_record(folder: Path) -> Record:
    """Read a rehearsal's record.

    Raises:
        EnvironmentUnfit: there is none (the run died), it was cut or edited, or it has another schema version.
    """
    path = folder / RECORD
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EnvironmentUnfit(
            "no record: the rehearsal died before it wrote one, or this is not a rehearsal's folder",
            where=str(folder),
            hint=f"tail -n 3 {folder / 'journal.jsonl'}",
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EnvironmentUnfit(f"the record is cut short or was edited: {error}", where=str(path)) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise EnvironmentUnfit(
            f"its schema version is {version!r}; this rehearsal reads version {SCHEMA_VERSION}",
            where=str(path),
            hint="judge it with the release that wrote it (its `tool_version` says which)",
        )
    try:
        return Record.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise EnvironmentUnfit(
            f"the record does not fit its schema: {place}: {first['msg']}", where=str(path)
        ) from error
