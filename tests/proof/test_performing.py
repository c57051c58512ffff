"""One trial for real: an intact restore is no mutant, what nobody sees has survived, what breaks is no kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.proof import performing
from rehearsal.proof.performing import Workshop
from rehearsal.proof.trials import Outcome, Trial
from rehearsal.tampering.operators import Operator, Strike


def do_nothing(strike: Strike) -> str:
    return strike.stage.lost[0].name


def break_down(strike: Strike) -> str:
    raise LookupError(strike.stage.run_id)


OPERATORS = (
    Operator(name="idle", act=do_nothing, loses=("*",), checks=("rows", "untouched")),
    Operator(name="unseen", act=do_nothing, loses=("auth",), checks=("rows",), differs="procedure"),
    Operator(name="broken", act=break_down, loses=("auth",), checks=("rows",)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proof")


@pytest.fixture(scope="module")
def workshop(folder: Path) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(performing, "OPERATORS", OPERATORS)
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
    result = workshop.perform(Trial("unseen", False, 1))
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
