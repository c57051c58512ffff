"""report.md: the same order as the page, for a ticket, a wiki or a terminal. The layout lies in templates/report.md."""

from __future__ import annotations

import re

from rehearsal.report.model import Report, group_by_check, group_untold
from rehearsal.report.pages import markdown_pages


def render_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown."""
    text = (
        markdown_pages()
        .get_template("report.md")
        .render(
            report=report,
            failed=group_by_check(report.failed),
            untold=group_untold(report),
            proven=group_by_check(report.proven),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
