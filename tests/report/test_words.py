"""How numbers, instants and names are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.report.words import make_visible, split_visible, word_bytes, word_clock, word_instant, word_seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.00 s"),
        (0.423, "0.42 s"),
        (9.996, "10.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (105.2, "1 min 45 s"),
        (3599.7, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_seconds(seconds, words):
    assert word_seconds(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (20_412_345, "20.4 MB"), (10**13, "10.0 TB")],
)
def test_bytes(size, words):
    assert word_bytes(size) == words


def test_instant():
    assert word_instant("2026-04-30T01:10:00.123Z") == "2026-04-30 01:10:00 UTC"
    assert word_instant("2026-04-30T01:10:00+00:00") == "2026-04-30 01:10:00 UTC"
    assert word_instant("2026-04-30T01:10:00+03:00") == "2026-04-30T01:10:00+03:00"
    assert word_instant("") == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 😀 עברית", "plain ä 漢 😀 עברית"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x00\x1b\x7f\x9b", "\\x00\\x1b\\x7f\\x9b"),
        ("\u202e\u2066\u200b\ufeff\u2028\u00a0", "\\u202e\\u2066\\u200b\\ufeff\\u2028\\xa0"),
        ("\udcff\ud800", "\\xff\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_visible(text, shown):
    assert make_visible(text) == shown


@given(st.text(st.characters()))
def test_what_is_shown_can_be_seen_and_encoded(text):
    shown = make_visible(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert all(character in shown for character in text if character.isprintable())
    assert "".join(piece for _, piece in split_visible(text)) == shown


def test_clock():
    assert word_clock("2026-04-30T01:10:00.264Z") == "01:10:00.2"
    assert word_clock("2026-04-30T01:10:00+00:00") == "01:10:00"
    assert word_clock("yesterday") == "yesterday"
