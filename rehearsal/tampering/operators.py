"""The registry of operators: each is one function that damages one thing, and one line that says why it is worth it.

An operator strikes at one moment of a rehearsal: on the backup set, in the loss, in the restore, on the restored
system. It draws what it strikes from its seed, and says by name what it struck, so that the proof can ask whether the
right check named the right object. A benign one changes what is no damage; after it everything must stay green.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from rehearsal.roles import Loss, Method, SetRemark, Stage
from rehearsal.tampering import Harmless

Moment = Literal["before backup", "after backup", "loss", "restore", "after restore"]
Area = Literal["backup set", "loss", "restore", "restored system", "benign"]
BuiltinSet = Literal["", "full", "passphrase", "incremental", "archive", "unguarded"]
"""How a set of the server's own backup is made for an operator; "" for one by kubectl; "unguarded": as "full", and
restored into whatever is there."""
Act = Callable[["Strike"], str]


@dataclass(frozen=True)
class Strike:
    """What an operator's function gets.

    Attributes:
        stage: the rehearsal's stores, cluster and backup set.
        draw: seeded by the operator's name and seed: the same object is struck again by the same seed.
        intensity: how much is damaged, from 1 (the least that is possible) upwards.
        lose: at the moment `loss`, does what the scenario's loss would have done, with the given stage.
        restore: at the moment `restore`, does what the method would have done, with the given stage.
    """

    stage: Stage
    draw: Random
    intensity: int
    lose: Callable[[Stage], None] = lambda _: None
    restore: Callable[[Stage], None] = lambda _: None


@dataclass(frozen=True)
class Operator(Harmless):
    """A tampering made of one function.

    Attributes:
        act: damages something and returns a piece of its name, as the subject of the finding that must name it contains
            it; "" when there was nothing to damage (the mutant is equivalent).
        moment: when it strikes. At `loss` and `restore` the function stands in for the step, and calls
            `strike.lose` or `strike.restore` itself, or not.
        area: the heading it is listed under.
        loses: roles of the stores that the rehearsal loses, as in `Scenario.loses`.
        checks: any one of these must name the object; the first is the one expected. None for a benign change.
        files_by: by which of the manual's commands the files are copied, `cp` or `tar`.
        builtin: for an operator on a set of the server's own backup: which kind of set; else "".
        differs: how the mutant is known to differ from an intact restore without asking our judge: the restored
            `content` does, or the backup `set` does, or only the `procedure` did.
        replicas: of file-storage in the deployment that it strikes.
        needs: roles of other databases that it looks at or strikes; the rest may be left out of its deployment.
        seed, intensity: see `Strike`.
    """

    act: Act = lambda _: ""
    moment: Moment = "after restore"
    area: Area = "restored system"
    loses: tuple[str, ...] = ("session-db",)
    checks: tuple[str, ...] = ()
    files_by: Literal["cp", "tar"] = "tar"
    builtin: BuiltinSet = ""
    differs: Literal["content", "set", "procedure"] = "content"
    replicas: int = 1
    needs: tuple[str, ...] = ()
    seed: int = 1
    intensity: int = 1
    _struck: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def benign(self) -> bool:
        return not self.checks

    @property
    def concerns(self) -> tuple[str, ...]:
        """Roles of the stores that a rehearsal of it cannot do without, as in `Scenario.loses`."""
        return tuple(dict.fromkeys((*self.loses, *self.needs)))

    def seeded(self, seed: int, intensity: int = 1) -> Operator:
        """The same operator for another run."""
        return replace(self, seed=seed, intensity=intensity, _struck=[])

    def method(self, method: Method) -> Method:
        return _StruckMethod(method, self) if self.moment == "restore" else method

    def loss(self, loss: Loss) -> Loss:
        return _StruckLoss(loss, self) if self.moment == "loss" else loss

    def before_backup(self, stage: Stage) -> str:
        return self._strike(stage) if self.moment == "before backup" else ""

    def after_backup(self, stage: Stage) -> str:
        return self._strike(stage) if self.moment == "after backup" else ""

    def after_restore(self, stage: Stage) -> str:
        """Also tells what was struck in the loss or in the restore, where nothing could be told."""
        struck = self._struck.pop() if self._struck else ""
        return self._strike(stage) if self.moment == "after restore" else struck

    def _strike(self, stage: Stage) -> str:
        return self.act(Strike(stage, self._draw(), self.intensity))

    def _draw(self) -> Random:
        return Random(f"{self.name}:{self.seed}")  # noqa: S311 - repeatable on purpose


@dataclass(frozen=True)
class _StruckMethod:
    inner: Method
    operator: Operator

    @property
    def name(self) -> str:
        return f"{self.inner.name}, tampered with: {self.operator.name}"

    @property
    def runbook(self) -> str:
        return self.inner.runbook

    @property
    def not_carried(self) -> tuple[str, ...]:
        return self.inner.not_carried

    def back_up(self, stage: Stage) -> None:
        self.inner.back_up(stage)

    def examine(self, stage: Stage) -> tuple[SetRemark, ...]:
        return self.inner.examine(stage)

    def restore(self, stage: Stage) -> None:
        operator = self.operator
        strike = Strike(stage, operator._draw(), operator.intensity, restore=self.inner.restore)
        operator._struck.append(operator.act(strike))


@dataclass(frozen=True)
class _StruckLoss:
    inner: Loss
    operator: Operator

    @property
    def name(self) -> str:
        return f"{self.inner.name}, tampered with: {self.operator.name}"

    def lose(self, stage: Stage) -> None:
        operator = self.operator
        strike = Strike(stage, operator._draw(), operator.intensity, lose=self.inner.lose)
        operator._struck.append(operator.act(strike))


_IN_PLACE_OF: tuple[Moment, ...] = ("loss", "restore")
"""Moments at which an operator stands in for the step itself."""


def go_together(one: Operator, other: Operator) -> bool:
    """Whether both can strike in one rehearsal: two cannot stand in for the same step, make the set in two ways, or be
    the same."""
    same_step = one.moment == other.moment and one.moment in _IN_PLACE_OF
    return one.name != other.name and not same_step and _make_alike(one, other)


def _make_alike(one: Operator, other: Operator) -> bool:
    return (one.files_by, one.builtin) == (other.files_by, other.builtin)


@dataclass(frozen=True)
class Pair(Operator):
    """Two operators in one rehearsal, each at its own moment; at the same moment, one after the other."""

    both: tuple[Operator, ...] = ()

    def seeded(self, seed: int, intensity: int = 1) -> Pair:
        both = tuple(one.seeded(seed, intensity) for one in self.both)
        return replace(self, both=both, seed=seed, intensity=intensity)

    def method(self, method: Method) -> Method:
        for one in self.both:
            method = one.method(method)
        return method

    def loss(self, loss: Loss) -> Loss:
        for one in self.both:
            loss = one.loss(loss)
        return loss

    def before_nonce(self, stage: Stage, method: Method) -> str:
        return _join(one.before_nonce(stage, method) for one in self.both)

    def before_backup(self, stage: Stage) -> str:
        return _join(one.before_backup(stage) for one in self.both)

    def after_backup(self, stage: Stage) -> str:
        return _join(one.after_backup(stage) for one in self.both)

    def after_restore(self, stage: Stage) -> str:
        return _join(one.after_restore(stage) for one in self.both)


def _join(struck: Iterable[str]) -> str:
    return ", ".join(filter(None, struck))


def pair_up(one: Operator, other: Operator) -> Pair:
    """Both as one operator.

    Raises:
        ValueError: they do not go together.
    """
    if not go_together(one, other):
        raise ValueError(f"{one.name!r} and {other.name!r} do not go together")
    return Pair(
        name=f"{one.name} + {other.name}",
        why=f"{one.why}; {other.why}",
        moment=other.moment,
        area=one.area,
        loses=tuple(dict.fromkeys((*one.loses, *other.loses))),
        checks=tuple(dict.fromkeys((*one.checks, *other.checks))),
        files_by=one.files_by,
        builtin=one.builtin,
        replicas=max(one.replicas, other.replicas),
        needs=tuple(dict.fromkeys((*one.needs, *other.needs))),
        both=(one, other),
    )


REGISTRY: dict[str, Operator] = {}
"""Every operator and benign change by name, in the order of definition; filled when `tampering.every` is imported."""


def operator(
    name: str,
    *,
    why: str,
    moment: Moment,
    area: Area,
    checks: tuple[str, ...] | str = (),
    loses: tuple[str, ...] = ("session-db",),
    files_by: Literal["cp", "tar"] = "tar",
    builtin: BuiltinSet = "",
    differs: Literal["content", "set", "procedure"] = "content",
    replicas: int = 1,
    needs: tuple[str, ...] = (),
) -> Callable[[Act], Act]:
    """Register the function below as an operator; see `Operator` for what the words mean."""

    def register(act: Act) -> Act:
        if name in REGISTRY:
            raise ValueError(f"two operators have the name {name!r}")
        wanted = (checks,) if isinstance(checks, str) else checks
        REGISTRY[name] = Operator(
            name=name,
            why=why,
            act=act,
            moment=moment,
            area=area,
            loses=loses,
            checks=wanted,
            files_by=files_by,
            builtin=builtin,
            differs=differs,
            replicas=replicas,
            needs=needs,
        )
        return act

    return register
