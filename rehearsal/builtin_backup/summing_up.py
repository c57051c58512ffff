"""What a verification came to, as published values: backups, keys, and a line for each check that found no harm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rehearsal.builtin_backup.judging_lists import JudgedBackup, Surveyed
from rehearsal.builtin_backup.overview import Wanted
from rehearsal.builtin_backup.verification import VerifiedBackup, VerifiedKeys
from rehearsal.builtin_backup.verify_words import plural, say_size
from rehearsal.verdicts import Finding, Verdict


@dataclass
class Counts:
    """Packages found, those of them that were read, and their bytes."""

    packages: int = 0
    packages_read: int = 0
    bytes_read: int = 0


def sum_up(
    findings: Iterable[Finding], judged: Sequence[JudgedBackup], counts: Counts, wanted: Wanted, subject: str
) -> list[Finding]:
    """One finding for each check that found nothing wrong, with what it looked at; of nothing, INCONCLUSIVE."""
    bad = {finding.check for finding in findings if finding.verdict is not Verdict.PASS}
    lines = sum(one.totals.lines for one in judged)
    opened = sum(one.opened for one in judged)
    closed = sum(sum(one.closed.values()) for one in judged)
    limit = f" (a sample of {wanted.sample_percent:g}%, by a hash of the path)" if wanted.sample_percent < 100 else ""
    read = f"{counts.packages_read:,} of {plural(counts.packages, 'package')}, {say_size(counts.bytes_read)}"
    looked_at = {
        "completeness": (lines, f"{plural(len(judged), 'complete backup')}, {plural(lines, 'line')}"),
        "packages": (counts.packages_read, f"{read}: size and SHA-512 as listed{limit}"),
        "contents": (
            opened,
            f"{opened:,} of {plural(lines, 'line')}: opened, the files' size and SHA-512 as listed{limit}",
        ),
        "chain": (lines, "every backup that a line refers to has the file"),
    }
    summed = []
    for check, (learnt, message) in looked_at.items():
        if check in bad:
            continue
        verdict = Verdict.PASS
        if not learnt:
            verdict, message = Verdict.INCONCLUSIVE, f"nothing was learnt: {message}"
        elif check == "contents" and closed:
            verdict, message = Verdict.INCONCLUSIVE, f"{plural(closed, 'line')} stayed closed, see `keys`; {message}"
        summed.append(Finding(check=check, verdict=verdict, subject=subject, message=message))
    return summed


def describe_backups(
    backups: Iterable[Surveyed], judged: Iterable[JudgedBackup], now: int
) -> tuple[VerifiedBackup, ...]:
    """Every backup of every place, complete or not."""
    lists = {one.backup.number: one for one in judged}
    return tuple(_describe(backup, lists.get(backup.number), now) for backup in backups)


def _describe(backup: Surveyed, judged: JudgedBackup | None, now: int) -> VerifiedBackup:
    described = VerifiedBackup(
        place=backup.place.shown,
        kind=backup.place.kind,
        name=str(backup.name),
        source=backup.name.source,
        taken=write_instant(backup.name.nanoseconds),
        age_seconds=(now - backup.name.nanoseconds) // 10**9,
        complete=backup.is_complete,
        objects=backup.objects,
        bytes=backup.bytes,
    )
    if judged is None:
        return described
    totals = judged.totals
    restorable = False if judged.broken else True if judged.stands and totals.read else None
    return described.model_copy(
        update={
            "lines": totals.lines,
            "own_lines": totals.own_lines,
            "plain_bytes": totals.plain_bytes,
            "packages_read": totals.read,
            "packages_opened": judged.opened,
            "encrypted": judged.encrypted,
            "key_ids": _split_keys([judged]),
            "restorable": restorable,
        }
    )


def describe_keys(judged: Sequence[JudgedBackup], wanted: Wanted) -> VerifiedKeys:
    """Which keys are needed, and what those given opened."""
    encrypted = [one for one in judged if one.encrypted and one.totals.read]
    return VerifiedKeys(
        needed=_split_keys(judged),
        given=wanted.key_ids,
        passphrase=wanted.passphrase,
        backups_encrypted=len(encrypted),
        backups_opened=sum(not one.closed for one in encrypted),
    )


def _split_keys(judged: Iterable[JudgedBackup]) -> tuple[str, ...]:
    return tuple(sorted({key for one in judged for keys, _ in one.keys for key in keys.split()}))


def write_moment(moment: datetime) -> str:
    """ISO 8601, UTC, with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def write_instant(nanoseconds: int) -> str:
    """The same of nanoseconds since 1970."""
    return write_moment(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000))
