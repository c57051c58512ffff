"""The summary of a run: the worst verdict, and no green from controls or from nothing."""

from __future__ import annotations

import json

import pytest
from samples import (
    JUDGED_AT,
    broken_findings,
    broken_record,
    control_judgement,
    control_record,
    damaged_findings,
    good_findings,
    make_judgement,
    make_record,
)

from rehearsal.report import write_run_summary
from rehearsal.report.json_report import build_report
from rehearsal.report.summary import build_summary
from rehearsal.verdicts import Verdict

PASSED = build_report(make_record(), make_judgement(*good_findings()), JUDGED_AT)
FAILED = build_report(make_record(scenario="lose-auth"), make_judgement(*damaged_findings()), JUDGED_AT)
BROKEN = build_report(broken_record(), make_judgement(*broken_findings()), JUDGED_AT)
CAUGHT = build_report(control_record(), control_judgement(caught=True), JUDGED_AT)
MISSED = build_report(control_record(), control_judgement(caught=False), JUDGED_AT)


@pytest.mark.parametrize(
    ("reports", "verdict"),
    [
        ((PASSED, CAUGHT), Verdict.PASS),
        ((PASSED, FAILED), Verdict.FAIL),
        ((PASSED, BROKEN), Verdict.INCONCLUSIVE),
        ((BROKEN, FAILED), Verdict.FAIL),
        ((PASSED, MISSED), Verdict.INCONCLUSIVE),
        ((FAILED, MISSED), Verdict.FAIL),
        ((CAUGHT,), Verdict.PASS),
        ((MISSED,), Verdict.INCONCLUSIVE),
        ((), Verdict.INCONCLUSIVE),
    ],
)
def test_verdict_of_a_run(reports, verdict):
    assert build_summary("run", reports).verdict is verdict


def test_headline_counts_rehearsals_and_controls_apart():
    summary = build_summary("run", (PASSED, PASSED, FAILED, CAUGHT, MISSED))
    assert summary.headline == "Rehearsals: 1 FAIL, 2 PASS. Controls caught: 1 of 2."
    assert (summary.controls, summary.controls_caught) == (2, 1)
    assert (
        build_summary("run", (CAUGHT,)).headline
        == "Rehearsals: none, so nothing is said about a backup. Controls caught: 1 of 1."
    )
    assert build_summary("run", (PASSED,)).headline == "Rehearsals: 1 PASS. No control ran."


def test_three_files_are_written(tmp_path):
    folder = tmp_path / "run-7"
    folder.mkdir()
    assert write_run_summary(folder, (PASSED, FAILED, CAUGHT)) == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {"summary.json", "summary.md", "index.html"}
    raw = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert raw["schema"] == "chipster-restore-rehearsal/run-summary/1"
    assert (raw["run_id"], raw["verdict"], raw["seconds"]) == ("run-7", "FAIL", 86.76)
    assert [entry["verdict"] for entry in raw["entries"]] == ["PASS", "FAIL", "FAIL"]
    assert raw["entries"][1]["report"] == "lose-auth/report.html"
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert "| `lose-auth` | FAIL |  | – | 28.9 s | [report](lose-auth/report.html) |" in text
    assert "| `control-row-changed` | FAIL | caught, by `rows` |" in text


def test_index_links_to_each_report_and_says_verdicts_in_words(tmp_path):
    write_run_summary(tmp_path, (PASSED, BROKEN, MISSED))
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    for piece in (
        "lose-everything/report.html",
        "control-row-changed/report.html",
        "✓ PASS",
        "? INCONCLUSIVE",
        "✗ NOT CAUGHT",
    ):
        assert piece in html


def test_odd_scenario_name_is_text_and_a_safe_link(tmp_path):
    odd = 'a"><script>x)\n'
    write_run_summary(tmp_path, (PASSED.model_copy(update={"scenario": odd, "title": odd, "cluster": odd}),))
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>x" not in html
    assert 'href="a%22%3E%3Cscript%3Ex%29%0A/report.html"' in html
    assert "[report](a%22%3E%3Cscript%3Ex%29%0A/report.html)" in (tmp_path / "summary.md").read_text(encoding="utf-8")
