"""The accounting of a proof: survivors, crashes and equivalents each stay what they are."""

from __future__ import annotations

import json
from dataclasses import replace

from proof_builder import CALM, CHECKS, CUT, ROW, WHOLE, calm, mutant, prove_from

from rehearsal.proof.matrix import add_up
from rehearsal.proof.trials import Outcome, Trial, TrialResult


def test_a_whole_proof_adds_up() -> None:
    proof = prove_from(*WHOLE)
    assert proof.is_whole
    assert (proof.runs, proof.killed, proof.named, proof.benign_runs, proof.benign_green) == (4, 4, 4, 1, 1)
    row, cut = proof.operators
    assert (row.runs, row.killed, row.named, row.by, row.seconds) == (2, 2, 2, {"rows": 2}, 2.0)
    assert cut.by == {"rows": 2, "backup-set": 1}
    assert proof.seeds == 2


def test_the_json_has_the_promised_fields_and_no_other_in_an_operator() -> None:
    data = json.loads(prove_from(*WHOLE).model_dump_json())
    assert set(data["operators"][0]) == {
        *("name", "area", "why", "runs", "killed", "named", "by", "equivalent", "seconds", "rivals")
    }
    assert set(data["benign"][0]) == {"name", "runs", "green"}
    assert {"killed", "named", "runs", "benign_green", "benign_runs", "date", "tool_version", "schema_version"} < set(
        data
    )


def test_a_survivor_is_not_killed() -> None:
    proof = prove_from(mutant(ROW, 1, Outcome.SURVIVED, by=(), named=False), *WHOLE[1:])
    assert (proof.operators[0].runs, proof.operators[0].killed, proof.operators[0].named) == (2, 1, 1)
    assert not proof.is_whole


def test_a_crashed_run_is_a_run_and_no_kill_whatever_it_found() -> None:
    proof = prove_from(mutant(ROW, 1, Outcome.INCONCLUSIVE, by=("rows",), named=True), *WHOLE[1:])
    assert (proof.operators[0].runs, proof.operators[0].killed, proof.operators[0].named) == (2, 1, 1)
    assert proof.operators[0].by == {"rows": 1}
    assert not proof.is_whole


def test_killed_without_being_named_is_not_whole() -> None:
    proof = prove_from(mutant(ROW, 1, named=False), *WHOLE[1:])
    assert (proof.killed, proof.named) == (4, 3)
    assert not proof.is_whole


def test_equivalents_are_counted_apart_and_too_many_are_weak() -> None:
    equivalent = mutant(ROW, 3, Outcome.EQUIVALENT, by=(), named=False)
    proof = prove_from(*WHOLE, equivalent)
    assert (proof.operators[0].runs, proof.operators[0].equivalent) == (2, 1)
    assert proof.is_whole
    assert not proof.weak
    proof = prove_from(*WHOLE[1:], mutant(ROW, 1, Outcome.EQUIVALENT, by=(), named=False), equivalent)
    assert [one.name for one in proof.weak] == [ROW.name]


def test_an_operator_without_a_mutant_proves_nothing() -> None:
    proof = prove_from(*WHOLE[2:], mutant(ROW, 1, Outcome.EQUIVALENT, by=(), named=False))
    assert (proof.killed, proof.runs) == (2, 2)
    assert not proof.is_whole


def test_a_benign_run_that_is_not_green_breaks_the_proof() -> None:
    for outcome in (Outcome.RED, Outcome.INCONCLUSIVE):
        proof = prove_from(*WHOLE, calm(2, outcome))
        assert (proof.benign_green, proof.benign_runs) == (1, 2)
        assert not proof.is_whole


def test_a_red_rehearsal_counts_against_both_changes_and_once_in_the_total() -> None:
    other = replace(CALM, name="REINDEX")
    both = [TrialResult(Trial(CALM.name, True, seed, other=other.name), outcome) for seed, outcome in
            ((1, Outcome.GREEN), (2, Outcome.RED))]  # fmt: skip
    alone = TrialResult(Trial(other.name, True, 3), Outcome.GREEN)
    proof = add_up((), (CALM, other), (*both, alone), checks=CHECKS, date="2026-11-23", tool_version="9.9", seconds=1.0)
    assert [(one.name, one.runs, one.green) for one in proof.benign] == [("VACUUM FULL", 2, 1), ("REINDEX", 3, 2)]
    assert (proof.benign_runs, proof.benign_green, proof.benign_seeds) == (3, 2, 2)
    assert not proof.is_whole


def test_rivals_are_counted_on_the_same_mutants_and_on_harmless_changes() -> None:
    proof = prove_from(*WHOLE, mutant(CUT, 3, Outcome.EQUIVALENT, by=(), named=False), calm(2))
    assert proof.operators[0].rivals["sha256sum -c"] == 1
    assert proof.operators[0].rivals["row counts"] == 0
    assert proof.operators[0].rivals["1 % of files"] is None
    by_name = {rival.name: rival for rival in proof.rivals}
    sums, rows = by_name["sha256sum -c"], by_name["row counts"]
    assert (sums.caught, sums.of, sums.false_alarms, sums.benign_runs) == (2, 2, 0, 0)
    assert (rows.caught, rows.of, rows.false_alarms, rows.benign_runs) == (0, 2, 1, 1)


def test_only_what_is_as_wanted_is_thrown_away() -> None:
    assert mutant(ROW, 1).as_wanted
    assert calm(1).as_wanted
    assert mutant(ROW, 1, Outcome.EQUIVALENT, by=(), named=False).as_wanted
    assert not mutant(ROW, 1, Outcome.EQUIVALENT, by=("rows",)).as_wanted  # an alarm about nothing
    assert not mutant(ROW, 1, named=False).as_wanted
    assert not mutant(ROW, 1, Outcome.SURVIVED).as_wanted
    assert not calm(1, Outcome.INCONCLUSIVE).as_wanted
