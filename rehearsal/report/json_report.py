"""From a record and its judgement to a `Report`, and to report.json.

Nothing is judged here: numbers are added up, and the headline says the verdict in words. The record may come from an
older release; the report says who ran it and who judged it.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from rehearsal import __version__
from rehearsal.checks import name_unasked
from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import DatabaseInventory, FilesInventory, Inventory
from rehearsal.record import PhaseTime, Record, StoreRecord
from rehearsal.report.figure import NEVER_MEASURED, ProofFigure
from rehearsal.report.model import (
    SCHEMA,
    ArtefactSummary,
    DataLossWindow,
    InventorySummary,
    Overhead,
    Phase,
    Report,
    RestoredMoment,
    RunbookCommand,
    StoreSummary,
    TroubleReport,
)
from rehearsal.verdicts import ControlOutcome, Judgement, Verdict

REPORT = "report.json"
LOSS_PHASE = "lose"
"""The phase in which the stores are lost has a name that starts so: recovery is measured from its start …"""
INVENTORY_PHASE = "inventory"
"""… to the end of the last phase after it whose name starts so."""


def _summarise_inventory(inventory: Inventory | None) -> InventorySummary | None:
    match inventory:
        case DatabaseInventory():
            lines = [table.large_object_lines for table in inventory.tables.values()]
            return InventorySummary(
                taken_at=inventory.taken_at,
                seconds=inventory.seconds,
                tables=len(inventory.tables),
                rows=sum(table.rows for table in inventory.tables.values()),
                large_objects=sum(file.lines for file in lines if file),
            )
        case FilesInventory():
            return InventorySummary(
                taken_at=inventory.taken_at,
                seconds=inventory.seconds,
                files=inventory.files,
                directories=inventory.directories,
                bytes=inventory.bytes,
            )
        case None:
            return None


def _summarise_store(store: StoreRecord) -> StoreSummary:
    return StoreSummary(
        name=store.name,
        kind=store.kind,
        lost=store.lost,
        seeded=store.seeded,
        before=_summarise_inventory(store.before),
        after=_summarise_inventory(store.after),
    )


def _summarise_artefacts(record: Record) -> tuple[ArtefactSummary, ...]:
    intact = {state.path: state.intact for state in record.artefacts}
    return tuple(
        ArtefactSummary(
            path=artefact.path,
            kind=artefact.kind,
            size=artefact.size,
            sha256=artefact.sha256,
            files=artefact.files,
            store=artefact.store,
            source=artefact.source,
            command=artefact.command,
            intact=intact.get(artefact.path),
        )
        for artefact in (record.manifest.artefacts if record.manifest else ())
    )


def _measure_recovery(phases: list[PhaseTime]) -> float | None:
    """Seconds from the start of the loss to the end of the last inventory; None where one of these phases broke."""
    start = next((n for n, phase in enumerate(phases) if phase.name.startswith(LOSS_PHASE)), None)
    if start is None:
        return None
    ends = [n for n, phase in enumerate(phases) if n > start and phase.name.startswith(INVENTORY_PHASE)]
    if not ends:
        return None
    taken = phases[start : ends[-1] + 1]
    return None if any(phase.error for phase in taken) else round(sum(phase.seconds for phase in taken), 3)


def _measure_data_loss(record: Record) -> DataLossWindow | None:
    """Between the nonces that came back and the markers that did not; None unless every lost store proves both."""
    back: list[datetime] = []
    gone: list[datetime] = []
    for store in record.stores:
        if not store.lost:
            continue
        nonce, marker = store.nonce, store.marker
        if nonce is None or marker is None or nonce.found != nonce.written:
            return None
        if not marker.looked or marker.found is not None:
            return None
        try:
            back.append(datetime.fromisoformat(nonce.written_at))
            gone.append(datetime.fromisoformat(marker.written_at))
        except ValueError:
            return None
    if not back:
        return None
    first, last = min(back), max(gone)
    return DataLossWindow(
        last_write_back=first.isoformat().replace("+00:00", "Z"),
        first_write_lost=last.isoformat().replace("+00:00", "Z"),
        seconds=round((last - first).total_seconds(), 3),
    )


def _find_moments(record: Record) -> tuple[RestoredMoment, ...]:
    """Where each lost store stands, by its heartbeat; a store without one says nothing."""
    moments = []
    for store in record.stores:
        beat, marker = store.heartbeat, store.marker
        if not store.lost or beat is None or beat.found_at is None or beat.found_beat is None:
            continue
        behind = _seconds_between(beat.found_at, marker.written_at) if marker is not None else None
        moments.append(RestoredMoment(store=store.name, beat=beat.found_beat, at=beat.found_at, behind_seconds=behind))
    return tuple(moments)


def _measure_skew(moments: tuple[RestoredMoment, ...]) -> float | None:
    if len(moments) < 2:
        return None
    instants = [moment.at for moment in moments]
    return _seconds_between(min(instants), max(instants))


def _seconds_between(first: str, last: str) -> float | None:
    try:
        return round((datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds(), 3)
    except (ValueError, TypeError):
        return None


def _measure_overhead(phases: list[PhaseTime]) -> Overhead:
    total = sum(phase.seconds for phase in phases)
    runbook = sum(phase.command_seconds for phase in phases)
    ratio = round((total - runbook) / runbook, 3) if runbook else None
    return Overhead(runbook_seconds=round(runbook, 3), other_seconds=round(total - runbook, 3), ratio=ratio)


def _find_control(record: Record, judgement: Judgement) -> ControlOutcome | None:
    """The judge's word on the control; where there is none, the plan stands as not caught."""
    plan = record.control
    if judgement.control is not None or plan is None:
        return judgement.control
    return ControlOutcome(
        tampering=plan.tampering,
        why=plan.why,
        expects_check=plan.expects_check,
        expects_subject=plan.expects_subject,
        caught=False,
    )


def _name_affected(record: Record, judgement: Judgement) -> str:
    """The stores that failing findings speak of, in the record's order."""
    subjects = [finding.subject for finding in judgement.findings if finding.verdict is Verdict.FAIL]
    names = [store.name for store in record.stores]
    return ", ".join(n for n in names if any(s == n or s.startswith(f"{n}:") for s in subjects))


def _word_headline(record: Record, judgement: Judgement) -> str:
    lost = ", ".join(store.name for store in record.stores if store.lost) or "nothing"
    counts = {verdict: sum(f.verdict is verdict for f in judgement.findings) for verdict in Verdict}
    total = len(judgement.findings)
    findings = f"{total} finding" if total == 1 else f"{total} findings"
    control = judgement.control
    match judgement.verdict:
        case Verdict.PASS if control:
            return f"This PASS is worth nothing: damage was done on purpose, and {findings} did not see it."
        case Verdict.PASS:
            return f"Lost and restored: {lost}. What came back equals what was backed up; {findings}, all PASS."
        case Verdict.FAIL:
            affected = _name_affected(record, judgement)
            failed = f"{counts[Verdict.FAIL]} of {findings} FAIL" + (f" in {affected}" if affected else "")
            if control and control.caught:
                return f"Damaged on purpose, and seen: {failed}."
            return f"The backup did not bring everything back as it was: {failed}."
        case Verdict.INCONCLUSIVE:
            return f"Nothing was learnt about this backup: {counts[Verdict.INCONCLUSIVE]} of {findings} not told."
        case Verdict.NOT_RUN:
            return "Nobody tried: this rehearsal did not run."


def build_report(record: Record, judgement: Judgement, judged_at: str, proof: ProofFigure = NEVER_MEASURED) -> Report:
    """The report of one rehearsal; `judged_at`: an instant, ISO 8601."""
    # What is incomplete has not recovered, in however little time; and a control proves nothing about either.
    recovered = judgement.verdict is Verdict.PASS and record.control is None
    moments = _find_moments(record)
    return Report(
        verdict=judgement.verdict,
        headline=_word_headline(record, judgement),
        scenario=record.scenario,
        title=record.title,
        run_id=record.run_id,
        cluster=record.cluster,
        control=_find_control(record, judgement),
        started=record.started,
        finished=record.finished,
        seconds=round(sum(phase.seconds for phase in record.phases), 3),
        recovery_seconds=_measure_recovery(record.phases) if recovered else None,
        data_loss=_measure_data_loss(record) if recovered else None,
        overhead=_measure_overhead(record.phases),
        user_losses=judgement.user_losses,
        restored_moments=moments,
        skew_seconds=_measure_skew(moments),
        loss=record.loss,
        method=record.method,
        runbook=record.runbook,
        seed=record.seed,
        size=record.size,
        command=record.command,
        troubles=tuple(
            TroubleReport(phase=t.phase, message=t.message, where=t.where, hint=t.hint, log=t.log)
            for t in record.troubles
        ),
        findings=judgement.findings,
        does_not_prove=(*record.does_not_prove, *name_unasked(record)),
        not_rehearsed=record.not_rehearsed,
        notes=record.notes,
        phases=tuple(
            Phase(name=p.name, seconds=p.seconds, command_seconds=p.command_seconds, error=p.error)
            for p in record.phases
        ),
        stores=tuple(_summarise_store(store) for store in record.stores),
        artefacts=_summarise_artefacts(record),
        commands=tuple(
            RunbookCommand(
                phase=c.phase,
                store=c.store,
                command=c.command,
                status=c.status,
                error_lines=c.error_lines,
                seconds=c.seconds,
            )
            for c in record.commands
        ),
        versions=record.versions,
        values_sources=record.values_sources,
        tool_version=record.tool_version,
        judged_by=__version__,
        judged_at=judged_at,
        proof=proof,
    )


def render_json(report: Report) -> str:
    """report.json: ASCII, so that no name in it can play tricks on the terminal it is printed to."""
    return json.dumps(report.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=True) + "\n"


def read_report(folder: Path) -> Report:
    """Read the report.json of a rehearsal's folder.

    Raises:
        EnvironmentUnfit: there is none, it cannot be read, or it has another schema.
    """
    path = folder / REPORT
    again = f"rehearsal judge {folder}"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EnvironmentUnfit("there is no report", where=str(path), hint=again) from error
    except ValueError as error:
        raise EnvironmentUnfit(f"the report cannot be read: {error}", where=str(path), hint=again) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise EnvironmentUnfit(f"its schema is {schema!r}, wanted {SCHEMA!r}", where=str(path), hint=again)
    try:
        return Report.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise EnvironmentUnfit(
            f"the report does not fit its schema: {place}: {first['msg']}", where=str(path)
        ) from error
