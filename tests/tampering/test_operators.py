"""Two operators in one rehearsal: each at its own moment, one within the other where both stand in for a step."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rehearsal.roles import Loss, Method, Stage
from rehearsal.tampering.operators import Moment, Operator, Strike, go_together, pair_up

STAGE = cast(Stage, SimpleNamespace())


def make(name: str, moment: Moment, calls: list[str], **rest: Any) -> Operator:
    def act(strike: Strike) -> str:
        calls.append(f"{name} {strike.intensity} {strike.draw.random()}")
        (strike.restore if moment == "restore" else strike.lose)(strike.stage)
        return name

    return Operator(name=name, moment=moment, act=act, area="benign", **rest)


def rehearse(operator: Operator, calls: list[str]) -> tuple[str, ...]:
    """The moments in their order; what was told after each."""

    def note(what: str) -> Callable[[Stage], None]:
        return lambda _: calls.append(what)

    method = operator.method(cast(Method, SimpleNamespace(name="m", back_up=note("back up"), restore=note("restore"))))
    loss = operator.loss(cast(Loss, SimpleNamespace(name="l", lose=note("lose"))))
    told = [operator.before_nonce(STAGE, method), operator.before_backup(STAGE)]
    method.back_up(STAGE)
    told.append(operator.after_backup(STAGE))
    loss.lose(STAGE)
    method.restore(STAGE)
    return (*told, operator.after_restore(STAGE))


def test_each_strikes_once_at_its_own_moment_and_with_its_own_draw() -> None:
    calls: list[str] = []
    one, other = make("one", "restore", calls), make("other", "after restore", calls)
    assert rehearse(pair_up(one, other).seeded(7, 3), calls) == ("", "", "", "one, other")
    together = list(calls)
    calls.clear()
    for alone in (one, other):
        rehearse(alone.seeded(7, 3), calls)
    struck = [call for call in calls if call not in ("back up", "lose", "restore")]
    assert together == ["back up", "lose", struck[0], "restore", struck[1]]


def test_before_and_after_the_backup_and_in_the_loss() -> None:
    calls: list[str] = []
    one, other = make("one", "before backup", calls), make("other", "after backup", calls)
    assert rehearse(pair_up(one, other), calls) == ("", "one", "other", "")
    calls.clear()
    assert rehearse(pair_up(make("lose", "loss", calls), one), calls)[-1] == "lose"
    assert [call.split()[0] for call in calls] == ["one", "back", "lose", "lose", "restore"]


def test_a_pair_concerns_what_both_concern() -> None:
    one = Operator(name="one", loses=("session-db",), needs=("auth",), replicas=2)
    other = Operator(name="other", loses=("file-storage", "session-db"), checks=("files",))
    pair = pair_up(one, other)
    assert pair.loses == ("session-db", "file-storage")
    assert pair.concerns == ("session-db", "file-storage", "auth")
    assert (pair.replicas, pair.checks, pair.name) == (2, ("files",), "one + other")


def test_two_that_stand_in_for_the_same_step_do_not_go_together() -> None:
    one, other = make("one", "restore", []), make("other", "restore", [])
    assert not go_together(one, other)
    assert not go_together(one, one)
    assert not go_together(make("a", "after restore", []), make("b", "after restore", [], files_by="cp"))
    assert go_together(make("a", "after restore", []), make("b", "after restore", []))
    with pytest.raises(ValueError, match="do not go together"):
        pair_up(one, other)
