"""Every operator on the restored system is seen and named by the inventories; no benign change makes a difference."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from restored_like import RestoredLike, start_restored_like

from rehearsal.checks.content import ASPECTS
from rehearsal.inventory import Difference
from rehearsal.tampering.every import BENIGN, OPERATORS
from rehearsal.tampering.operators import REGISTRY, Operator

OURS = {
    f"rehearsal.tampering.{name}"
    for name in (
        "restored_rows",
        "restored_row_sets",
        "restored_objects",
        "restored_schema",
        "restored_files",
        "benign_databases",
        "benign_servers",
    )
}
DAMAGING = [found for found in OPERATORS if found.act.__module__ in OURS]
HARMLESS = [found for found in BENIGN if found.act.__module__ in OURS or found.moment == "after restore"]
NEEDS_ROOT = "file owned by root"


@pytest.fixture(scope="module")
def system() -> Iterator[RestoredLike]:
    with tempfile.TemporaryDirectory(prefix="rehearsal-operators-") as folder:
        Path(folder).chmod(0o755)
        with start_restored_like(Path(folder)) as started:
            yield started


def name_test(found: Operator) -> str:
    return found.name.replace(" ", "-")


def strike(system: RestoredLike, found: Operator) -> tuple[str, dict[str, list[Difference]]]:
    """What it says it struck, and the differences by check."""
    checks = {"files": "files", **{aspect: check for check, aspect in ASPECTS.items()}}
    with system.fresh(found) as stage:
        struck = found.before_backup(stage) if found.moment == "before backup" else found.after_restore(stage)
        compared = system.compare(stage.lost[0])
    return struck, {checks[aspect]: list(differences.named) for aspect, differences in compared.items()}


@pytest.mark.parametrize("found", DAMAGING, ids=name_test)
def test_damage_is_named(found: Operator, system: RestoredLike) -> None:
    struck, differences = strike(system, found)
    if found.name == NEEDS_ROOT and os.geteuid() != 0:
        assert (struck, differences) == ("", {"files": []})  # the pod's user cannot do it: equivalent, and said so
        return
    assert struck
    named = [difference.subject for check in found.checks for difference in differences[check]]
    assert any(struck in subject for subject in named), (struck, differences)


@pytest.mark.parametrize("found", HARMLESS, ids=name_test)
def test_benign_change_makes_no_difference(found: Operator, system: RestoredLike) -> None:
    try:
        struck, differences = strike(system, found)
    finally:
        system.reset_server()
    assert struck
    assert not any(differences.values()), differences


@pytest.mark.parametrize(
    "name", ["one row changed", "large object's byte flipped", "index lost", "one file's byte flipped"]
)
def test_a_seed_strikes_the_same_object_again_and_another_one_elsewhere(name: str, system: RestoredLike) -> None:
    struck = []
    for seed in (7, 7, 8, 9):
        found = REGISTRY[name].seeded(seed)
        with system.fresh(found) as stage:
            struck.append(found.after_restore(stage))
    assert struck[0] == struck[1]
    assert len(set(struck)) > 1


@pytest.mark.parametrize(
    ("name", "check"),
    [("one row changed", "rows"), ("large object missing", "large-objects"), ("file missing", "files")],
)
def test_intensity_is_how_many(name: str, check: str, system: RestoredLike) -> None:
    struck, differences = strike(system, REGISTRY[name].seeded(1, intensity=4))
    assert len(differences[check]) == 4
    assert struck in differences[check][0].subject  # the first: a report names no more than twenty


def test_nothing_there_is_nothing_struck(system: RestoredLike) -> None:
    found = REGISTRY["trigger lost"]
    with system.fresh(found) as stage:
        with system.connect(system.in_use["session-db"]) as connection:
            connection.execute("DROP SCHEMA rehearsal_extras CASCADE")
        assert found.after_restore(stage) == ""
        assert REGISTRY["an empty table lost"].after_restore(stage) == ""
        assert REGISTRY["one file's byte flipped"].after_restore(replace(stage, stores=(), lost=())) == ""
