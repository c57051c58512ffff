"""metrics.prom, for the textfile collector of Prometheus' node exporter: copy it to its directory after each run.

Alert on `chipster_rehearsal_as_wanted == 0`, and on a `…_finished_timestamp_seconds` that has become too old: a
rehearsal that no longer runs proves nothing either. Format: Prometheus' text-based exposition, without timestamps.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rehearsal.report.model import Report
from rehearsal.report.words import make_visible
from rehearsal.verdicts import Verdict

_PREFIX = "chipster_rehearsal_"
Sample = tuple[dict[str, str], float]


def _quote(value: str) -> str:
    return '"' + make_visible(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_metric(name: str, meaning: str, samples: list[Sample], common: dict[str, str]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {_PREFIX}{name} {meaning}"
    yield f"# TYPE {_PREFIX}{name} gauge"
    for labels, value in samples:
        shown = ",".join(f"{key}={_quote(text)}" for key, text in (common | labels).items())
        yield f"{_PREFIX}{name}{{{shown}}} {value:.3f}".removesuffix(".000")


def _read_instant(instant: str) -> list[Sample]:
    try:
        at = datetime.fromisoformat(instant)
    except ValueError:
        return []
    return [({}, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())]


def _measured(seconds: float | None) -> list[Sample]:
    return [] if seconds is None else [({}, seconds)]


def _sum_phases(report: Report) -> list[Sample]:
    """Seconds by phase; phases of one name are added up, for a series may stand in the file only once."""
    seconds: dict[str, float] = {}
    for phase in report.phases:
        seconds[phase.name] = seconds.get(phase.name, 0.0) + phase.seconds
    return [({"phase": name}, value) for name, value in seconds.items()]


def render_metrics(report: Report) -> str:
    """The report as metrics; what was not measured is left out, never written as 0."""
    control = report.control.tampering if report.control else ""
    common = {"scenario": report.scenario, "cluster": report.cluster, "control": control}
    counts = [({"verdict": v.value}, float(sum(f.verdict is v for f in report.findings))) for v in Verdict]
    verdicts = [({"verdict": v.value}, float(report.verdict is v)) for v in Verdict]
    differences = float(sum(len(finding.details) or 1 for finding in report.failed))
    loss = report.data_loss.seconds if report.data_loss else None
    metrics: tuple[tuple[str, str, list[Sample]], ...] = (
        ("as_wanted", "1: it passed, or it is a control and was caught.", [({}, float(report.as_wanted))]),
        ("verdict", "1 for the verdict of this rehearsal, 0 for the others.", verdicts),
        ("findings", "Findings by verdict.", counts),
        (
            "differences_named",
            "Differences that failing findings name; the rest are counted in words.",
            [({}, differences)],
        ),
        ("seconds", "Wall time of all phases.", [({}, report.seconds)]),
        ("phase_seconds", "Wall time by phase.", _sum_phases(report)),
        ("runbook_seconds", "Wall time of the runbook's own commands.", [({}, report.overhead.runbook_seconds)]),
        (
            "recovery_seconds",
            "From the start of the loss to the end of the last inventory.",
            _measured(report.recovery_seconds),
        ),
        ("data_loss_window_seconds", "From the last write that came back to the first that did not.", _measured(loss)),
        ("started_timestamp_seconds", "When it started.", _read_instant(report.started)),
        ("finished_timestamp_seconds", "When it ended.", _read_instant(report.finished)),
    )
    lines: list[str] = []
    for name, meaning, samples in metrics:
        lines += _write_metric(name, meaning, samples, common)
    return "\n".join(lines) + "\n"
