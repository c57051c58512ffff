"""What a person reads while and after a run: live phases, one line a scenario, the findings that matter.

Both faces print through here. Nothing is decided: it only words what journals and reports say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from rehearsal.errors import hint_clean
from rehearsal.verdicts import Finding, Judgement, Verdict

if TYPE_CHECKING:  # listing scenarios and judging again do without them
    from rehearsal.report import Report
    from rehearsal.run import Performed

_SHOWN = 4
NAME_WIDTH = 30
"""Of the longest scenario that ships."""


class LivePhases:
    """A journal listener that shows the phase that is on and how long each took.

    On a terminal the running phase is shown at once and its time filled in; elsewhere, and where several rehearsals go
    on at the same time, a line is printed when it ends, with its `scenario`.
    """

    def __init__(self, out: TextIO | None = None, scenario: str = "") -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty() and not scenario
        self._scenario = f"{scenario:<{NAME_WIDTH}} " if scenario else ""

    def __call__(self, line: Mapping[str, Any]) -> None:
        if line["event"] == "phase":
            self._tell_phase(str(line["phase"]), str(line["state"]), float(line.get("seconds", 0.0)))
        elif line["event"] == "progress":
            self._tell_progress(str(line["phase"]), str(line["message"]))

    def _tell_phase(self, phase: str, state: str, seconds: float) -> None:
        if state == "started":
            if self._live:
                self._print(f"\r\x1b[K  {phase:<22} …", end="")
        else:
            mark = "" if state == "finished" else "  did not finish"
            start = "\r\x1b[K" if self._live else ""
            self._print(f"{start}  {self._scenario}{phase:<22} {seconds:7.2f} s{mark}")

    def _tell_progress(self, phase: str, message: str) -> None:
        if self._live:
            self._print(f"\r\x1b[K  {phase:<22} … {message}", end="")

    def _print(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._out, flush=True)


def _tell(finding: Finding) -> list[str]:
    head = f"{finding.verdict} {finding.check}: {finding.subject}: {finding.message}"
    return [head, *(f"    {detail}" for detail in finding.details[:_SHOWN])]


def _tell_by_check(findings: Iterable[Finding]) -> Iterator[str]:
    """The first findings of every check, the rest of each counted: none hides another."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.check, []).append(finding)
    for check, group in groups.items():
        for finding in group[:_SHOWN]:
            yield from _tell(finding)
        if len(group) > _SHOWN:
            yield f"     … and {len(group) - _SHOWN} more of {check}, in the report"


def tell_findings(judged: Report | Judgement) -> list[str]:
    """The findings that are not PASS, worst first; what could not be judged after a trouble is only counted."""
    failed = [finding for finding in judged.findings if finding.verdict is Verdict.FAIL]
    untold = [finding for finding in judged.findings if finding.verdict not in (Verdict.FAIL, Verdict.PASS)]
    troubles = [finding for finding in untold if finding.check == "completed"]
    followed = [finding for finding in untold if finding.check != "completed"] if troubles else []
    lines = list(_tell_by_check([*failed, *(troubles or untold)]))
    if followed:
        lines.append(f"so these could not be judged: {', '.join(dict.fromkeys(finding.check for finding in followed))}")
    return lines


def tell_outcome(performed: Performed) -> str:
    """One line: the outcome, the scenario, its seconds, and for a control what caught it."""
    report = performed.report
    control = report.control
    if control is None:
        word, remark = str(report.verdict), report.title
    elif control.caught:
        word = "CAUGHT" if performed.outcome is Verdict.PASS else str(performed.outcome)
        remark = f"{report.verdict} by {control.expects_check}: {control.expects_subject}"
        remark += "" if performed.outcome is Verdict.PASS else "; but something is left behind"
    else:
        word = "NOT CAUGHT"
        remark = f"{report.verdict}, wanted a FAIL of {control.expects_check}: {control.expects_subject}"
    return f"{word:<12} {report.scenario:<{NAME_WIDTH}} {report.seconds:6.1f} s  {remark}"


def tell_outcome_and_reason(performed: Performed) -> list[str]:
    """The outcome's line; below it, unless it is green, the first finding: often a log's end is all one has."""
    reason = [] if performed.outcome is Verdict.PASS else tell_findings(performed.report)[:1]
    return [tell_outcome(performed), *(f"{'':<12} {line}" for line in reason)]


def tell_total(performed: Iterable[Performed]) -> str:
    """One line that counts the outcomes."""
    everything = list(performed)
    proper = [one for one in everything if not one.scenario.is_control]
    controls = [one for one in everything if one.scenario.is_control]
    words = []
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN):
        count = sum(one.report.verdict is verdict for one in proper)
        if count:
            words.append(f"{count} {verdict}")
    if controls:
        words.append(f"{sum(one.outcome is Verdict.PASS for one in controls)} of {len(controls)} controls caught")
    return ", ".join(words) or "nothing ran"


def tell_kept(commands: Iterable[str], runs: str) -> list[str]:
    """How to look into clusters that were kept, and how to remove them."""
    lines = [f"  {command}" for command in commands]
    return ["kept; look inside with:", *lines, f"remove with: {hint_clean(runs)}"] if lines else []
