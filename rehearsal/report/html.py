"""report.html: one self-contained page, without a script or an outside resource, for a screen, a phone or paper.

The layout lies in templates/report.html and style.css; only the bars of the timeline are worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.report.model import Phase, Report, group_by_check, group_untold
from rehearsal.report.pages import html_pages


@dataclass(frozen=True)
class Bar:
    """A phase on the timeline: where its bar starts, how wide it is and how wide the runbook's part, in per cent."""

    phase: Phase
    start: float
    width: float
    runbook: float


def lay_out_bars(phases: tuple[Phase, ...]) -> list[Bar]:
    """Bars one after the other over 100 per cent; every bar has a visible width, however short its phase."""
    total = sum(phase.seconds for phase in phases) or 1.0
    bars, start = [], 0.0
    for phase in phases:
        width = 100 * phase.seconds / total
        part = min(1.0, phase.command_seconds / phase.seconds) if phase.seconds else 0.0
        shown = max(width, 0.4)
        bars.append(Bar(phase, round(min(start, 100 - shown), 2), round(shown, 2), round(100 * part, 1)))
        start += width
    return bars


def render_html(report: Report) -> str:
    """The report as one HTML page."""
    return (
        html_pages()
        .get_template("report.html")
        .render(
            report=report,
            failed=group_by_check(report.failed),
            untold=group_untold(report),
            proven=group_by_check(report.proven),
            bars=lay_out_bars(report.phases),
        )
    )
