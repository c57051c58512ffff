"""`rehearsal judge`: a finished run is judged again from its files, without a cluster."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from rehearsal.commands.statuses import STATUS
from rehearsal.errors import RehearsalError, UsageError
from rehearsal.journal import JOURNAL
from rehearsal.judging import judge
from rehearsal.record import RECORD, SCHEMA_VERSION, read_record
from rehearsal.report import write_reports
from rehearsal.telling import tell_findings
from rehearsal.verdicts import Judgement, Verdict, weigh, worst


def declare(parser: argparse.ArgumentParser) -> None:
    """The folder, and whether the reports are to be written again."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or one scenario's folder in it")
    parser.add_argument("--write", action="store_true", help="also write the reports again")


def _find_rehearsals(folder: Path) -> list[Path]:
    """A rehearsal's folder, or every one in a run's folder: also those that died and left a journal alone."""
    if folder.name == RECORD:
        folder = folder.parent
    left = (RECORD, JOURNAL)
    try:
        if any((folder / name).exists() for name in left):
            return [folder]
        # a folder with a dot is the run's own: what its rehearsals shared
        children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
        found = [child for child in children if any((child / name).exists() for name in left)]
    except OSError as error:
        raise UsageError(
            f"there is nothing to judge: {error.strerror}",
            where=str(folder),
            hint="give a run's folder, such as runs/latest, or a scenario's folder in it",
        ) from error
    if not found:
        raise UsageError(
            "there is no rehearsal here",
            where=str(folder),
            hint="give a run's folder, such as runs/latest, or a scenario's folder in it",
        )
    return found


def act(arguments: argparse.Namespace) -> int:
    """Judge every rehearsal in the folder, tell, and return the exit status."""
    outcomes = [_judge_rehearsal(folder, arguments.write) for folder in _find_rehearsals(arguments.run)]
    if len(outcomes) > 1:
        counted = Counter(outcomes)
        print(f"\n{worst(outcomes)}: {', '.join(f'{counted[one]} {one}' for one in Verdict if counted[one])}")
    return STATUS[worst(outcomes)]


def _judge_rehearsal(folder: Path, write: bool) -> Verdict:
    """Judge one rehearsal and say so; a record that cannot be read is INCONCLUSIVE, with what to do."""
    try:
        record = read_record(folder)
    except RehearsalError as error:
        print(f"{Verdict.INCONCLUSIVE:<12} {folder.name}: {error}")
        return Verdict.INCONCLUSIVE
    judgement = judge(record, folder)
    _tell_judgement(record.scenario, judgement)
    if record.schema_version != SCHEMA_VERSION:
        print(f"  its record is of schema version {record.schema_version}, by release {record.tool_version}")
    if write:
        print(f"  written: {folder / 'report.html'}: {write_reports(folder, record, judgement).verdict}")
    return weigh(judgement.verdict, judgement.control, judgement.findings)


def _tell_judgement(scenario: str, judgement: Judgement) -> None:
    control = judgement.control
    caught = "" if control is None else "  (control caught)" if control.caught else "  (control NOT CAUGHT)"
    print(f"{judgement.verdict:<12} {scenario}{caught}")
    for line in tell_findings(judgement):
        print(f"  {line}")
