"""The report as a typed, versioned value: what report.json holds, and what every other form is written from.

Its JSON Schema is published in docs/report.schema.json. A field may be added under the same schema name; one that is
renamed, removed or given another meaning makes a new one (`…/report/2`). Seconds are wall time, sizes bytes, instants
ISO 8601 in UTC. Properties (`failed`, `proven`, …) are the reader's views and are not part of the JSON.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from rehearsal.report.figure import NEVER_MEASURED, ProofFigure
from rehearsal.verdicts import ControlOutcome, Finding, UserLosses, Verdict, weigh

SCHEMA: Final = "chipster-restore-rehearsal/report/1"
USERS_SHOWN: Final = 20
"""Rows of the table of what each user lost; report.json has more."""
NEVER_EVIDENCE: Final = "recorded, never evidence"


class _Part(BaseModel):
    # Every field is always written, so the schema may promise every one.
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, json_schema_serialization_defaults_required=True
    )


class Phase(_Part):
    """A phase: wall seconds, and how many of them the runbook's own commands took; `error` where it broke."""

    name: str
    seconds: float
    command_seconds: float = 0.0
    error: str = ""


class InventorySummary(_Part):
    """A store at a moment, counted; null where a count does not apply to its kind.

    Attributes:
        large_objects: non-NULL references to large objects.
        bytes: of all regular files.
        seconds: how long the inventory took.
    """

    taken_at: str
    seconds: float
    tables: int | None = None
    rows: int | None = None
    large_objects: int | None = None
    files: int | None = None
    directories: int | None = None
    bytes: int | None = None


class StoreSummary(_Part):
    """A store: whether it was lost, what was seeded, and its inventories before the loss and after the restore."""

    name: str
    kind: Literal["database", "files"]
    lost: bool
    seeded: dict[str, int] = {}
    before: InventorySummary | None = None
    after: InventorySummary | None = None


class ArtefactSummary(_Part):
    """A file or directory of the backup set.

    Attributes:
        intact: same size and SHA-256 just before the restore; null: nobody looked again.
    """

    path: str
    kind: Literal["file", "tree"] = "file"
    size: int
    sha256: str
    files: int = 1
    store: str = ""
    source: str = ""
    command: str = ""
    intact: bool | None = None


class RunbookCommand(_Part):
    """A command of the runbook with its exit status and the ERROR lines it printed: recorded, never evidence."""

    phase: str
    store: str
    command: str
    status: int
    error_lines: int
    seconds: float


class TroubleReport(_Part):
    """Something of the harness or its environment that broke; `hint`: what to type next; `log`: where the rest lies."""

    phase: str
    message: str
    where: str = ""
    hint: str = ""
    log: str = ""


class DataLossWindow(_Part):
    """The data-loss window, proven by two writes: this one came back, that one did not.

    Attributes:
        last_write_back: instant of the oldest nonce that came back: all up to then was in the backup.
        first_write_lost: instant of the newest marker that is gone, written just before the loss.
        seconds: between the two; on a real server: the age of the newest backup plus this.
    """

    last_write_back: str
    first_write_lost: str
    seconds: float


class RestoredMoment(_Part):
    """The moment a lost store was restored to: the last heartbeat of the backup that came back with it.

    Attributes:
        beat: its number, counted over all stores.
        at: its instant.
        behind_seconds: from it to the last write before the loss: what the store lost; null: that was not told.
    """

    store: str
    beat: int
    at: str
    behind_seconds: float | None = None


class Overhead(_Part):
    """Seconds of the runbook's own commands, of everything else, and the second by the first (null: no commands)."""

    runbook_seconds: float
    other_seconds: float
    ratio: float | None


class Report(_Part):
    """One rehearsal: what was lost, what came back, what that proves and what it does not.

    Attributes:
        schema_name: in JSON `schema`.
        verdict: the true verdict; a control that was caught says FAIL here and `caught` in `control`.
        headline: the verdict in one sentence.
        command: the command line that repeats it.
        commands_are: how to read `commands`.
        recovery_seconds: from the start of the loss to the end of the last inventory; null for a control and
            unless PASS: what is incomplete has not recovered.
        data_loss: null likewise.
        user_losses: what each user lost; null: nothing, or it could not be told.
        restored_moments: one a store that came back with a heartbeat; skew_seconds: how far they are apart, null for
            fewer than two.
        tool_version: of the release that ran it; `judged_by`: of the one that judged it, at `judged_at`.
        proof: what that judge was measured to catch (`make proof`), and when.
    """

    schema_name: Literal["chipster-restore-rehearsal/report/1"] = Field(default=SCHEMA, alias="schema")
    verdict: Verdict
    headline: str
    scenario: str
    title: str
    run_id: str
    cluster: str
    control: ControlOutcome | None = None
    started: str
    finished: str
    seconds: float
    recovery_seconds: float | None = None
    data_loss: DataLossWindow | None = None
    overhead: Overhead
    user_losses: UserLosses | None = None
    restored_moments: tuple[RestoredMoment, ...] = ()
    skew_seconds: float | None = None
    loss: str
    method: str
    runbook: str
    seed: int
    size: str
    command: str
    troubles: tuple[TroubleReport, ...] = ()
    findings: tuple[Finding, ...]
    does_not_prove: tuple[str, ...]
    not_rehearsed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    phases: tuple[Phase, ...]
    stores: tuple[StoreSummary, ...]
    artefacts: tuple[ArtefactSummary, ...] = ()
    commands_are: Literal["recorded, never evidence"] = NEVER_EVIDENCE
    commands: tuple[RunbookCommand, ...] = ()
    versions: dict[str, str]
    values_sources: tuple[str, ...] = ()
    tool_version: str
    judged_by: str
    judged_at: str
    proof: ProofFigure = NEVER_MEASURED

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.FAIL)

    @property
    def untold(self) -> tuple[Finding, ...]:
        """Findings that tell nothing: INCONCLUSIVE or NOT RUN."""
        return tuple(f for f in self.findings if f.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN))

    @property
    def proven(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.PASS)

    @property
    def lost(self) -> tuple[str, ...]:
        """Names of the stores that were lost."""
        return tuple(store.name for store in self.stores if store.lost)

    @property
    def untold_users(self) -> int:
        """Users who lost something and are not among the `USERS_SHOWN` first."""
        losses = self.user_losses
        return max(0, len(losses.users) - USERS_SHOWN) + losses.more_users if losses else 0

    @property
    def as_wanted(self) -> bool:
        """A rehearsal proper that passed, or a control that was caught."""
        return weigh(self.verdict, self.control, self.findings) is Verdict.PASS


def group_untold(report: Report) -> dict[str, tuple[Finding, ...]]:
    """The untold findings by check, without `completed` where the troubles themselves are shown: it repeats them."""
    groups = group_by_check(report.untold)
    if report.troubles:
        groups.pop("completed", None)
    return groups


def group_by_check(findings: tuple[Finding, ...]) -> dict[str, tuple[Finding, ...]]:
    """Findings by the check's name, both in their first order."""
    groups: dict[str, tuple[Finding, ...]] = {}
    for finding in findings:
        groups[finding.check] = (*groups.get(finding.check, ()), finding)
    return groups
