"""The report of a rehearsal, in five forms, and the summary of a run.

`write_reports` turns a record and its judgement into report.json, report.md, report.html, junit.xml and metrics.prom
beside the record; `write_run_summary` writes summary.json, summary.md and index.html for several rehearsals of one run.
Only facts and verdicts are imported here: a report is made on any machine, without a cluster.
"""

from __future__ import annotations

from pathlib import Path

from rehearsal.backup_set import write_atomically
from rehearsal.journal import Redactor, now
from rehearsal.record import Record
from rehearsal.report.figure import read_figure
from rehearsal.report.html import render_html
from rehearsal.report.json_report import REPORT, build_report, read_report, render_json
from rehearsal.report.junit import render_junit
from rehearsal.report.markdown import render_markdown
from rehearsal.report.metrics import render_metrics
from rehearsal.report.model import Report
from rehearsal.report.redaction import clean_model
from rehearsal.report.summary import write_run_summary
from rehearsal.verdicts import Judgement

__all__ = ["REPORT", "Report", "read_report", "write_reports", "write_run_summary"]


def write_reports(
    folder: Path,
    record: Record,
    judgement: Judgement,
    *,
    redactor: Redactor | None = None,
    judged_at: str | None = None,
) -> Report:
    """Write every form of the report into a rehearsal's folder, report.json last.

    Args:
        folder: the rehearsal's folder, which holds its record.
        redactor: takes secrets out of every string once more; None: nothing is known to be secret.
        judged_at: the instant of the judgement, ISO 8601; None: now.

    Raises:
        EnvironmentUnfit: the disk is full or the folder cannot be written.
    """
    report = clean_model(build_report(record, judgement, judged_at or now(), read_figure()), redactor or Redactor())
    write_atomically(folder / "report.md", render_markdown(report))
    write_atomically(folder / "report.html", render_html(report))
    write_atomically(folder / "junit.xml", render_junit(report))
    write_atomically(folder / "metrics.prom", render_metrics(report))
    write_atomically(folder / REPORT, render_json(report))
    return report
