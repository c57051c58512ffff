"""Ablation: each check switched off in turn, from the findings alone; no rehearsal is made again.

A mutant that one check alone kills would be missed without it. A check that is never the only killer could be dropped
today without losing a mutant (it may still name what others only count); an operator with a single killer hangs by one
thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from rehearsal.proof.trials import Outcome, TrialResult


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ablated(_Part):
    """The matrix without one check.

    Attributes:
        missed: mutants that would have survived.
        operators: the operators they are of.
    """

    check: str
    missed: int
    operators: tuple[str, ...]


class SingleKiller(_Part):
    """An operator all of whose mutants are killed by this check alone."""

    operator: str
    check: str


class Ablation(_Part):
    """What each check is worth.

    Attributes:
        never_only_killer: checks without which every mutant is killed all the same.
    """

    checks: tuple[Ablated, ...]
    never_only_killer: tuple[str, ...]
    single_killer: tuple[SingleKiller, ...]


def switch_off_each(checks: Sequence[str], mutants: Sequence[TrialResult]) -> Ablation:
    """The matrix without each of `checks` in turn; only killed mutants can be missed."""
    killed = [result for result in mutants if result.outcome is Outcome.KILLED]
    without = []
    for check in checks:
        missed = [result for result in killed if set(result.by) == {check}]
        names = tuple(dict.fromkeys(result.trial.operator for result in missed))
        without.append(Ablated(check=check, missed=len(missed), operators=names))
    killers: dict[str, set[str]] = {}
    for result in killed:
        killers.setdefault(result.trial.operator, set()).update(result.by)
    return Ablation(
        checks=tuple(without),
        never_only_killer=tuple(one.check for one in without if not one.missed),
        single_killer=tuple(
            SingleKiller(operator=name, check=next(iter(by))) for name, by in killers.items() if len(by) == 1
        ),
    )
