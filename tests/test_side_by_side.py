"""Rehearsals at the same time: reports come back, a child that dies is told, an interruption reaches each once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from record_builder import make_record

from rehearsal.errors import RehearsalError
from rehearsal.options import Options
from rehearsal.record import read_record, write_record
from rehearsal.run import Performed, Run
from rehearsal.scenario import Scenario
from rehearsal.scenario_files import default_folder, load_scenarios
from rehearsal.side_by_side import perform_side_by_side
from rehearsal.verdicts import Verdict

SCENARIOS = load_scenarios(default_folder())[:4]


class Rehearsing(Run):
    """A run whose rehearsals only wait a moment and write down when they went on."""

    seconds = 0.3

    def prepare(self) -> None:
        (self.folder / "prepared").touch()

    def perform(self, scenario: Scenario) -> Performed:
        began = time.monotonic()
        note = self.folder / f"{scenario.name}.times"
        try:
            note.write_text(f"{began}")
            time.sleep(self.seconds)
        finally:
            (self.folder / f"{scenario.name}.cleaned").write_text(str(os.getpid()))
        note.write_text(f"{began} {time.monotonic()}")
        self.kept.append(f"look into {scenario.name}")
        return self.conclude(scenario, RehearsalError("only waited"))


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with Rehearsing(Options(cluster="local", runs=tmp_path)) as run:
        yield run


def do_nothing(run: Run, scenario: Scenario) -> None:
    """Listeners stay as they are."""


def count_at_once(folder: Path) -> int:
    spans = [tuple(map(float, path.read_text().split())) for path in folder.glob("*.times")]
    return max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans)


def test_every_report_comes_back_in_the_runs_order(run: Rehearsing) -> None:
    ended = list(perform_side_by_side(run, SCENARIOS, 3, do_nothing))
    assert sorted(one.scenario.name for one in ended) == sorted(scenario.name for scenario in SCENARIOS)
    assert [one.scenario for one in run.performed] == list(SCENARIOS)
    assert all(one.report.scenario == one.scenario.name for one in ended)
    assert sorted(run.kept) == sorted(f"look into {scenario.name}" for scenario in SCENARIOS)
    assert (run.folder / "prepared").exists()


def test_never_more_at_once_than_asked_for(run: Rehearsing) -> None:
    list(perform_side_by_side(run, SCENARIOS, 2, do_nothing))
    assert count_at_once(run.folder) == 2


def test_each_child_adapts_its_own_run(run: Rehearsing) -> None:
    def note(child: Run, scenario: Scenario) -> None:
        (child.folder / f"{scenario.name}.adapted").write_text(str(os.getpid()))

    list(perform_side_by_side(run, SCENARIOS, 2, note))
    adapted = {path.read_text() for path in run.folder.glob("*.adapted")}
    assert len(adapted) == len(SCENARIOS)
    assert str(os.getpid()) not in adapted


def test_a_child_that_dies_learnt_nothing_and_the_others_go_on(run: Rehearsing) -> None:
    def die(child: Run, scenario: Scenario) -> None:
        if scenario is SCENARIOS[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    list(perform_side_by_side(run, SCENARIOS, 2, die))
    assert len(run.performed) == len(SCENARIOS)
    dead = run.performed[1]
    assert dead.report.verdict is Verdict.INCONCLUSIVE
    said = read_record(dead.folder).troubles[0].message
    assert "the process that performed it died (status -9)" in said


class DyingLate(Rehearsing):
    """Its rehearsals pass, are written down, and die before they have removed their cluster."""

    def perform(self, scenario: Scenario) -> Performed:
        folder = self.folder / scenario.name
        folder.mkdir()
        write_record(folder, make_record(folder))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("dead")


def test_a_child_that_dies_after_its_record_was_written_is_not_green(tmp_path: Path) -> None:
    with DyingLate(Options(cluster="local", runs=tmp_path)) as run:
        list(perform_side_by_side(run, SCENARIOS[:1], 2, do_nothing))
        (dead,) = run.performed
    assert dead.report.verdict is not Verdict.PASS
    assert read_record(dead.folder).troubles[0].message.startswith("the process that performed it died")


class CleaningSlowly(Rehearsing):
    """Its rehearsals last longer than anybody waits, and their clean-up takes a moment."""

    seconds = 60.0

    def perform(self, scenario: Scenario) -> Performed:
        (self.folder / f"{scenario.name}.began").touch()
        try:
            time.sleep(self.seconds)
        finally:
            (self.folder / f"{scenario.name}.cleaning").touch()
            time.sleep(0.5)
            (self.folder / f"{scenario.name}.cleaned").touch()
        raise AssertionError("nobody interrupted it")


@contextmanager
def ctrl_c_when(folder: Path, *patterns: str) -> Iterator[None]:
    """Send SIGINT to ourselves once for each pattern, in turn, when two files fit it."""
    waiting = list(patterns)

    def look(number: int, frame: object) -> None:
        if waiting and len(list(folder.glob(waiting[0]))) == 2:
            waiting.pop(0)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)  # a timer is the parent's alone: a fork does not inherit it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not waiting, "it was interrupted as often as it should be"


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param(["*.began"], id="once"),
        pytest.param(["*.began", "*.cleaning"], id="again while they clean up"),
    ],
)
def test_an_interruption_ends_each_child_after_its_own_clean_up(tmp_path: Path, patterns: list[str]) -> None:
    began = time.monotonic()
    parent = os.getpid()

    def handle_terminations(child: Run, scenario: Scenario) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line does

    with CleaningSlowly(Options(cluster="local", runs=tmp_path)) as run:
        with ctrl_c_when(run.folder, *patterns), pytest.raises(KeyboardInterrupt):
            list(perform_side_by_side(run, SCENARIOS, 2, handle_terminations))
        assert os.getpid() == parent
        assert time.monotonic() - began < 50, "nobody waited for the end of a rehearsal"
        cleaned = list(run.folder.glob("*.cleaned"))
        assert len(cleaned) == 2, "both that had begun cleaned up, no third one was begun"
        assert multiprocessing.active_children() == [], "they are gone"


def test_who_interrupts_a_third_time_leaves_them_and_is_told(tmp_path: Path) -> None:
    def handle_terminations(child: Run, scenario: Scenario) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    with CleaningSlowly(Options(cluster="local", runs=tmp_path)) as run:
        often = ("*.began", "*.cleaning", "*.cleaning")
        with ctrl_c_when(run.folder, *often), pytest.raises(KeyboardInterrupt) as told:
            list(perform_side_by_side(run, SCENARIOS, 2, handle_terminations))
        assert told.value.__notes__ == ["rehearsals still clean up behind themselves; then: rehearsal clean"]
        for child in multiprocessing.active_children():
            child.join(30)
        assert len(list(run.folder.glob("*.cleaned"))) == 2
