"""A rehearsal that left something behind never says PASS, whatever broke its clean-up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from record_builder import make_record

from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Journal
from rehearsal.judging import judge
from rehearsal.lifetime import close_cluster
from rehearsal.record import read_record, write_record
from rehearsal.verdicts import CLEAN_UP, ControlOutcome, Finding, Verdict, weigh


class Closing:
    """A cluster whose removal breaks off."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def close(self) -> None:
        raise self.error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a rehearsal that passed."""
    rehearsal = tmp_path / "runs" / "run-1" / "lose-session-db"
    rehearsal.mkdir(parents=True)
    write_record(rehearsal, make_record(rehearsal))
    assert judge(read_record(rehearsal), rehearsal).verdict is Verdict.PASS
    return rehearsal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.jsonl")
    yield opened
    opened.close()


def close(error: BaseException, folder: Path, journal: Journal) -> None:
    cluster: Any = Closing(error)
    close_cluster(cluster, folder, journal)


@pytest.mark.parametrize("error", [EnvironmentUnfit("nodes are left"), OSError(28, "No space left on device")])
def test_what_cannot_be_removed_is_inconclusive(error: Exception, folder: Path, journal: Journal) -> None:
    close(error, folder, journal)
    assert judge(read_record(folder), folder).verdict is Verdict.INCONCLUSIVE
    (trouble,) = read_record(folder).troubles
    assert (trouble.phase, trouble.hint) == (CLEAN_UP, "rehearsal clean")


@pytest.mark.parametrize("error", [KeyboardInterrupt("SIGINT"), RuntimeError("a fault of ours")])
def test_a_clean_up_that_was_broken_off_is_inconclusive_and_says_what_to_do(
    error: BaseException, folder: Path, journal: Journal
) -> None:
    with pytest.raises(type(error)) as told:
        close(error, folder, journal)
    assert judge(read_record(folder), folder).verdict is Verdict.INCONCLUSIVE
    assert told.value.__notes__ == [f"something may be left: rehearsal clean --runs {folder.parent.parent}"]


def test_without_a_record_an_interruption_stays_one(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(KeyboardInterrupt):
        close(KeyboardInterrupt(), tmp_path, journal)


@pytest.mark.parametrize(
    ("subject", "verdict", "outcome"),
    [
        (CLEAN_UP, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        ("restore", Verdict.INCONCLUSIVE, Verdict.PASS),  # what the damage broke may be what catches it
        ("lose-auth", Verdict.PASS, Verdict.PASS),
    ],
)
def test_a_control_that_was_caught_is_green_only_if_it_left_nothing(
    subject: str, verdict: Verdict, outcome: Verdict
) -> None:
    control = ControlOutcome(tampering="t", why="w", expects_check="rows", expects_subject="auth", caught=True)
    findings = [
        Finding(check="rows", verdict=Verdict.FAIL, subject="auth", message="m"),
        Finding(check="completed", verdict=verdict, subject=subject, message="m"),
    ]
    assert weigh(Verdict.FAIL, control, findings) is outcome
