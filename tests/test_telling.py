"""What a person reads: no check's findings hide another's, and a control says what caught it."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from record_builder import make_record

from rehearsal.report.json_report import build_report
from rehearsal.run import Performed
from rehearsal.scenario_files import default_folder, load_scenarios
from rehearsal.telling import LivePhases, tell_findings, tell_outcome_and_reason
from rehearsal.verdicts import Finding, Judgement, Verdict


def find(check: str, verdict: Verdict, subject: str = "s") -> Finding:
    return Finding(check=check, verdict=verdict, subject=subject, message="m")


def test_many_differences_of_one_check_do_not_hide_another() -> None:
    findings = [find("schema", Verdict.FAIL, str(number)) for number in range(30)] + [
        find("files", Verdict.FAIL, "path")
    ]
    lines = tell_findings(Judgement(verdict=Verdict.FAIL, findings=tuple(findings)))
    assert lines == [
        "FAIL schema: 0: m",
        "FAIL schema: 1: m",
        "FAIL schema: 2: m",
        "FAIL schema: 3: m",
        "     … and 26 more of schema, in the report",
        "FAIL files: path: m",
    ]


def test_after_a_trouble_the_rest_is_only_named() -> None:
    findings = (
        find("completed", Verdict.INCONCLUSIVE, "restore"),
        find("rows", Verdict.INCONCLUSIVE),
        find("rows", Verdict.INCONCLUSIVE),
        find("files", Verdict.INCONCLUSIVE),
    )
    assert tell_findings(Judgement(verdict=Verdict.INCONCLUSIVE, findings=findings)) == [
        "INCONCLUSIVE completed: restore: m",
        "so these could not be judged: rows, files",
    ]


def test_without_a_trouble_what_could_not_be_judged_is_told_in_full() -> None:
    findings = (find("rows", Verdict.INCONCLUSIVE), find("files", Verdict.PASS))
    lines = tell_findings(Judgement(verdict=Verdict.INCONCLUSIVE, findings=findings))
    assert lines == ["INCONCLUSIVE rows: s: m"]


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ({"event": "phase", "phase": "back up", "state": "started"}, ""),
        (
            {"event": "phase", "phase": "back up", "state": "finished", "seconds": 1.25},
            "  back up                   1.25 s\n",
        ),
        (
            {"event": "phase", "phase": "back up", "state": "failed", "seconds": 2},
            "  back up                   2.00 s  did not finish\n",
        ),
        ({"event": "progress", "phase": "back up", "message": "tar: 3 s, 5 MB out"}, ""),
        ({"event": "command", "phase": "back up"}, ""),
    ],
)
def test_phases_without_a_terminal_are_a_line_each(line: Mapping[str, Any], printed: str) -> None:
    out = StringIO()
    LivePhases(out)(line)
    assert out.getvalue() == printed


def test_on_a_terminal_a_long_phase_shows_its_progress() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    phases = LivePhases(out)
    phases({"event": "phase", "phase": "restore", "state": "started"})
    phases({"event": "progress", "phase": "restore", "message": "psql: 3 s, 5 MB in"})
    phases({"event": "phase", "phase": "restore", "state": "finished", "seconds": 4})
    shown = [part.partition("\x1b[K")[2] for part in out.getvalue().split("\r")[1:]]
    assert [" ".join(part.split()) for part in shown] == ["restore …", "restore … psql: 3 s, 5 MB in", "restore 4.00 s"]


@pytest.mark.parametrize(
    ("verdict", "findings", "below"),
    [
        (Verdict.PASS, (find("rows", Verdict.PASS),), []),
        (Verdict.FAIL, (find("rows", Verdict.PASS), find("rows", Verdict.FAIL)), ["FAIL rows: s: m"]),
        (
            Verdict.INCONCLUSIVE,
            (find("rows", Verdict.INCONCLUSIVE), find("completed", Verdict.INCONCLUSIVE, "deploy")),
            ["INCONCLUSIVE completed: deploy: m"],
        ),
    ],
)
def test_the_end_says_why_a_rehearsal_is_not_green(
    verdict: Verdict, findings: tuple[Finding, ...], below: list[str], tmp_path: Path
) -> None:
    report = build_report(
        make_record(tmp_path), Judgement(verdict=verdict, findings=findings), "2026-04-30T01:12:00.000Z"
    )
    told = tell_outcome_and_reason(Performed(load_scenarios(default_folder())[0], tmp_path, report))
    assert told[0].split()[:2] == [str(verdict), report.scenario]
    assert [line.strip() for line in told[1:]] == below
