"""Worker processes: one that dies takes its trial along, one that hangs is stopped, an error of all ends all."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from rehearsal.errors import EnvironmentUnfit
from rehearsal.proof import workers
from rehearsal.proof.trials import Outcome, Trial, TrialResult
from rehearsal.proof.workers import Workers


def pretend(trials: Connection, folder: Path, name: str, pg_bin: Path | None) -> None:
    """A worker that does what the trial's name says."""
    trials.send(workers.READY)
    while (trial := trials.recv()) is not None:
        if trial.operator == "die":
            os._exit(7)
        if trial.operator == "hang":
            time.sleep(600)
        if trial.operator == "unfit":
            trials.send(EnvironmentUnfit("no server binaries", hint="apt-get install postgresql"))
            return
        trials.send(TrialResult(trial, Outcome.KILLED, named=True))


def perform(tmp_path: Path, *names: str) -> dict[str, TrialResult]:
    trials = [Trial(name, False, 1) for name in names]
    with Workers(tmp_path, 1, target=pretend) as crew:
        return {result.trial.operator: result for result in crew.perform(trials)}


def test_a_worker_that_dies_is_replaced_and_its_trial_is_no_kill(tmp_path: Path) -> None:
    results = perform(tmp_path, "one", "die", "two")
    assert results["die"].outcome is Outcome.INCONCLUSIVE
    assert results["die"].told == ("its worker ended: 7",)
    assert results["one"].outcome is results["two"].outcome is Outcome.KILLED


def test_a_trial_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TRIAL_DEADLINE", 1.0)
    results = perform(tmp_path, "hang", "two")
    assert results["hang"].outcome is Outcome.INCONCLUSIVE
    assert results["hang"].told == ("not over after 1 s",)
    assert results["two"].outcome is Outcome.KILLED


def test_what_no_worker_can_do_ends_the_proof_in_words(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="no server binaries"):
        perform(tmp_path, "unfit", "two")
