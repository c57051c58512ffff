"""What continuous integration reads in summaries: the table it prints, and when one is red."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from scripts import load

ENTRIES: list[dict[str, Any]] = [
    {"scenario": "lose-auth", "verdict": "PASS", "control": None, "seconds": 4.23},
    {"scenario": "control-old-data", "verdict": "FAIL", "control": {"caught": True}, "seconds": 10.0},
]


def write(path: Path, *entries: dict[str, Any], verdict: str = "PASS", cluster: str = "local") -> Path:
    path.write_text(json.dumps({"verdict": verdict, "clusters": [cluster], "entries": entries}))
    return path


def test_the_table_has_a_line_for_each_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "one.json", *ENTRIES)
    missed = {**ENTRIES[1], "control": {"caught": False}}
    other = write(tmp_path / "other.json", missed, cluster="kind")
    assert load("tell_table").main([str(one), str(other)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["scenario", "cluster", "verdict", "seconds"],
        ["lose-auth", "local", "PASS", "4.2"],
        ["control-old-data", "local", "CAUGHT", "10.0"],
        ["control-old-data", "kind", "NOT", "CAUGHT", "10.0"],
    ]


def test_a_summary_that_is_missing_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "one.json", *ENTRIES)
    assert load("tell_table").main([str(tmp_path / "none.json"), str(one)]) == 1
    said = capsys.readouterr().out
    assert f"{tmp_path}/none.json: there is no summary" in said
    assert "lose-auth" in said


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`check_summary` of a project with these two scenarios."""
    module = load("check_summary")
    scenarios = [SimpleNamespace(name=str(entry["scenario"])) for entry in ENTRIES]
    monkeypatch.setattr(module, "load_scenarios", lambda folder: scenarios if folder.name == "scenarios" else [])
    return module


def test_all_as_it_should_be(reading: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "summary.json", *ENTRIES)
    assert reading.main(path) == 0
    assert capsys.readouterr().out == f"{path}: PASS, 2 rehearsals, 2 wanted, 0 not as they should be\n"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([ENTRIES[0]], "control-old-data: NOT RUN"),
        ([{**ENTRIES[0], "verdict": "INCONCLUSIVE"}, ENTRIES[1]], "lose-auth: INCONCLUSIVE"),
        ([ENTRIES[0], {**ENTRIES[1], "control": {"caught": False}}], "control-old-data: NOT CAUGHT"),
        ([*ENTRIES, {**ENTRIES[0], "scenario": "lose-luggage"}], "lose-luggage: nobody knows this rehearsal"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(
    reading: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    entries: list[dict[str, Any]],
    said: str,
) -> None:
    """Though the run itself says PASS."""
    assert reading.main(write(tmp_path / "summary.json", *entries)) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [f"  {said}"]


def test_a_run_that_does_not_say_pass_is_red(reading: ModuleType, tmp_path: Path) -> None:
    """All entries are right, and what the run created was not removed."""
    assert reading.main(write(tmp_path / "summary.json", *ENTRIES, verdict="INCONCLUSIVE")) == 1


def test_where_nothing_is_wanted_nothing_is_green(
    reading: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "load_scenarios", lambda _: [])
    assert reading.main(write(tmp_path / "summary.json")) == 1


def test_the_scenarios_of_this_project_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("check_summary").main(write(tmp_path / "summary.json")) == 1
    assert "  lose-everything: NOT RUN\n" in capsys.readouterr().out


def test_no_summary_is_one_red_line(reading: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reading.main(tmp_path / "summary.json") == 1
    assert capsys.readouterr().out == f"{tmp_path}/summary.json: there is no summary\n"
