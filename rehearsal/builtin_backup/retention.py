"""Which archives the archive server keeps, and in what words one is gone: the rules alone, no file is touched here.

Of a database: the first archive of each day, the last 90 such days, and the first of each month, the last 24 such
months. Of a storage's files: those younger than 60 days, and in any case the last 60. Days are days with an archive,
UTC, so a pause in the backups removes nothing. Facts, section 6.

The archive server cleans up by these rules; a verifier asks them what is about to be removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rehearsal.builtin_backup.names import BackupName

DAY = 86_400 * 1_000_000_000
"""Nanoseconds of a day."""

_OLDEST_TRUSTED = 7  # days: with no younger archive than that, the server takes its clock for wrong
_FEWEST_DAILY = 3  # a lower `backup-daily-count` counts as this


@dataclass(frozen=True)
class Rules:
    """The configured counts.

    Attributes:
        daily: `backup-daily-count`, days with an archive of a database.
        monthly: `backup-monthly-count`, months with one.
        file_days: days, and number, of archives of files; not configurable in the real one.
    """

    daily: int = 90
    monthly: int = 24
    file_days: int = 60


def choose_kept(names: Iterable[BackupName], rules: Rules, now: int) -> frozenset[BackupName]:
    """Those of one source's archives that a clean-up at that moment keeps.

    Args:
        names: archives of one source, in any order.
        now: nanoseconds since 1970.
    """
    oldest_first = sorted(names)
    if not oldest_first:
        return frozenset()
    if oldest_first[0].is_database:
        daily = _choose_first(oldest_first, "%Y-%m-%d")[-max(_FEWEST_DAILY, rules.daily) :]
        monthly = _choose_first(oldest_first, "%Y-%m")[-rules.monthly :] if rules.monthly > 0 else []
        return frozenset((*daily, *monthly))
    last = oldest_first[-rules.file_days :] if rules.file_days > 0 else []
    young = (name for name in oldest_first if name.nanoseconds > now - rules.file_days * DAY)
    return frozenset((*last, *young))


def choose_removed(names: Iterable[BackupName], rules: Rules, now: int) -> tuple[BackupName, ...]:
    """The others, oldest first; none of them while the clock is in doubt."""
    oldest_first = sorted(names)
    if doubt_clock(oldest_first, now):
        return ()
    kept = choose_kept(oldest_first, rules, now)
    return tuple(name for name in oldest_first if name not in kept)


def doubt_clock(names: Iterable[BackupName], now: int) -> str:
    """Why the archive server would not clean up at that moment: its newest archive lies in the future, or is more than
    7 days old. "" where it would."""
    newest = max(names, default=None)
    if newest is None:
        return ""
    if newest.nanoseconds > now:
        return f"the newest archive, {newest}, is newer than the clock: nothing is cleaned up"
    if newest.nanoseconds < now - _OLDEST_TRUSTED * DAY:
        return f"the newest archive, {newest}, is more than {_OLDEST_TRUSTED} days old: nothing is cleaned up"
    return ""


def choose_doomed_twins(names: Iterable[BackupName]) -> tuple[tuple[BackupName, BackupName], ...]:
    """Archives of one database that are not the first of their day: each with the first one, which alone is kept.

    Whoever takes an extra backup right before an upgrade has made one of these (trap 13).
    """
    first: dict[str, BackupName] = {}
    twins = []
    for name in sorted(names):
        kept = first.setdefault(_tell_period(name, "%Y-%m-%d"), name)
        if kept is not name and name.is_database:
            twins.append((name, kept))
    return tuple(twins)


def explain_absence(name: BackupName, present: Iterable[BackupName], rules: Rules, now: int) -> str:
    """Why a backup that is nowhere may be gone, in words that fit behind its name.

    Args:
        present: the backups of all places.
        now: nanoseconds since 1970.
    """
    same = sorted(other for other in present if other.source == name.source)
    if not same:
        return f"no backup of {name.source} is there at all"
    oldest = f"the oldest that is left is of {same[0].instant}"
    if name.nanoseconds > same[-1].nanoseconds:
        return f"the newest that is there is of {same[-1].instant}"
    if not name.is_database:
        if name.nanoseconds <= now - rules.file_days * DAY:
            return f"archives of files are removed after {rules.file_days} days; {oldest}"
        return f"it is younger than {rules.file_days} days, no clean-up has removed it; {oldest}"
    first = next((other for other in same if _tell_period(other, "%Y-%m-%d") == _tell_period(name, "%Y-%m-%d")), None)
    if first is not None and first < name:
        return f"of each day only the first archive is kept, {first}"
    if name not in choose_kept({*same, name}, rules, now):
        return (
            f"archives of a database are kept for {rules.daily} days, and the first of each of {rules.monthly} months; "
            f"{oldest}"
        )
    return f"no clean-up has removed it; {oldest}"


def _choose_first(oldest_first: list[BackupName], period: str) -> list[BackupName]:
    """The first of each period, oldest first."""
    first: dict[str, BackupName] = {}
    for name in oldest_first:
        first.setdefault(_tell_period(name, period), name)
    return list(first.values())


def _tell_period(name: BackupName, period: str) -> str:
    return name.taken.strftime(period)
