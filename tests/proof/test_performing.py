"""One trial for real: an intact restore is no mutant, what nobody sees has survived, what breaks is no kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.proof import performing
from rehearsal.proof.performing import Workshop
from rehearsal.proof.trials import Outcome, Trial
from rehearsal.tampering.every import OPERATORS as EVERY
from rehearsal.tampering.operators import Operator, Strike

SEEN: dict[str, tuple[str, ...]] = {}
"""What each operator found deployed."""


def do_nothing(strike: Strike) -> str:
    return strike.stage.lost[0].name


def look_around(strike: Strike) -> str:
    SEEN["look around"] = tuple(store.name for store in strike.stage.stores)
    return "looked"


def count_calls(strike: Strike) -> str:
    SEEN["count calls"] = (*SEEN.get("count calls", ()), "struck")
    strike.restore(strike.stage)
    return "counted"


def break_down(strike: Strike) -> str:
    raise LookupError(strike.stage.run_id)


OPERATORS = (
    Operator(name="idle", act=do_nothing, loses=("*",), checks=("rows", "untouched")),
    Operator(name="unseen", act=do_nothing, loses=("auth",), checks=("rows",), differs="procedure"),
    Operator(name="broken", act=break_down, loses=("auth",), checks=("rows",)),
    next(one for one in EVERY if one.name == "a user gone"),
)

CALM = (
    Operator(name="look around", act=look_around, area="benign", loses=("auth",)),
    Operator(name="count calls", act=count_calls, area="benign", moment="restore", loses=("file-storage",)),
    Operator(name="breaks", act=break_down, area="benign", loses=("auth",)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proof")


@pytest.fixture(scope="module")
def workshop(folder: Path) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(performing, "OPERATORS", OPERATORS)
        patch.setattr(performing, "BENIGN", CALM)
        with Workshop(folder, "worker-0") as workshop:
            yield workshop


def test_an_intact_restore_is_an_equivalent_mutant_and_leaves_nothing(workshop: Workshop, folder: Path) -> None:
    result = workshop.perform(Trial("idle", False, 1))
    assert (result.outcome, result.by, result.told) == (Outcome.EQUIVALENT, (), ())
    assert result.struck == ("session-db",)
    assert not any(result.rivals.values())
    assert None not in result.rivals.values()
    assert [entry.name for entry in folder.iterdir()] == ["worker-0"]


def test_what_no_check_sees_has_survived_and_is_kept_with_a_report(workshop: Workshop, folder: Path) -> None:
    result = workshop.perform(Trial("unseen", False, 1, rivals=False))
    assert result.rivals == {}
    assert (result.outcome, result.named, result.kept) == (Outcome.SURVIVED, False, "operator-unseen-1")
    report = json.loads((folder / result.kept / "report.json").read_text())
    assert report["control"]["caught"] is False
    assert (folder / result.kept / "journal.jsonl").exists()


def test_a_trial_that_breaks_is_inconclusive_and_is_kept(workshop: Workshop, folder: Path) -> None:
    result = workshop.perform(Trial("broken", False, 1))
    assert (result.outcome, result.named) == (Outcome.INCONCLUSIVE, False)
    assert any("LookupError" in told for told in result.told)
    assert (folder / result.kept / "record.json").exists()
    unknown = workshop.perform(Trial("no such operator", False, 1))
    assert unknown.outcome is Outcome.INCONCLUSIVE
    assert (folder / unknown.kept / "crash.txt").exists()


def find_trial(name: str, other: str, *, whole: bool) -> Trial:
    trials = (Trial(name, True, seed, rivals=False, other=other) for seed in range(1, 100))
    return next(trial for trial in trials if trial.whole_deployment is whole)


def test_two_benign_changes_strike_in_one_rehearsal_without_databases_of_no_concern(workshop: Workshop) -> None:
    SEEN.clear()
    result = workshop.perform(find_trial("look around", "count calls", whole=False))
    assert result.outcome is Outcome.GREEN
    assert SEEN == {"look around": ("session-db", "auth", "file-storage-0"), "count calls": ("struck",)}


def test_some_trials_have_every_database(workshop: Workshop) -> None:
    for whole, left_out in ((True, ()), (False, ("job-history",))):
        deployment = workshop.choose_deployment(find_trial("unseen", "", whole=whole), OPERATORS[1])
        assert deployment.disabled == left_out
        assert {database.name for database in deployment.databases}.isdisjoint(left_out)
    assert workshop.choose_deployment(find_trial("idle", "", whole=False), OPERATORS[0]).disabled == ()


def test_a_pair_of_which_one_breaks_is_not_green(workshop: Workshop) -> None:
    result = workshop.perform(Trial("breaks", True, 1, rivals=False, other="count calls"))
    assert result.outcome is Outcome.INCONCLUSIVE


def test_a_mutant_is_shown_to_differ_without_the_rivals_too(workshop: Workshop) -> None:
    result = workshop.perform(Trial("a user gone", False, 2, rivals=False))
    assert (result.outcome, result.named, result.rivals) == (Outcome.KILLED, True, {})
