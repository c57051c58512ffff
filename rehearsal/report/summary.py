"""The summary of a run: every rehearsal of it on one page, with links to the reports.

The run's verdict is the worst of what its rehearsals mean for it (`verdicts.weigh`): a control that was caught is as it
should be, one that was not makes the run INCONCLUSIVE, for then a PASS beside it says little.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from rehearsal import __version__
from rehearsal.backup_set import write_atomically
from rehearsal.report.model import Report
from rehearsal.report.pages import html_pages, markdown_pages
from rehearsal.verdicts import ControlOutcome, Verdict, weigh, worst

SUMMARY = "summary.json"
SCHEMA: Final = "chipster-restore-rehearsal/run-summary/1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SummaryEntry(_Part):
    """One rehearsal of the run; `report` is its page, relative to the run's folder."""

    scenario: str
    title: str
    verdict: Verdict
    headline: str
    seconds: float
    recovery_seconds: float | None
    failed: int
    untold: int
    proven: int
    control: ControlOutcome | None
    report: str


class RunSummary(_Part):
    """All rehearsals of a run, in the order they ran; in JSON `schema_name` is `schema`."""

    schema_name: Literal["chipster-restore-rehearsal/run-summary/1"] = Field(default=SCHEMA, alias="schema")
    run_id: str
    verdict: Verdict
    headline: str
    clusters: tuple[str, ...]
    started: str
    finished: str
    seconds: float
    controls: int
    controls_caught: int
    does_not_prove: tuple[str, ...]
    commands: tuple[str, ...]
    tool_version: str
    entries: tuple[SummaryEntry, ...]

    @property
    def proper(self) -> tuple[SummaryEntry, ...]:
        return tuple(entry for entry in self.entries if entry.control is None)

    @property
    def tampered(self) -> tuple[SummaryEntry, ...]:
        return tuple(entry for entry in self.entries if entry.control is not None)


def _word_headline(reports: Sequence[Report]) -> str:
    proper = [report for report in reports if report.control is None]
    counts = {v: sum(report.verdict is v for report in proper) for v in reversed(Verdict)}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    said = said or "none, so nothing is said about a backup"
    controls = [report.control.caught for report in reports if report.control]
    caught = f" Controls caught: {sum(controls)} of {len(controls)}." if controls else " No control ran."
    return f"Rehearsals: {said}.{caught}"


def _unique(items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def build_summary(run_id: str, reports: Sequence[Report], *, tidy: bool = True) -> RunSummary:
    """Add up the reports of one run; not `tidy`: something it created is left, so it is INCONCLUSIVE at best."""
    left = [] if tidy else [Verdict.INCONCLUSIVE]
    controls = [report.control.caught for report in reports if report.control]
    return RunSummary(
        run_id=run_id,
        verdict=worst([*left, *(weigh(report.verdict, report.control, report.findings) for report in reports)]),
        headline=_word_headline(reports),
        clusters=_unique([report.cluster for report in reports]),
        started=min((report.started for report in reports), default=""),
        finished=max((report.finished for report in reports), default=""),
        seconds=round(sum(report.seconds for report in reports), 3),
        controls=len(controls),
        controls_caught=sum(controls),
        does_not_prove=_unique([line for report in reports for line in report.does_not_prove]),
        commands=_unique([report.command for report in reports]),
        tool_version=__version__,
        entries=tuple(
            SummaryEntry(
                scenario=report.scenario,
                title=report.title,
                verdict=report.verdict,
                headline=report.headline,
                seconds=report.seconds,
                recovery_seconds=report.recovery_seconds,
                failed=len(report.failed),
                untold=len(report.untold),
                proven=len(report.proven),
                control=report.control,
                report=f"{report.scenario}/report.html",
            )
            for report in reports
        ),
    )


def write_run_summary(run_folder: Path, entries: Sequence[Report], *, tidy: bool = True) -> Path:
    """Write summary.md, index.html and, last, summary.json into a run's folder.

    Args:
        run_folder: RUNS/<run id>; every report lies in the folder of its scenario's name below it.
        entries: the reports in the order they ran.
        tidy: False when something that the run created could not be removed.

    Returns:
        path of index.html.
    """
    summary = build_summary(run_folder.name, entries, tidy=tidy)
    index = run_folder / "index.html"
    write_atomically(run_folder / "summary.md", markdown_pages().get_template("summary.md").render(summary=summary))
    write_atomically(index, html_pages().get_template("index.html").render(summary=summary))
    text = json.dumps(summary.model_dump(mode="json", by_alias=True), indent=1)
    write_atomically(run_folder / SUMMARY, text + "\n")
    return index
