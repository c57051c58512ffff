"""The figure beside the verdict: measured, measured in another version, or never."""

from __future__ import annotations

import json
from pathlib import Path

from samples import good_findings, make_judgement, make_record

from rehearsal.report.figure import NEVER_MEASURED, read_figure
from rehearsal.report.html import render_html
from rehearsal.report.json_report import build_report, render_json
from rehearsal.report.markdown import render_markdown

PROOF = {
    "schema_version": 1,
    "date": "2026-11-23",
    "tool_version": "1.2",
    "killed": 7,
    "named": 6,
    "runs": 8,
    "benign_green": 40,
    "benign_runs": 41,
    "operators": [{"name": "a", "runs": 4}, {"name": "b", "runs": 4}],
    "more": "of a later release",
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "proof.json"
    path.write_text(json.dumps(PROOF | changes))
    return path


def test_a_measured_judge_says_its_figure_and_date(tmp_path: Path) -> None:
    figure = read_figure(write(tmp_path), "1.2")
    assert figure.state == "measured"
    assert (figure.operators, figure.runs, figure.killed, figure.named) == (2, 8, 7, 6)
    assert figure.says == (
        "this judge found 7 of 8 damaged restores, 6 by name, and kept 40 of 41 harmless ones green (2026-11-23)"
    )


def test_another_version_says_so(tmp_path: Path) -> None:
    figure = read_figure(write(tmp_path), "1.3")
    assert figure.state == "another version"
    assert figure.says.endswith("; measured with 1.2, not with 1.3")


def test_no_file_is_never_measured(tmp_path: Path) -> None:
    assert read_figure(tmp_path / "none.json") == NEVER_MEASURED
    assert NEVER_MEASURED.says.startswith("the judge was never measured")


def test_a_file_that_cannot_be_read_is_never_measured(tmp_path: Path) -> None:
    for broken in (write(tmp_path, schema_version=2), write(tmp_path, killed="many")):
        figure = read_figure(broken)
        assert figure.state == "never measured"
        assert "cannot be read" in figure.says
    (tmp_path / "proof.json").write_text("{")
    assert read_figure(tmp_path / "proof.json").state == "never measured"


def test_every_form_of_the_report_carries_it(tmp_path: Path) -> None:
    figure = read_figure(write(tmp_path), "1.2")
    never = build_report(make_record(), make_judgement(*good_findings()), "2026-11-23T00:00:00.000Z")
    report = never.model_copy(update={"proof": figure})
    assert json.loads(render_json(report))["proof"]["killed"] == 7
    assert figure.says in render_html(report)
    assert figure.says in render_markdown(report)
    assert "the judge was never measured" in render_html(never)
