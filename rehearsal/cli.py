"""The command line: the same engine as `pytest scenarios/`, with live phases.

Exit status: 0 PASS (and every control caught), 1 FAIL, 2 could not tell: usage, environment, INCONCLUSIVE, a control
that was not caught, nothing ran. Errors are one message, never a traceback.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from rehearsal import __version__
from rehearsal.cleaning import clean
from rehearsal.doctor import examine, render
from rehearsal.errors import RehearsalError, UsageError
from rehearsal.journal import JOURNAL
from rehearsal.judging import judge
from rehearsal.options import declare_options, read_options
from rehearsal.proof.options import declare_proof_options, read_proof_options
from rehearsal.proof.proving import prove
from rehearsal.record import RECORD, SCHEMA_VERSION, read_record
from rehearsal.report import write_reports
from rehearsal.run import Performed, Run
from rehearsal.scenario import Scenario
from rehearsal.scenario_files import default_folder, load_scenarios, pick_scenarios
from rehearsal.side_by_side import perform_side_by_side
from rehearsal.telling import NAME_WIDTH, LivePhases, tell_findings, tell_kept, tell_outcome_and_reason, tell_total
from rehearsal.telling_proof import LiveTrials, tell_proof
from rehearsal.telling_verify import LiveVerification, tell_verification
from rehearsal.verdicts import Judgement, Verdict, weigh, worst
from rehearsal.verify_options import declare_verify_options, open_verifier

_STATUS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.NOT_RUN: 2}
_INTERRUPTED = 130


def _read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="rehearsal",
        description="Proves on a throwaway system that a Chipster server's backups restore, or names what was lost.",
        epilog="Exit status: 0 PASS, 1 FAIL, 2 could not tell.",
    )
    parser.add_argument("--version", action="version", version=f"rehearsal {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="rehearse scenarios: all of them and the controls, or those named")
    run.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="names, as `rehearsal scenarios` lists them")
    declare_options(run.add_argument)
    run.add_argument(
        "--jobs",
        type=_read_jobs,
        default=1,
        metavar="N",
        help="rehearsals at the same time; each takes longer, all of them together less (default: 1)",
    )
    _add_folder(run)
    run.set_defaults(act=_run)

    judging = commands.add_parser("judge", help="judge a finished run again from its files, without a cluster")
    judging.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or one scenario's folder in it")
    judging.add_argument("--write", action="store_true", help="also write the reports again")
    judging.set_defaults(act=_judge)

    listing = commands.add_parser("scenarios", help="list the scenarios and controls")
    _add_folder(listing)
    listing.set_defaults(act=_list_scenarios)

    doctor = commands.add_parser("doctor", help="list every tool found or missing, with the next command to type")
    doctor.set_defaults(act=_examine)

    proving = commands.add_parser(
        "prove",
        help="every operator and benign change against the judge: how much it would have caught",
        description="Rehearses with every operator that damages and every change that is no damage, on the local "
        "cluster, and writes the figure to proof.json and proof.md. Exit status 0 only if every mutant was killed and "
        "named and every benign run was green.",
    )
    declare_proof_options(proving.add_argument)
    proving.set_defaults(act=_prove)

    verifying = commands.add_parser(
        "verify-backup",
        help="verify what Chipster's built-in backup wrote, without restoring it: a bucket, a copy of one, an archive",
        description="Reads every package of every backup once: fetched, hashed, decrypted, decompressed and hashed "
        "again, against the lists. S3 keys come from the environment or the usual profile.",
    )
    declare_verify_options(verifying.add_argument)
    verifying.set_defaults(act=_verify)

    cleaning = commands.add_parser("clean", help="remove what dead or kept runs left behind, and nothing else")
    cleaning.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run folders are")
    cleaning.set_defaults(act=_clean)
    return parser.parse_args(argv)


def _read_jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rehearsals: 1, 2, …")
    return int(text)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenarios",
        dest="folder",
        type=Path,
        default=None,
        metavar="DIR",
        help="a folder of scenario files (default: the ones that come with the harness)",
    )


def _load(arguments: argparse.Namespace) -> tuple[Scenario, ...]:
    return load_scenarios(arguments.folder or default_folder())


def _run(arguments: argparse.Namespace) -> int:
    wanted = pick_scenarios(_load(arguments), arguments.scenarios)
    with Run(read_options(arguments), listeners=(LivePhases(),)) as run:
        print(f"cluster: {run.session.description}")
        for sentence in run.session.does_not_prove:
            print(f"  does not prove: {sentence}")
        absences, possible = [], []
        for scenario in wanted:
            absence = run.explain_absence(scenario)
            if absence:
                absences.append(f"{Verdict.NOT_RUN:<12} {scenario.name:<{NAME_WIDTH}}           {absence}")
            else:
                possible.append(scenario)
        for performed in _perform(run, possible, min(arguments.jobs, len(possible))):
            if performed.outcome is not Verdict.PASS:
                print("\n".join(f"  {line}" for line in tell_findings(performed.report)), file=sys.stderr)
    outcome = run.outcome  # not before the end: what cannot be removed makes it INCONCLUSIVE
    if run.trouble is not None:
        print(f"rehearsal: {run.trouble}", file=sys.stderr)
    print()
    told = [line for performed in run.performed for line in tell_outcome_and_reason(performed)]
    print("\n".join([*told, *absences]))
    print(f"\n{outcome}: {tell_total(run.performed)}")
    if run.performed:
        print(f"report: {run.folder / 'index.html'}")
        for performed in run.performed if len(run.performed) == 1 else ():
            print(f"        {performed.folder / 'report.html'}")
    for line in tell_kept(run.kept, str(run.folder.parent)):
        print(line)
    return _STATUS[outcome]


def _perform(run: Run, scenarios: Sequence[Scenario], jobs: int) -> Iterator[Performed]:
    if jobs > 1:
        yield from perform_side_by_side(run, scenarios, jobs, _tell_with_name)
        return
    for scenario in scenarios:
        print(f"\n{scenario.name}: {scenario.title}", file=sys.stderr, flush=True)
        yield run.perform(scenario)


def _tell_with_name(run: Run, scenario: Scenario) -> None:
    run.listeners = (LivePhases(scenario=scenario.name),)


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


def _judge(arguments: argparse.Namespace) -> int:
    outcomes = [_judge_rehearsal(folder, arguments.write) for folder in _find_rehearsals(arguments.run)]
    if len(outcomes) > 1:
        counted = Counter(outcomes)
        print(f"\n{worst(outcomes)}: {', '.join(f'{counted[one]} {one}' for one in Verdict if counted[one])}")
    return _STATUS[worst(outcomes)]


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
    return weigh(judgement.verdict, judgement.control)


def _tell_judgement(scenario: str, judgement: Judgement) -> None:
    control = judgement.control
    caught = "" if control is None else "  (control caught)" if control.caught else "  (control NOT CAUGHT)"
    print(f"{judgement.verdict:<12} {scenario}{caught}")
    for line in tell_findings(judgement):
        print(f"  {line}")


def _list_scenarios(arguments: argparse.Namespace) -> int:
    for scenario in _load(arguments):
        print(f"{scenario.name:<{NAME_WIDTH}} {scenario.title}")
    return 0


def _prove(arguments: argparse.Namespace) -> int:
    proven = prove(read_proof_options(arguments), LiveTrials())
    print("\n".join(tell_proof(proven)))
    return 0 if proven.proof.is_whole else 1


def _verify(arguments: argparse.Namespace) -> int:
    live = LiveVerification()
    with open_verifier(arguments) as verifier:
        try:
            found = verifier.verify(live)
        finally:
            live.finish()
        if arguments.json:
            sys.stdout.write(verifier.clean(found.render_json()))
        else:
            print(verifier.clean("\n".join(tell_verification(found))))
    return _STATUS[found.verdict]


def _examine(arguments: argparse.Namespace) -> int:
    del arguments
    print(render(examine()))
    return 0


def _clean(arguments: argparse.Namespace) -> int:
    result = clean(arguments.runs, print)
    return 2 if result.refused else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console command; returns the exit status."""
    signal.signal(signal.SIGTERM, _interrupt)  # a stopped CI job cleans up like Ctrl-C
    try:
        arguments = _read_arguments(argv)
        status: int = arguments.act(arguments)
    except RehearsalError as error:
        print(f"rehearsal: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrehearsal: interrupted; what it had created was removed", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    return status
