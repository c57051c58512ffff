"""The scenarios that ship are the ones the project promises; a broken file is told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.errors import UsageError
from rehearsal.scenario_files import default_folder, load_scenario, load_scenarios, pick_scenarios


def test_losses_and_controls_in_order() -> None:
    scenarios = load_scenarios(default_folder())
    assert [scenario.name for scenario in scenarios if not scenario.is_control] == [
        "lose-session-db",
        "lose-auth",
        "lose-job-history",
        "lose-files-cp",
        "lose-files-tar",
        "lose-everything",
        "s3-lose-session-db",
        "s3-lose-session-db-incremental",
        "s3-lose-session-db-archive",
        "s3-lose-files",
        "s3-lose-files-incremental",
        "s3-lose-files-unencrypted",
        "s3-lose-everything",
        "s3-lose-everything-archive",
        "s3-lose-everything-mixed",
    ]
    assert [scenario.name for scenario in scenarios if scenario.is_control] == [
        "control-byte-flipped",
        "control-claim-kept",
        "control-disk-full",
        "control-large-objects-cut",
        "control-old-data",
        "control-restore-skipped",
        "control-row-changed",
        "control-s3-chain-broken",
        "control-s3-over-tables",
        "control-s3-package-replaced",
        "control-s3-wrong-key",
        "control-service-writes",
        "control-stream-cut",
        "control-tar-cut",
        "control-terminal-dump",
        "control-yesterdays-set",
    ]


def test_every_control_says_why_and_what_must_catch_it() -> None:
    for scenario in load_scenarios(default_folder()):
        if scenario.is_control:
            assert scenario.tampering is not None
            assert len(scenario.tampering.why) > 20
            assert scenario.expects is not None
            assert scenario.expects.check


def test_picking_keeps_the_order_asked_for() -> None:
    scenarios = load_scenarios(default_folder())
    assert [s.name for s in pick_scenarios(scenarios, ["lose-auth", "lose-session-db"])] == [
        "lose-auth",
        "lose-session-db",
    ]
    assert pick_scenarios(scenarios, []) == scenarios


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no scenario 'lose-al'") as caught:
        pick_scenarios(load_scenarios(default_folder()), ["lose-al"])
    assert "lose-everything" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [("SCENARIO = 1\n", "defines no `SCENARIO"), ("import nothing_there\n", "cannot be read: ModuleNotFoundError")],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_scenario(path)
    assert caught.value.where == str(path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no scenarios"):
        load_scenarios(tmp_path)


def test_two_of_one_name_are_an_error(tmp_path: Path) -> None:
    text = (default_folder() / "lose_auth.py").read_text()
    (tmp_path / "a.py").write_text(text)
    (tmp_path / "b.py").write_text(text)
    with pytest.raises(UsageError, match="two scenarios are called lose-auth"):
        load_scenarios(tmp_path)
