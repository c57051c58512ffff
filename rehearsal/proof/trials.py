"""Trials as plain values: which operator with which seed, and what came of it.

They travel between the processes of a proof, so they hold names and numbers only. What a trial may count as is
decided here and nowhere else: a kill needs a FAIL finding, a named one needs the right check on the struck object, and
a trial that broke on our side is neither.
"""

from __future__ import annotations

import difflib
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rehearsal.errors import UsageError
from rehearsal.tampering.operators import Operator, go_together
from rehearsal.verdicts import Finding, Verdict

STRONGER = 3
"""Intensity of the last seed of an operator; the others damage the least that is possible."""
WHOLE_EVERY = 5
"""One trial of so many runs with every database, concerned or not."""
RESTORE_PHASE = "restore"


class Outcome(StrEnum):
    """What a trial came to. The last one is neither killed nor survived, green nor red: it broke."""

    KILLED = "killed"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    GREEN = "green"
    RED = "red"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Trial:
    """One rehearsal to be made.

    Attributes:
        operator: its name in the registry.
        seed: of the operator's draw and of the data.
        rivals: whether the rivals look at it too.
        other: the benign change that is struck in the same rehearsal; "" for none.
    """

    operator: str
    benign: bool
    seed: int
    intensity: int = 1
    rivals: bool = True
    other: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Of everything that is struck."""
        return (self.operator, self.other) if self.other else (self.operator,)

    @property
    def title(self) -> str:
        return " + ".join(self.names)

    @property
    def whole_deployment(self) -> bool:
        """Whether the databases that it does not concern are there too: in about one trial of five, and in the same
        ones whatever else is proven with it."""
        return zlib.crc32(self.folder.encode()) % WHOLE_EVERY == 0

    @property
    def folder(self) -> str:
        """A folder's name, unique among the trials of a proof."""
        words = "".join(c if c.isalnum() and c.isascii() else "-" for c in "-".join(self.names).lower())
        return f"{'benign' if self.benign else 'operator'}-{words}-{self.seed}"


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes:
        by: the checks with a FAIL finding.
        named: a check of the operator's own names the struck object.
        struck: the pieces of its name.
        rivals: by name, whether it saw anything; None where it does not apply.
        seconds: wall time of the rehearsal, judged and removed.
        told: findings that are not PASS, or what broke, for the reader.
        kept: the folder that was left for the person who must look; "" when it was removed.
    """

    trial: Trial
    outcome: Outcome
    by: tuple[str, ...] = ()
    named: bool = False
    struck: tuple[str, ...] = ()
    rivals: dict[str, bool | None] = field(default_factory=dict)
    seconds: float = 0.0
    told: tuple[str, ...] = ()
    kept: str = ""

    @property
    def as_wanted(self) -> bool:
        """Killed and named, equivalent without an alarm, or green."""
        if self.outcome is Outcome.EQUIVALENT:
            return not self.by
        return self.outcome is Outcome.GREEN or (self.outcome is Outcome.KILLED and self.named)


def plan_trials(
    operators: Sequence[Operator], benign: Sequence[Operator], seeds: int, benign_seeds: int, benign_total: int = 0
) -> list[Trial]:
    """Every trial of a proof, the mutants first; the rivals look at the first one of each operator and change.

    Args:
        benign_seeds: rehearsals in which each benign change takes part, at least.
        benign_total: the least number of benign trials; changes take part in more until there are as many.
    """
    trials = [
        Trial(one.name, False, seed, STRONGER if seed == seeds and seeds > 1 else 1, rivals=seed == 1)
        for one in operators
        for seed in range(1, seeds + 1)
    ]
    return trials + _plan_benign(benign, benign_seeds, benign_total)


def _plan_benign(benign: Sequence[Operator], least: int, total: int) -> list[Trial]:
    """Two changes a trial: the one that took part least often, and of those that go with it the least used partner, the
    least often its own. In a trial both strike in the order of the registry."""
    order = {one.name: number for number, one in enumerate(benign)}
    part = dict.fromkeys(order, 0)
    met: Counter[frozenset[str]] = Counter()
    trials: list[Trial] = []
    while benign and (min(part.values()) < least or len(trials) < total):
        first = min(benign, key=lambda one: part[one.name])
        partners = [one for one in benign if go_together(first, one)]
        chosen = [first]
        if partners:
            # distance, else neighbours in the registry would meet again and again
            chosen.append(
                min(
                    partners,
                    key=lambda one: (
                        part[one.name],
                        met[frozenset((first.name, one.name))],
                        (order[first.name] - order[one.name]) % len(order),
                    ),
                )
            )
        names = sorted((one.name for one in chosen), key=order.__getitem__)
        trials.append(
            Trial(
                names[0],
                True,
                1 + max(part[name] for name in names),
                rivals=any(not part[name] for name in names),
                other=names[1] if len(names) > 1 else "",
            )
        )
        met[frozenset(names)] += 1
        for name in names:
            part[name] += 1
    return trials


def pick_operators(every: Iterable[Operator], names: Sequence[str]) -> tuple[Operator, ...]:
    """The operators of those names, or all where none is given.

    Raises:
        UsageError: a name that none has; the hint lists near ones.
    """
    by_name = {one.name: one for one in every}
    for name in names:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=5, cutoff=0.3)
            near += [known for known in by_name if name.lower() in known.lower() and known not in near]
            said = "near ones: " if near else f"all {len(by_name)}: "
            listed = ", ".join(f"{known!r}" for known in near or by_name)
            raise UsageError(f"there is no operator {name!r}", where="--only", hint=said + (listed or "none"))
    return tuple(by_name[name] for name in dict.fromkeys(names)) if names else tuple(by_name.values())


def find_killers(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The checks with a FAIL finding, in their order."""
    return tuple(dict.fromkeys(finding.check for finding in findings if finding.verdict is Verdict.FAIL))


def is_named(findings: Iterable[Finding], checks: Sequence[str], struck: Sequence[str]) -> bool:
    """Whether a FAIL finding of one of `checks` has every struck piece in its subject."""
    return bool(struck) and any(
        finding.verdict is Verdict.FAIL
        and finding.check in checks
        and all(piece in finding.subject for piece in struck)
        for finding in findings
    )


def weigh_mutant(verdict: Verdict, *, broken_in: Sequence[str], completed: bool, differs: bool) -> Outcome:
    """What a mutant's rehearsal came to.

    Args:
        broken_in: the phases in which something broke. A restore that was refused half-way is what the operator may
            do, and the findings made before it stand; anything else broke on our side, and FAIL is then no kill.
        differs: as the witness says.
    """
    refused = bool(broken_in) and all(phase == RESTORE_PHASE for phase in broken_in)
    if (broken_in and not refused) or not (broken_in or completed):
        return Outcome.INCONCLUSIVE
    if not differs:
        return Outcome.EQUIVALENT
    if verdict is Verdict.FAIL:
        return Outcome.KILLED
    return Outcome.SURVIVED if verdict is Verdict.PASS else Outcome.INCONCLUSIVE


def weigh_benign(verdict: Verdict, *, broken_in: Sequence[str], completed: bool) -> Outcome:
    """Green is PASS and nothing else; what broke is not red, and not green either."""
    if verdict is Verdict.FAIL:
        return Outcome.RED
    return Outcome.GREEN if verdict is Verdict.PASS and completed and not broken_in else Outcome.INCONCLUSIVE
