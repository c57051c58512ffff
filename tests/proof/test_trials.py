"""What a trial may count as: never a kill by accident, never green by default."""

from __future__ import annotations

from collections import Counter

import pytest
from proof_builder import CALM, CUT, ROW

from rehearsal.errors import UsageError
from rehearsal.proof.trials import (
    Outcome,
    Trial,
    find_killers,
    is_named,
    pick_operators,
    plan_trials,
    weigh_benign,
    weigh_mutant,
)
from rehearsal.tampering.every import BENIGN, OPERATORS
from rehearsal.tampering.operators import go_together
from rehearsal.verdicts import Finding, Verdict


def finding(check: str, subject: str, verdict: Verdict = Verdict.FAIL) -> Finding:
    return Finding(check=check, verdict=verdict, subject=subject, message="")


@pytest.mark.parametrize(
    ("verdict", "broken_in", "completed", "differs", "outcome"),
    [
        (Verdict.FAIL, (), True, True, Outcome.KILLED),
        (Verdict.PASS, (), True, True, Outcome.SURVIVED),
        (Verdict.INCONCLUSIVE, (), True, True, Outcome.INCONCLUSIVE),
        (Verdict.FAIL, (), True, False, Outcome.EQUIVALENT),
        (Verdict.FAIL, ("restore",), False, True, Outcome.KILLED),
        (Verdict.INCONCLUSIVE, ("restore",), False, True, Outcome.INCONCLUSIVE),
        (Verdict.FAIL, ("tamper with the system",), False, True, Outcome.INCONCLUSIVE),
        (Verdict.FAIL, ("restore", "clean up"), False, True, Outcome.INCONCLUSIVE),
        (Verdict.FAIL, ("clean up",), True, True, Outcome.INCONCLUSIVE),
        (Verdict.FAIL, (), False, True, Outcome.INCONCLUSIVE),
    ],
)
def test_what_a_mutant_came_to(
    verdict: Verdict, broken_in: tuple[str, ...], completed: bool, differs: bool, outcome: Outcome
) -> None:
    assert weigh_mutant(verdict, broken_in=broken_in, completed=completed, differs=differs) is outcome


@pytest.mark.parametrize(
    ("verdict", "broken_in", "outcome"),
    [
        (Verdict.PASS, (), Outcome.GREEN),
        (Verdict.PASS, ("clean up",), Outcome.INCONCLUSIVE),
        (Verdict.FAIL, (), Outcome.RED),
        (Verdict.INCONCLUSIVE, (), Outcome.INCONCLUSIVE),
        (Verdict.NOT_RUN, (), Outcome.INCONCLUSIVE),
    ],
)
def test_what_a_benign_change_came_to(verdict: Verdict, broken_in: tuple[str, ...], outcome: Outcome) -> None:
    assert weigh_benign(verdict, broken_in=broken_in, completed=True) is outcome


def test_named_is_the_right_check_on_the_struck_object_and_a_fail() -> None:
    findings = [finding("rows", 'session-db: public.session ["1"]'), finding("nonce", "auth", Verdict.PASS)]
    assert is_named(findings, ("rows",), ('public.session ["1"]',))
    assert not is_named(findings, ("rows",), ('public.session ["2"]',))
    assert not is_named(findings, ("rows",), ('public.session ["1"]', "job"))
    assert not is_named(findings, ("tables",), ('public.session ["1"]',))
    assert not is_named(findings, ("nonce",), ("auth",))
    assert not is_named(findings, ("rows",), ())
    assert find_killers(findings) == ("rows",)


def test_the_plan_has_every_seed_and_enough_benign_runs() -> None:
    trials = plan_trials((ROW, CUT), (CALM,), 3, 20, benign_total=300)
    mutants = [trial for trial in trials if not trial.benign]
    assert [(t.operator, t.seed, t.intensity) for t in mutants[:3]] == [
        (ROW.name, 1, 1),
        (ROW.name, 2, 1),
        (ROW.name, 3, 3),
    ]
    assert len(mutants) == 6
    assert [trial.seed for trial in mutants if trial.rivals] == [1, 1]
    harmless = [trial for trial in trials if trial.benign]
    assert len(harmless) == 300
    assert all(trial.names == (CALM.name,) for trial in harmless)
    assert [trial.seed for trial in harmless if trial.rivals] == [1]
    assert len({trial.folder for trial in trials}) == len(trials)
    assert len(plan_trials((ROW,), (), 3, 20, benign_total=300)) == 3


def test_benign_changes_go_two_at_a_time_with_changing_partners() -> None:
    harmless = plan_trials((), BENIGN, 3, 20, benign_total=300)
    part = Counter(name for trial in harmless for name in trial.names)
    assert set(part) == {one.name for one in BENIGN}
    assert min(part.values()) >= 20
    assert 300 <= len(harmless) <= 10 * len(BENIGN) + len(BENIGN)
    assert len({trial.folder for trial in harmless}) == len(harmless)
    # the few changes of a built-in backup's set have each other alone for partners
    few = {one.name for one in BENIGN if one.builtin}
    met = Counter(frozenset(trial.names) for trial in harmless if not few & set(trial.names))
    assert max(met.values()) <= 2
    assert all(len(names) == 2 for names in met)
    by_name = {one.name: one for one in BENIGN}
    assert all(go_together(*(by_name[name] for name in trial.names)) for trial in harmless)
    first = {name: next(trial for trial in harmless if name in trial.names) for name in by_name}
    assert all(trial.rivals for trial in first.values())
    assert {trial.folder for trial in harmless if trial.rivals} == {trial.folder for trial in first.values()}
    assert plan_trials((), BENIGN, 3, 20, benign_total=300) == harmless


def test_every_change_takes_part_as_often_as_asked_for() -> None:
    for count in (1, 2, 5, 21):
        for changes in (BENIGN[:1], BENIGN[:2], BENIGN[:3], BENIGN[-3:], BENIGN):
            part = Counter(name for trial in plan_trials((), changes, 1, count) for name in trial.names)
            assert [part[one.name] >= count for one in changes] == [True] * len(changes)


def test_about_one_trial_in_five_has_every_database() -> None:
    trials = plan_trials(OPERATORS, BENIGN, 3, 20, benign_total=300)
    for benign in (True, False):
        kind = [trial.whole_deployment for trial in trials if trial.benign is benign]
        assert 1 / 6 <= sum(kind) / len(kind) <= 1 / 4
    alone = plan_trials([one for one in OPERATORS if one.name == trials[0].operator], (), 3, 1)
    assert [trial.whole_deployment for trial in alone] == [trial.whole_deployment for trial in trials[:3]]


def test_a_folder_is_named_after_the_trial() -> None:
    assert Trial("pg_dump's é/ü", False, 2).folder == "operator-pg-dump-s-----2"


def test_an_unknown_name_lists_near_ones() -> None:
    assert pick_operators((ROW, CUT), ("dump cut",)) == (CUT,)
    assert pick_operators((ROW, CUT), ()) == (ROW, CUT)
    with pytest.raises(UsageError, match="there is no operator 'dump cat'") as caught:
        pick_operators((ROW, CUT), ("dump cat",))
    assert "'dump cut'" in caught.value.hint
