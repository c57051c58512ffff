"""docs/proof.md: the figure in the first line, then the tables that it comes from.

Operator × check, side by side with the rivals, the ablation, the benign changes, how to repeat it. Names and reasons
are escaped for Markdown; a dot stands for none, so that the eye finds the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rehearsal.proof.matrix import OperatorLine, Proof
from rehearsal.proof.trials import STRONGER, WHOLE_EVERY, Outcome, TrialResult
from rehearsal.report.pages import escape_markdown
from rehearsal.report.words import word_seconds

_NONE = "·"
_WHAT_COUNTS = (
    "Every run is one real rehearsal on the local cluster (seed size xs), tampered with by one operator (or two benign "
    "changes) and judged from its record alone; databases that the operator neither loses nor looks at are deployed in "
    f"one run of {WHOLE_EVERY}. A mutant is first shown to differ by a witness that does not ask the judge: "
    "`pg_dump` of the database before and after by sorted lines, `find` and `sha256sum` of the files, or the bytes of "
    "the backup set; where only the procedure was damaged, the operator's word is taken. **Killed**: a FAIL finding. "
    "**Named**: "
    "one of a check that the operator asks for, with the struck object in its subject. An exit status never counts. "
    "Equivalent mutants (nothing to strike, or nothing differs) are listed and are not among the runs; a run that "
    "broke on our side is among them, and is neither killed nor green."
)
_HOW_TO_REPEAT = (
    "A seed decides the data and what is struck, so an operator can be repeated alone: `rehearsal prove --only NAME "
    "--docs DIR`. Exit status 0 only if every mutant was killed and named and every benign run was green."
)


def word_figure(proof: Proof) -> str:
    """The figure in one sentence."""
    return (
        f"{proof.killed} of {proof.runs} mutants killed, {proof.named} named; {proof.benign_green} of "
        f"{proof.benign_runs} benign runs green ({len(proof.operators)} operators, {len(proof.benign)} benign changes)"
    )


def render_page(proof: Proof, results: Sequence[TrialResult], command: str) -> str:
    """The page as GitHub-flavoured Markdown.

    Args:
        results: of every trial; those that were not as wanted are told.
        command: the command line that repeats it.
    """
    lines = [
        f"**{word_figure(proof)}.**",
        "",
        f"# The proof of {proof.date}",
        "",
        f"Measured with rehearsal {proof.tool_version} in {word_seconds(proof.seconds)}. {_WHAT_COUNTS}",
        "",
        *_tell_unwanted(results),
        *_tell_operators(proof),
        *_tell_rivals(proof, results),
        *_tell_ablation(proof),
        *_tell_benign(proof),
        "## How to repeat it",
        "",
        f"`{command}` (`make proof` for all of it) writes this page and [proof.json](proof.json): seeds 1 to "
        f"{proof.seeds} of every operator, the last one with intensity {STRONGER}; {proof.benign_seeds} rehearsals or "
        f"more of every benign change. {_HOW_TO_REPEAT}",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> list[str]:
    rule = ["---" if number < numbers_from else "--:" for number in range(len(head))]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _tell_unwanted(results: Sequence[TrialResult]) -> list[str]:
    unwanted = [result for result in results if not result.as_wanted]
    if not unwanted:
        return []
    lines = ["## What was not as wanted", ""]
    for result in unwanted:
        named = "" if result.named or result.trial.benign else ", not named"
        struck = f", struck {escape_markdown(', '.join(result.struck))}" if result.struck else ""
        lines.append(
            f"- {escape_markdown(result.trial.title)}, seed {result.trial.seed}: {result.outcome}{named}{struck}"
        )
        lines += [f"  - {escape_markdown(told)}" for told in result.told[:3]]
    return [*lines, ""]


def _tell_operators(proof: Proof) -> list[str]:
    checks = [one.check for one in proof.ablation.checks if any(one.check in line.by for line in proof.operators)]
    head = ("Operator", "runs", "killed", "named", "equivalent", *checks, "s a run")
    lines = ["## Operators and the checks that killed them", ""]
    lines.append("Numbers under a check: runs in which it had a FAIL finding.")
    for area in dict.fromkeys(line.area for line in proof.operators):
        of_area = [line for line in proof.operators if line.area == area]
        lines += ["", f"### {area.capitalize()}", ""]
        lines += _table(head, (_operator_row(line, checks) for line in of_area), 1)
        lines += ["", *(f"- {escape_markdown(line.name)}: {escape_markdown(line.why)}" for line in of_area)]
    if proof.weak:
        lines += [
            "",
            "Weak, more than a third of their mutants are equivalent: " + _list(one.name for one in proof.weak),
        ]
    return [*lines, ""]


def _operator_row(line: OperatorLine, checks: Sequence[str]) -> list[str]:
    cells = [str(line.runs), _mark(line.killed, line.runs), _mark(line.named, line.runs), str(line.equivalent or _NONE)]
    by = [str(line.by.get(check, _NONE)) for check in checks]
    return [escape_markdown(line.name), *cells, *by, f"{line.seconds:.1f}"]


def _mark(count: int, of: int) -> str:
    return str(count) if count == of else f"**{count}**"


def _tell_rivals(proof: Proof, results: Sequence[TrialResult]) -> list[str]:
    lines = ["## Side by side with other ways to look, on the same mutants", ""]
    lines += ["Measured on the first seed of every operator and in the first rehearsal of every benign change.", ""]
    met = [result for result in results if result.trial.rivals and result.outcome is not Outcome.EQUIVALENT]
    first = {result.trial.operator: result for result in met if not result.trial.benign}
    calm = [result for result in met if result.trial.benign]
    ours = (
        "this judge",
        f"{sum(_is_killed(result) for result in first.values())} of {len(first)}",
        f"{sum(result.outcome is not Outcome.GREEN for result in calm)} of {len(calm)}",
    )
    rows = [(one.name, f"{one.caught} of {one.of}", f"{one.false_alarms} of {one.benign_runs}") for one in proof.rivals]
    lines += _table(("", "caught", "false alarms"), [ours, *rows], 1)
    lines += ["", *(f"- {one.name}: {one.how}" for one in proof.rivals), ""]
    lines.append("The strict restore meets the set and a copy of the intact database, so it cannot see what went wrong")
    lines += ["in the restore or after it. 1: saw it. A dot: did not. A dash: does not apply, or nothing differed.", ""]
    names = [one.name for one in proof.rivals]
    rows_by_operator = (
        [
            escape_markdown(line.name),
            _tell_killed(first.get(line.name)),
            *(_seen(line, name) for name in names),
        ]
        for line in proof.operators
    )
    return [*lines, *_table(("Operator", "this judge", *names), rows_by_operator, 1), ""]


def _is_killed(result: TrialResult) -> bool:
    return result.outcome is Outcome.KILLED


def _tell_killed(result: TrialResult | None) -> str:
    return "–" if result is None else _mark(int(_is_killed(result)), 1)


def _seen(line: OperatorLine, rival: str) -> str:
    count = line.rivals.get(rival)
    return "–" if count is None else str(count or _NONE)


def _tell_ablation(proof: Proof) -> list[str]:
    ablation = proof.ablation
    lines = ["## Each check switched off in turn", ""]
    rows = ((one.check, str(one.missed or _NONE), _list(one.operators)) for one in ablation.checks)
    lines += _table(("Without", "mutants missed", "of"), rows, 3)
    lines += ["", f"Never the only killer: {_list(ablation.never_only_killer)}.", ""]
    lines += ["Operators with a single killer:", ""]
    lines += [f"- {escape_markdown(one.operator)}: {one.check}" for one in ablation.single_killer] or ["- none"]
    return [*lines, ""]


def _tell_benign(proof: Proof) -> list[str]:
    rows = ((escape_markdown(one.name), str(one.runs), _mark(one.green, one.runs)) for one in proof.benign)
    told = (
        f"{proof.benign_runs} rehearsals, two changes in each where they go together, with changing partners: runs and "
        "green count the rehearsals that a change took part in, and one that is not green counts against both."
    )
    return ["## Benign changes, which must stay green", "", told, "", *_table(("Change", "runs", "green"), rows, 1), ""]


def _list(names: Iterable[str]) -> str:
    return ", ".join(escape_markdown(name) for name in names) or "none"
