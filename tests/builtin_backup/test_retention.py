"""Which archives are kept, held against the rule in its plainest words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rehearsal.builtin_backup.names import BackupName, make_name
from rehearsal.builtin_backup.retention import (
    DAY,
    Rules,
    choose_doomed_twins,
    choose_kept,
    choose_removed,
    doubt_clock,
    explain_absence,
)

START = 1_768_439_400_000_000_000  # 2026-01-15T01:10:00Z
HOUR = DAY // 24


def dump(hours: int) -> BackupName:
    return make_name("auth-db-backup", START + hours * HOUR)


def files(hours: int) -> BackupName:
    return make_name("file-storage-0", START + hours * HOUR)


def test_the_first_of_each_day_and_of_each_month_is_kept() -> None:
    names = [dump(24 * day + hour) for day in range(120) for hour in (0, 8)]
    now = names[-1].nanoseconds + HOUR
    kept = sorted(choose_kept(names, Rules(), now))
    daily = [dump(24 * day) for day in range(30, 120)]
    monthly = [dump(24 * day) for day in (0, 17)]  # 15 January and 1 February; 1 March is a daily one
    assert kept == monthly + daily
    assert choose_removed(names, Rules(), now) == tuple(name for name in names if name not in kept)


def test_days_with_an_archive_are_counted_not_days_of_the_calendar() -> None:
    names = [dump(24 * 10 * number) for number in range(90)]  # one in ten days, for more than two years
    assert choose_kept(names, Rules(), names[-1].nanoseconds) == set(names)


def test_a_lower_daily_count_counts_as_three_and_no_months_may_be_kept() -> None:
    names = [dump(24 * day) for day in range(40)]
    assert choose_kept(names, Rules(daily=1, monthly=0), names[-1].nanoseconds) == set(names[-3:])
    assert choose_kept(names, Rules(daily=5, monthly=1), names[-1].nanoseconds) == {names[17], *names[-5:]}


def test_archives_of_files_are_kept_60_days_and_the_last_60_in_any_case() -> None:
    often = [files(12 * half) for half in range(200)]
    now = often[-1].nanoseconds
    assert choose_kept(often, Rules(), now) == set(often[-120:])
    seldom = [files(48 * number) for number in range(70)]
    assert choose_kept(seldom, Rules(), seldom[-1].nanoseconds) == set(seldom[-60:])


@given(
    st.sets(st.integers(0, 24 * 400), min_size=1, max_size=60),
    st.integers(0, 24 * 20),
    st.integers(3, 6),
    st.integers(0, 4),
)
def test_dumps_are_kept_as_the_rule_says(hours: set[int], later: int, daily: int, monthly: int) -> None:
    names = {dump(hour) for hour in hours}
    kept = choose_kept(names, Rules(daily=daily, monthly=monthly), START + (max(hours) + later) * HOUR)
    days = sorted({str(name.taken.date()) for name in names})[-daily:]
    months = sorted({str(name.taken.date())[:7] for name in names})[-monthly:] if monthly else []
    expected = {min(name for name in names if name.instant.startswith(period)) for period in (*days, *months)}
    assert kept == expected


@given(
    st.sets(st.integers(0, 24 * 30), min_size=1, max_size=40),
    st.integers(0, 24 * 20),
    st.integers(1, 6),
)
def test_files_are_kept_as_the_rule_says(hours: set[int], later: int, days: int) -> None:
    now = max(hours) + later
    kept = choose_kept({files(hour) for hour in hours}, Rules(file_days=days), START + now * HOUR)
    assert kept == {files(hour) for hour in hours if now - hour < 24 * days} | {
        files(hour) for hour in sorted(hours)[-days:]
    }


def test_a_clock_in_doubt_removes_nothing() -> None:
    names = [files(24 * day) for day in range(100)]
    newest = names[-1].nanoseconds
    assert doubt_clock(names, newest + 7 * DAY) == ""
    assert choose_removed(names, Rules(), newest + 7 * DAY)
    assert "more than 7 days old" in doubt_clock(names, newest + 7 * DAY + 1)
    assert choose_removed(names, Rules(), newest + 7 * DAY + 1) == ()
    assert "newer than the clock" in doubt_clock(names, newest - 1)
    assert choose_removed(names, Rules(), newest - 1) == ()
    assert doubt_clock([], 0) == ""
    assert choose_kept([], Rules(), 0) == frozenset()


def test_the_second_of_a_day_is_doomed_and_told_with_the_first() -> None:
    assert choose_doomed_twins([dump(5), dump(0), dump(24), dump(22)]) == ((dump(5), dump(0)), (dump(22), dump(0)))
    assert choose_doomed_twins([files(0), files(5)]) == ()


def test_why_a_backup_is_gone() -> None:
    now = START + 100 * DAY
    left = [files(24 * day) for day in range(41, 101)] + [dump(24 * day) for day in range(11, 101)] + [dump(0)]
    cases = {
        files(
            24 * 40
        ): "archives of files are removed after 60 days; the oldest that is left is of 2026-02-25T01:10:00Z",
        files(24 * 50 + 3): "it is younger than 60 days, no clean-up has removed it",
        files(24 * 200): "the newest that is there is of 2026-04-25T01:10:00Z",
        dump(24 * 2): "archives of a database are kept for 90 days, and the first of each of 24 months",
        dump(24 * 50 + 3): f"of each day only the first archive is kept, {dump(24 * 50)}",
        make_name("job-history-db-backup", START): "no backup of job-history-db-backup is there at all",
    }
    for name, why in cases.items():
        assert explain_absence(name, left, Rules(), now).startswith(why), name
    assert explain_absence(dump(24 * 50), [n for n in left if n != dump(24 * 50)], Rules(), now).startswith(
        "no clean-up has removed it"
    )
