"""What all backups together say: what is missing altogether, from when on everything comes back, keys, freshness.

Each function judges one thing over every backup and returns findings; none of them reads a place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from rehearsal.backup_config import Remark
from rehearsal.builtin_backup.gpg_words import NO_KEY_PASSPHRASE
from rehearsal.builtin_backup.judging_lists import JudgedBackup, Surveyed
from rehearsal.builtin_backup.names import BackupName, database_source, is_database_source, role_of_source
from rehearsal.builtin_backup.retention import Rules, choose_doomed_twins, choose_removed
from rehearsal.builtin_backup.verify_words import Tally, plural, say_age, say_some
from rehearsal.verdicts import Finding, Verdict

_HOUR = 3600 * 10**9
_CLOCK_SLACK = 300 * 10**9
_CRITICAL = database_source("session-db")
_OTHERS = (database_source("auth"), database_source("job-history"))
_STORAGE = "file-storage-0"
_WEIGHTS = {"broken": Verdict.FAIL, "doubtful": Verdict.INCONCLUSIVE, "told": Verdict.PASS}


@dataclass(frozen=True)
class Wanted:
    """What is asked of a verification.

    Attributes:
        sample_percent: above 0, up to 100.
        jobs: threads.
        now: nanoseconds since 1970 that ages are counted to; None: the clock.
        expected: sources that must have backups (`session-db-db-backup`, `file-storage-0`), from values.yaml; None:
            session-db and a storage must, the other databases should.
        rules: what the archive server keeps.
        interval_hours: between two backups.
        remarks: about the configuration.
        key_ids: ids of the secret keys given; `passphrase`: whether one was given.
    """

    sample_percent: float = 100
    jobs: int = 2
    now: int | None = None
    expected: tuple[str, ...] | None = None
    rules: Rules = field(default_factory=Rules)
    interval_hours: int = 24
    remarks: tuple[Remark, ...] = ()
    key_ids: tuple[str, ...] = ()
    passphrase: bool = False


def judge_configuration(remarks: Iterable[Remark]) -> list[Finding]:
    """A finding a remark."""
    return [
        Finding(
            check="configuration",
            verdict=_WEIGHTS[remark.weight],
            subject=remark.where,
            message=remark.what + (f"; next: {remark.hint}" if remark.hint else ""),
        )
        for remark in remarks
    ]


def list_sources(backups: Sequence[Surveyed], wanted: Wanted) -> tuple[str, ...]:
    """The sources from which everything is restored: those expected, and those found."""
    found = {backup.name.source for backup in backups if backup.is_complete}
    if wanted.expected is not None:
        return tuple(dict.fromkeys([*wanted.expected, *sorted(found)]))
    storages = [source for source in found if not is_database_source(source)]
    return tuple(dict.fromkeys([_CRITICAL, *sorted(storages or [_STORAGE]), *sorted(found)]))


def judge_sources(judged: Sequence[JudgedBackup], backups: Sequence[Surveyed], wanted: Wanted) -> list[Finding]:
    """Databases and storages without one complete backup; trap 16 by name."""
    found = {backup.name.source for backup in backups if backup.is_complete}
    findings = []
    missing = [source for source in list_sources(backups, wanted) if source not in found]
    databases = any(map(is_database_source, found))
    plain = any(one.totals.lines and not one.encrypted for one in judged if not one.backup.name.is_database)
    for source in missing:
        is_database = is_database_source(source)
        message = f"no complete backup of {role_of_source(source)} at all"
        if is_database and not databases and plain:
            message += (
                ": the files are not encrypted, and with neither a gpg key nor a passphrase configured NO database "
                "backup is ever made"
            )
        if wanted.expected is None:
            message += "; where it is backed up another way, say so: --values VALUES.YAML"
        verdict = Verdict.FAIL
        if source in list_unknown(backups):
            verdict, message = Verdict.INCONCLUSIVE, "what there is of it could not be listed"
        findings.append(Finding(check="completeness", verdict=verdict, subject=source, message=message))
    if wanted.expected is None and databases:
        findings += [
            Finding(
                check="completeness",
                verdict=Verdict.INCONCLUSIVE,
                subject=source,
                message=f"no complete backup of {role_of_source(source)}; whether there should be one, "
                "values.yaml knows: --values VALUES.YAML",
            )
            for source in _OTHERS
            if source not in found and source not in list_unknown(backups)
        ]
    return findings


def list_unknown(backups: Iterable[Surveyed]) -> frozenset[str]:
    """Sources with a backup that could not be listed: it may be whole."""
    return frozenset(backup.name.source for backup in backups if backup.trouble and not backup.is_complete)


def judge_incomplete(backups: Sequence[Surveyed], wanted: Wanted, now: int) -> list[Finding]:
    """Backups without their list: broken off, or still running."""
    findings = []
    for backup in backups:
        if backup.is_complete or backup.trouble:
            continue
        newest = max(other.name for other in backups if other.name.source == backup.name.source)
        running = backup.name == newest and now - backup.name.nanoseconds < max(24, wanted.interval_hours) * _HOUR
        lack = "no archive-info: archiving" if backup.place.kind == "archive" else "no backup-info: it"
        state = "is still running, or was broken off" if running else "was broken off"
        findings.append(
            Finding(
                check="completeness",
                verdict=Verdict.INCONCLUSIVE if running else Verdict.FAIL,
                subject=backup.subject,
                message=f"{lack} {state}; {plural(backup.objects, 'object')} of it are there, taken "
                f"{say_age((now - backup.name.nanoseconds) / 1e9)} ago",
            )
        )
    return findings


def judge_keys(judged: Sequence[JudgedBackup], wanted: Wanted) -> list[Finding]:
    """Whether what was given opens every encrypted backup; what does not, by key id."""
    read = [one for one in judged if one.totals.read]
    encrypted = [one for one in read if one.encrypted]
    if not encrypted:
        if not read:
            return []
        return [Finding(check="keys", verdict=Verdict.PASS, subject="keys", message="no package is encrypted: no key")]
    opened = [one for one in encrypted if not one.closed]
    said = f"{len(opened)} of {plural(len(encrypted), 'backup')} {'opens' if len(encrypted) == 1 else 'open'}"
    if len(opened) == len(encrypted):
        return [Finding(check="keys", verdict=Verdict.PASS, subject="keys", message=said)]
    stuck: dict[tuple[str, str], list[JudgedBackup]] = defaultdict(list)
    for one in encrypted:
        for closed in one.closed:
            stuck[closed].append(one)
    findings = []
    for (error, key_ids), ones in sorted(stuck.items()):
        locked = error == NO_KEY_PASSPHRASE
        given = not locked and (bool(wanted.key_ids) if key_ids else wanted.passphrase)
        names = say_some(str(one.backup.name) for one in ones)
        needs = f"needs key {key_ids.replace(' ', ' or ')}" if key_ids else "needs a passphrase"
        option = "--key FILE" if key_ids and not locked else "--passphrase-file FILE"
        had = f", given: {say_some(wanted.key_ids)}" if key_ids and wanted.key_ids else ""
        packages = plural(sum(one.closed[error, key_ids] for one in ones), "package")
        findings.append(
            Finding(
                check="keys",
                verdict=Verdict.FAIL if given else Verdict.INCONCLUSIVE,
                subject=key_ids or "passphrase",
                message=f"{said}; {packages} of {names} {needs}{had}: {error}"
                + ("" if given else f"; next: give {option}"),
            )
        )
    return findings


def judge_freshness(backups: Sequence[Surveyed], wanted: Wanted, now: int) -> list[Finding]:
    """The age of the newest complete backup of every source: above twice the interval the backups have stopped."""
    newest: dict[str, BackupName] = {}
    for backup in backups:
        if backup.is_complete:
            newest[backup.name.source] = max(newest.get(backup.name.source, backup.name), backup.name)
    findings = []
    for source, name in sorted(newest.items()):
        age = now - name.nanoseconds
        said = f"the newest complete backup, {name}, is {say_age(age / 1e9)} old"
        verdict = Verdict.PASS
        if age < -_CLOCK_SLACK:
            verdict = Verdict.INCONCLUSIVE
            said = f"the newest complete backup, {name}, lies {say_age(age / 1e9)} in the future: a clock is wrong"
        elif age > 2 * wanted.interval_hours * _HOUR and source in list_unknown(backups):
            verdict = Verdict.INCONCLUSIVE
            said += ", and a newer one could not be listed"
        elif age > 2 * wanted.interval_hours * _HOUR:
            verdict = Verdict.FAIL
            said += f"; one every {wanted.interval_hours} hours is wanted. An older copy is judged with --as-of INSTANT"
        findings.append(Finding(check="freshness", verdict=verdict, subject=source, message=said))
    return findings


def judge_retention(backups: Sequence[Surveyed], wanted: Wanted, now: int) -> list[Finding]:
    """What the next clean-up of the archive will delete, and how many archives there are against the counts."""
    sources: dict[str, set[BackupName]] = defaultdict(set)
    archived: dict[str, set[BackupName]] = defaultdict(set)
    for backup in backups:
        if backup.is_complete:
            sources[backup.name.source].add(backup.name)
            if backup.place.kind == "archive":
                archived[backup.name.source].add(backup.name)
    findings = []
    for source, names in sorted(sources.items()):
        doomed = Tally()
        for name, kept in choose_doomed_twins(names):
            doomed.add(f"{name} will be deleted by the next clean-up, of that day only {kept} is kept")
        if doomed:
            hint = "copy it to another place if it is wanted, such as one made before an upgrade"
            findings.append(doomed.make("retention", Verdict.INCONCLUSIVE, source, hint=hint))
        if archived[source]:
            findings.append(_count_archives(source, archived[source], wanted, now))
    return findings


def _count_archives(source: str, names: set[BackupName], wanted: Wanted, now: int) -> Finding:
    rules = wanted.rules
    ordered = sorted(names)
    days = len({name.taken.date() for name in names})
    limits = f"{rules.daily} daily, {rules.monthly} monthly" if ordered[0].is_database else f"{rules.file_days} days"
    details = [f"{name} is due for removal at the next clean-up" for name in choose_removed(names, rules, now)]
    for earlier, later in pairwise(ordered):
        hours = (later.nanoseconds - earlier.nanoseconds) / _HOUR
        recent = earlier.nanoseconds > now - rules.daily * 24 * _HOUR
        if recent and hours > 1.5 * wanted.interval_hours:
            details.append(f"no archive between {earlier.instant} and {later.instant}")
    return Finding(
        check="retention",
        verdict=Verdict.PASS,
        subject=source,
        message=f"{plural(len(names), 'archive')} of {plural(days, 'day')} ({limits} are kept at most), the oldest of "
        f"{ordered[0].instant}" + (f"; {plural(len(details), 'remark')}" if details else ""),
        details=tuple(details[:20]),
    )


def find_reach(
    judged: Sequence[JudgedBackup], sources: Sequence[str], wanted: Wanted
) -> tuple[datetime, datetime] | None:
    """The first and last moment at which every source has a backup that stands, at most half an interval old:
    a database and files of different nights do not belong together (facts, trap 7)."""
    stands: dict[str, list[datetime]] = {source: [] for source in sources}
    for one in judged:
        if one.stands and one.backup.name.source in stands:
            stands[one.backup.name.source].append(one.backup.name.taken)
    window = timedelta(hours=max(1, wanted.interval_hours / 2))
    moments = sorted({moment for times in stands.values() for moment in times})
    whole = [
        moment
        for moment in moments
        if stands and all(any(moment - window <= time <= moment for time in times) for times in stands.values())
    ]
    return (whole[0], whole[-1]) if whole else None


def judge_reach(
    judged: Sequence[JudgedBackup], backups: Sequence[Surveyed], wanted: Wanted
) -> tuple[Finding, tuple[datetime, datetime] | None]:
    """From when on everything can be restored."""
    sources = list_sources(backups, wanted)
    reach = find_reach(judged, sources, wanted)
    limit = " as far as the sample tells" if wanted.sample_percent < 100 else ""
    if reach is not None:
        first, last = (moment.astimezone(UTC).isoformat(timespec="seconds") for moment in reach)
        finding = Finding(
            check="restorable",
            verdict=Verdict.PASS,
            subject="everything",
            message=f"can be restored{limit} as it was on {first}, the oldest, and {last}, the newest",
        )
        return finding, reach
    unclear = [one for one in judged if one.unclear and not one.broken]
    unknown = list_unknown(backups)
    whole = {one.backup.name.source for one in judged if one.stands or one in unclear} | unknown
    lacking = [source for source in sources if source not in whole]
    if lacking:
        verdict, why = Verdict.FAIL, f"no backup of {say_some(lacking)} restores whole"
    elif unclear or unknown or not judged:
        verdict, why = Verdict.INCONCLUSIVE, "what could not be read or opened leaves it open"
    else:
        verdict, why = Verdict.FAIL, "whole backups of all sources never lie within half an interval of each other"
    return Finding(check="restorable", verdict=verdict, subject="everything", message=why), None
