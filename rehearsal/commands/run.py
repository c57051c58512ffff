"""`rehearsal run`: the same engine as `pytest scenarios/`, with live phases."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from rehearsal.commands.scenario_folder import declare_folder, load_all
from rehearsal.commands.statuses import STATUS
from rehearsal.options import declare_options, read_options
from rehearsal.run import Performed, Run
from rehearsal.scenario import Scenario
from rehearsal.scenario_files import pick_scenarios
from rehearsal.side_by_side import perform_side_by_side
from rehearsal.telling import NAME_WIDTH, LivePhases, tell_findings, tell_kept, tell_outcome_and_reason, tell_total
from rehearsal.verdicts import Verdict


def declare(parser: argparse.ArgumentParser) -> None:
    """Scenarios, the options that both faces share, and how many rehearsals at the same time."""
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="names, as `rehearsal scenarios` lists them")
    declare_options(parser.add_argument)
    parser.add_argument(
        "--jobs",
        type=_read_jobs,
        default=1,
        metavar="N",
        help="rehearsals at the same time; each takes longer, all of them together less (default: 1)",
    )
    declare_folder(parser)


def _read_jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rehearsals: 1, 2, …")
    return int(text)


def act(arguments: argparse.Namespace) -> int:
    """Rehearse, tell, and return the exit status."""
    wanted = pick_scenarios(load_all(arguments), arguments.scenarios)
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
    return STATUS[outcome]


def _perform(run: Run, scenarios: Sequence[Scenario], jobs: int) -> Iterator[Performed]:
    if jobs > 1:
        yield from perform_side_by_side(run, scenarios, jobs, _tell_with_name)
        return
    for scenario in scenarios:
        print(f"\n{scenario.name}: {scenario.title}", file=sys.stderr, flush=True)
        yield run.perform(scenario)


def _tell_with_name(run: Run, scenario: Scenario) -> None:
    run.listeners = (LivePhases(scenario=scenario.name),)
