"""The matrix: trials added up by operator and benign change, in the typed form of `docs/proof.json`.

Equivalent mutants are counted apart and are not among an operator's `runs`; what broke is among them and is neither
killed nor green, so it can only make the figure worse. The figure is whole when every run of every operator was killed
and named and every benign run was green.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rehearsal.proof.ablation import Ablation, switch_off_each
from rehearsal.proof.rivals import RIVALS
from rehearsal.proof.trials import Outcome, TrialResult
from rehearsal.tampering.operators import Operator

SCHEMA_VERSION = 1
WEAK = 1 / 3
"""Share of an operator's runs that may be equivalent."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OperatorLine(_Part):
    """An operator over its runs.

    Attributes:
        runs: mutants that differ (or broke); `equivalent` ones are not among them.
        killed: with a FAIL finding of any check.
        named: killed, and a check of the operator's own named the struck object.
        by: check → number of runs in which it had a FAIL finding.
        seconds: mean wall time of a run.
        rivals: rival → number of runs in which it saw something; null where it never applies.
    """

    name: str
    area: str
    why: str
    runs: int
    killed: int
    named: int
    by: dict[str, int]
    equivalent: int
    seconds: float
    rivals: dict[str, int | None]


class BenignLine(_Part):
    """A benign change over the rehearsals it took part in; green is PASS and nothing else, and a rehearsal that is not
    counts against every change in it."""

    name: str
    runs: int
    green: int


class RivalLine(_Part):
    """A rival over the first mutant of every operator and the first rehearsal of every benign change.

    Attributes:
        caught, of: of those mutants it saw something in, of those it applies to.
        false_alarms, benign_runs: the same for changes that are no damage.
    """

    name: str
    how: str
    caught: int
    of: int
    false_alarms: int
    benign_runs: int


class Proof(_Part):
    """What `docs/proof.json` holds.

    Attributes:
        date: day of the measurement, ISO 8601, UTC.
        seeds, benign_seeds: runs of each operator; rehearsals in which each benign change took part, at least.
        benign_runs, benign_green: rehearsals with benign changes, most of them with two.
        seconds: wall time of all of it.
    """

    schema_version: Literal[1] = 1
    date: str
    tool_version: str
    seeds: int
    benign_seeds: int
    seconds: float
    killed: int
    named: int
    runs: int
    benign_green: int
    benign_runs: int
    operators: tuple[OperatorLine, ...]
    benign: tuple[BenignLine, ...]
    ablation: Ablation
    rivals: tuple[RivalLine, ...]

    @property
    def is_whole(self) -> bool:
        """Everything killed and named, everything benign green; an operator without a mutant proves nothing."""
        operators = all(one.runs and one.killed == one.named == one.runs for one in self.operators)
        return operators and all(one.runs and one.green == one.runs for one in self.benign)

    @property
    def weak(self) -> tuple[OperatorLine, ...]:
        """Operators of whose mutants more than a third are equivalent."""
        return tuple(one for one in self.operators if one.equivalent > WEAK * (one.runs + one.equivalent))


def add_up(
    operators: Sequence[Operator],
    benign: Sequence[Operator],
    results: Sequence[TrialResult],
    *,
    checks: Sequence[str],
    date: str,
    tool_version: str,
    seconds: float,
) -> Proof:
    """The proof that the results give; operators and benign changes in the registry's order."""
    mutants = [result for result in results if not result.trial.benign]
    harmless = [result for result in results if result.trial.benign]
    lines = tuple(_add_up_operator(one, [r for r in mutants if r.trial.operator == one.name]) for one in operators)
    calm = tuple(_add_up_benign(one.name, [r for r in harmless if one.name in r.trial.names]) for one in benign)
    return Proof(
        date=date,
        tool_version=tool_version,
        seeds=max((result.trial.seed for result in mutants), default=0),
        benign_seeds=min((one.runs for one in calm), default=0),
        seconds=round(seconds, 1),
        killed=sum(one.killed for one in lines),
        named=sum(one.named for one in lines),
        runs=sum(one.runs for one in lines),
        benign_green=sum(result.outcome is Outcome.GREEN for result in harmless),
        benign_runs=len(harmless),
        operators=lines,
        benign=calm,
        ablation=switch_off_each(checks, mutants),
        rivals=tuple(_add_up_rival(name, mutants, harmless) for name in RIVALS),
    )


def _add_up_operator(operator: Operator, results: Sequence[TrialResult]) -> OperatorLine:
    counted = [result for result in results if result.outcome is not Outcome.EQUIVALENT]
    killed = [result for result in counted if result.outcome is Outcome.KILLED]
    return OperatorLine(
        name=operator.name,
        area=operator.area,
        why=operator.why,
        runs=len(counted),
        killed=len(killed),
        named=sum(result.named for result in killed),
        by=dict(Counter(check for result in killed for check in result.by).most_common()),
        equivalent=len(results) - len(counted),
        seconds=round(statistics.fmean(result.seconds for result in results), 2) if results else 0.0,
        rivals={name: _count_rival(name, counted) for name in RIVALS},
    )


def _count_rival(name: str, results: Sequence[TrialResult]) -> int | None:
    seen = [result.rivals.get(name) for result in results]
    return None if all(one is None for one in seen) else sum(bool(one) for one in seen)


def _add_up_benign(name: str, results: Sequence[TrialResult]) -> BenignLine:
    return BenignLine(name=name, runs=len(results), green=sum(result.outcome is Outcome.GREEN for result in results))


def _add_up_rival(name: str, mutants: Sequence[TrialResult], harmless: Sequence[TrialResult]) -> RivalLine:
    seen = [r.rivals.get(name) for r in mutants if r.outcome in (Outcome.KILLED, Outcome.SURVIVED)]
    alarms = [result.rivals.get(name) for result in harmless if result.outcome is not Outcome.INCONCLUSIVE]
    return RivalLine(
        name=name,
        how=RIVALS[name],
        caught=sum(bool(one) for one in seen),
        of=sum(one is not None for one in seen),
        false_alarms=sum(bool(one) for one in alarms),
        benign_runs=sum(one is not None for one in alarms),
    )
