"""The judge: every check over one record, and the worst finding's verdict.

A check that raises is INCONCLUSIVE and does not stop the others; a record that no check had anything to say about is
INCONCLUSIVE too: nothing is green by default. A control keeps its true verdict and is told whether it was caught.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rehearsal.checks import CHECKS, Check, Evidence, find_user_losses
from rehearsal.errors import RehearsalError
from rehearsal.record import Record
from rehearsal.verdicts import ControlOutcome, Finding, Judgement, UserLosses, Verdict, worst


def _run_check(name: str, check: Check, evidence: Evidence) -> tuple[Finding, ...]:
    try:
        return tuple(check(evidence))
    except RehearsalError as error:
        message = f"could not be judged: {error.what}"
        told = (("where", error.where), ("next", error.hint))
        details = tuple(f"{word}: {text}" for word, text in told if text)
    except Exception as error:  # noqa: BLE001 - a crashed check must not hide the others, nor look green
        log = evidence.folder / "logs" / f"check-{name}.txt"
        message, details = f"the check itself crashed: {error!r}", (f"traceback: logs/{log.name}",)
        try:
            log.parent.mkdir(exist_ok=True)
            log.write_text(traceback.format_exc(), encoding="utf-8")
        except OSError:
            details = ("its traceback could not be written",)
    return (
        Finding(
            check=name,
            verdict=Verdict.INCONCLUSIVE,
            subject=evidence.record.scenario,
            message=message,
            details=details,
        ),
    )


def _judge_control(record: Record, findings: Iterable[Finding]) -> ControlOutcome | None:
    plan = record.control
    if plan is None:
        return None
    wanted = (plan.expects_subject, *plan.damaged)
    caught = any(
        finding.check == plan.expects_check
        and finding.verdict is Verdict.FAIL
        and all(piece in finding.subject for piece in wanted)
        for finding in findings
    )
    return ControlOutcome(
        tampering=plan.tampering,
        why=plan.why,
        expects_check=plan.expects_check,
        expects_subject=" ".join(_without_repeats(wanted)),
        caught=caught,
    )


def _without_repeats(pieces: Sequence[str]) -> Iterator[str]:
    """The pieces of a name, without those that another one begins with: for the reader."""
    for number, piece in enumerate(pieces):
        if piece and not any(other.startswith(piece) for other in pieces[number + 1 :]):
            yield piece


def _tabulate_user_losses(evidence: Evidence) -> UserLosses | None:
    """None also where it cannot be told: the check that could not tell is a finding of its own."""
    try:
        return find_user_losses(evidence)
    except Exception:  # noqa: BLE001 - the table repeats what the checks find, and they say what broke
        return None


def judge(record: Record, folder: Path) -> Judgement:
    """Judge a rehearsal from its record and the evidence files in its folder.

    Args:
        record: as `read_record` gives it.
        folder: the rehearsal's folder; a crashed check leaves its traceback in `logs/` there.
    """
    evidence = Evidence(record, folder)
    findings = tuple(finding for name, check in CHECKS.items() for finding in _run_check(name, check, evidence))
    return Judgement(
        verdict=worst(finding.verdict for finding in findings),
        findings=findings,
        control=_judge_control(record, findings),
        user_losses=_tabulate_user_losses(evidence),
    )
