"""Trials and their results without a rehearsal, for the accounting."""

from __future__ import annotations

from rehearsal.proof.matrix import Proof, add_up
from rehearsal.proof.trials import Outcome, Trial, TrialResult
from rehearsal.tampering.operators import Operator

CHECKS = ("nonce", "backup-set", "rows", "files")
ROW = Operator(name="one row | changed", why="a stray UPDATE", area="restored system", checks=("rows",))
CUT = Operator(name="dump cut", why="exec ends at 0", area="backup set", moment="after backup", checks=("backup-set",))
CALM = Operator(name="VACUUM FULL", why="rewrites", area="benign")


def mutant(
    operator: Operator,
    seed: int,
    outcome: Outcome = Outcome.KILLED,
    by: tuple[str, ...] = ("rows",),
    named: bool = True,
) -> TrialResult:
    rivals: dict[str, bool | None] = {"row counts": False, "sha256sum -c": True, "1 % of files": None}
    return TrialResult(
        Trial(operator.name, False, seed, rivals=seed == 1),
        outcome,
        by=by,
        named=named,
        struck=("public.session",),
        rivals=rivals if seed == 1 else {},
        seconds=2.0,
    )


def calm(seed: int, outcome: Outcome = Outcome.GREEN, told: tuple[str, ...] = ()) -> TrialResult:
    rivals: dict[str, bool | None] = {"row counts": True} if seed == 1 else {}
    return TrialResult(Trial(CALM.name, True, seed, rivals=seed == 1), outcome, rivals=rivals, seconds=1.0, told=told)


def prove_from(*results: TrialResult) -> Proof:
    return add_up(
        (ROW, CUT),
        (CALM,),
        results,
        checks=CHECKS,
        date="2026-11-23",
        tool_version="9.9",
        seconds=600.0,
    )


WHOLE = (
    mutant(ROW, 1),
    mutant(ROW, 2),
    mutant(CUT, 1, by=("backup-set", "rows")),
    mutant(CUT, 2, by=("rows",)),
    calm(1),
)
