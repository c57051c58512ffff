"""Draws are the ground of the seed: they must never change, on no machine."""

from __future__ import annotations

import uuid

import pytest

from rehearsal.chipster.draws import YEAR, Draws, count_unix_seconds, write_instant


def test_a_name_always_draws_the_same() -> None:
    draws = Draws(1, "file", 7)
    drawn = (draws.bits(32), draws.below(1_000), draws.pick("abcdefgh"), draws.uuid(), draws.bits(128))
    # Golden: the first values of this name. When they change, every seed on earth changes.
    assert drawn == (
        2569531652,
        904,
        "d",
        "3f1c69e1-257f-459f-8cd9-804a2f8f9574",
        325306002412518540575169873360760780638,
    )


def test_parts_of_a_name_do_not_run_together() -> None:
    assert Draws(1, "file", 11).bits(64) != Draws(11, "file", 1).bits(64)
    assert Draws(1, 23).bits(64) != Draws(12, 3).bits(64)


def test_numbers_lie_below_their_limit_and_reach_both_ends() -> None:
    draws = Draws(3, "limits")
    drawn = {draws.below(3) for _ in range(200)}
    assert drawn == {0, 1, 2}
    assert draws.below(1) == 0
    wide = [draws.below(2**40) for _ in range(200)]
    assert max(wide) > 2**39
    assert max(wide) < 2**40


def test_uuids_are_of_version_4_and_differ() -> None:
    draws = Draws(4, "uuid")
    drawn = [uuid.UUID(draws.uuid()) for _ in range(500)]
    assert {value.version for value in drawn} == {4}
    assert {value.variant for value in drawn} == {uuid.RFC_4122}
    assert len(set(drawn)) == 500


@pytest.mark.parametrize(
    ("microseconds", "text", "seconds"),
    [
        (0, "2019-01-01 00:00:00.000000+00:00", 1546300800),
        (1, "2019-01-01 00:00:00.000001+00:00", 1546300800),
        (YEAR - 1, "2019-12-31 23:59:59.999999+00:00", 1577836799),
    ],
)
def test_instants(microseconds: int, text: str, seconds: int) -> None:
    assert write_instant(microseconds) == text
    assert count_unix_seconds(microseconds) == seconds
