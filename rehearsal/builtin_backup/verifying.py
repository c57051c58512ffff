"""A built-in backup verified without restoring it: every package read once, every list held against what came out.

First it is surveyed what is there, then all packages are read (`portions.py`) into an index on disk, then every list is
judged against the index (`judging_lists.py`), at last all of them together (`overview.py`). A backup or a package
that cannot be read is a finding and stops nothing; nothing found is never green. Facts, sections 6 and 7.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rehearsal import __version__
from rehearsal.builtin_backup.index import Index
from rehearsal.builtin_backup.judging_lists import (
    JudgedBackup,
    ListJudge,
    Surveyed,
    group_by_source,
    judge_packed_again,
)
from rehearsal.builtin_backup.line_rows import explain_database
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO
from rehearsal.builtin_backup.opened import Opens
from rehearsal.builtin_backup.overview import (
    Wanted,
    judge_configuration,
    judge_freshness,
    judge_incomplete,
    judge_keys,
    judge_reach,
    judge_retention,
    judge_sources,
)
from rehearsal.builtin_backup.places import Place
from rehearsal.builtin_backup.portions import Portion, cut_portions, open_portions
from rehearsal.builtin_backup.reading import SUFFIXES
from rehearsal.builtin_backup.summing_up import (
    Counts,
    describe_backups,
    describe_keys,
    sum_up,
    write_instant,
    write_moment,
)
from rehearsal.builtin_backup.verification import Verification, VerifiedPlace
from rehearsal.builtin_backup.verify_words import Tally
from rehearsal.errors import RehearsalError
from rehearsal.verdicts import Finding, Verdict, worst

__all__ = ["Progress", "Wanted", "tell_nothing", "verify_backups"]


@dataclass(frozen=True)
class Progress:
    """How far a verification has come.

    Attributes:
        step: `looking`, `reading` or `judging`.
        name: the backup at hand; "" for several.
        packages, bytes_read: so far; bytes_total: what the places list.
    """

    step: str
    name: str = ""
    packages: int = 0
    bytes_read: int = 0
    bytes_total: int = 0


Tell = Callable[[Progress], None]


def tell_nothing(_: Progress) -> None:
    """The listener of those who do not watch."""


def verify_backups(
    places: Sequence[Place], unsealer: Opens, wanted: Wanted, tell: Tell = tell_nothing, *, scratch: Path | None = None
) -> Verification:
    """Verify every backup of these places together: a bucket's older files may lie in an archive that is given too.

    Args:
        unsealer: opens packages; several threads use it at the same time.
        scratch: where the index goes, on a disk: up to 1 KB a package and line; None: the temporary folder.

    Raises:
        RehearsalError: a place cannot be reached at all, or the index cannot be written.
    """
    started = time.monotonic()
    now = time.time_ns() if wanted.now is None else wanted.now
    with (
        TemporaryDirectory(prefix="rehearsal-verify-", dir=scratch) as folder,
        explain_database(str(Path(folder).parent)),
        closing(Index(Path(folder))) as index,
    ):
        work = _Work(places, unsealer, wanted, tell, index, now)
        work.survey()
        work.read()
        work.judge()
        return work.conclude(round(time.monotonic() - started, 3))


class _Work:
    """One verification on its way."""

    def __init__(
        self, places: Sequence[Place], unsealer: Opens, wanted: Wanted, tell: Tell, index: Index, now: int
    ) -> None:
        self._places = places
        self._unsealer = unsealer
        self._wanted = wanted
        self._tell = tell
        self._index = index
        self._now = now
        self._backups: list[Surveyed] = []
        self._judged: list[JudgedBackup] = []
        self._findings: list[Finding] = []
        self._verified_places: list[VerifiedPlace] = []
        self._read = Counts()
        self._strays: dict[int, Tally] = {}

    def survey(self) -> None:
        """What is there."""
        for place in self._places:
            self._tell(Progress("looking", place.shown))
            names, strangers = place.names(), place.strangers()
            if not names:
                self._add("completeness", Verdict.FAIL, place.shown, "there is no backup at all")
            self._verified_places.append(
                VerifiedPlace(kind=place.kind, shown=place.shown, backups=len(names), strangers=strangers)
            )
            for name in names:
                backup = Surveyed(len(self._backups), place, name)
                self._backups.append(backup)
                self._look_at(backup)

    def _look_at(self, backup: Surveyed) -> None:
        info, archive_info = f"{backup.name}/{INFO}", f"{backup.name}/{ARCHIVE_INFO}"
        try:
            for item in backup.place.objects(backup.name):
                backup.objects += 1
                backup.bytes += item.size
                backup.has_info |= item.key == info
                backup.has_archive_info |= item.key == archive_info
                backup.modified = max(backup.modified, item.modified)
        except RehearsalError as error:
            backup.trouble = str(error)
            self._add("completeness", Verdict.INCONCLUSIVE, backup.subject, f"cannot be listed: {error}")

    def read(self) -> None:
        """Every package of every backup that is of use, into the index."""
        total = sum(backup.bytes for backup in self._backups if backup.is_read)
        portions = open_portions(
            self._cut(), self._unsealer, sample_percent=self._wanted.sample_percent, jobs=self._wanted.jobs
        )
        with closing(portions):
            for found in portions:
                if found is not None:
                    backup = self._backups[found.holder]
                    self._index.add_packages(found.holder, found.packages)
                    self._read.packages += len(found.packages)
                    self._read.packages_read += sum(one.sha512 is not None for one in found.packages)
                    self._read.bytes_read += found.bytes_read
                    for key, what in found.strays:
                        self._strays.setdefault(found.holder, Tally()).add(f"{key}: {what}")
                    if found.trouble:
                        self._note_trouble(backup, found.trouble)
                self._tell(Progress("reading", "", self._read.packages, self._read.bytes_read, total))
        self._index.finish_packages()

    def _cut(self) -> Iterator[Portion]:
        for backup in self._backups:
            if backup.is_read and not backup.trouble:
                try:
                    yield from cut_portions(backup.number, backup.place, backup.name)
                except RehearsalError as error:
                    self._note_trouble(backup, str(error))

    def _note_trouble(self, backup: Surveyed, trouble: str) -> None:
        """Threads may call this; two troubles of one backup are told apart by what they say."""
        backup.trouble = trouble
        self._add("packages", Verdict.INCONCLUSIVE, backup.subject, f"could not be read to its end: {trouble}")

    def judge(self) -> None:
        """Every list, oldest first."""
        for group in group_by_source(self._backups).values():
            self._index.forget_packed()
            for backup in group:
                if not backup.is_complete:
                    continue
                self._tell(Progress("judging", str(backup.name), self._read.packages, self._read.bytes_read))
                judged = ListJudge(self._index, backup, self._backups).judge()
                judged.unclear |= bool(backup.trouble or judged.closed)
                again = judge_packed_again(self._index, judged)
                judged.findings += [again] if again is not None else []
                self._judged.append(judged)
        self._judge_packages()

    def _judge_packages(self) -> None:
        """Members that are no packages, packages that no list speaks of, packages that are there twice."""
        verdicts = {one.backup.number: one for one in self._judged}
        for number, strays in self._strays.items():
            self._findings.append(strays.make("packages", Verdict.FAIL, self._backups[number].subject, "no package"))
            if number in verdicts:
                verdicts[number].broken = True
        unlisted: dict[tuple[int, bool], Tally] = {}
        for number, path in self._index.find_unlisted():
            is_package = path.endswith(SUFFIXES)
            if self._backups[number].is_complete:
                unlisted.setdefault((number, is_package), Tally()).add(f"{path} is in no list")
        for (number, is_package), tally in unlisted.items():
            subject = self._backups[number].subject
            if is_package:
                verdicts[number].broken = True
                self._findings.append(tally.make("completeness", Verdict.FAIL, subject, "the list is not whole"))
            else:
                self._findings.append(tally.make("completeness", Verdict.PASS, subject, "not of a backup, and no harm"))
        for number, path, count, alike in self._index.find_repeated_packages():
            if not alike and number in verdicts:
                verdicts[number].broken = True
            verdict = Verdict.PASS if alike else Verdict.FAIL
            said = "all the same" if alike else "not the same: which one a restore takes is chance"
            self._add("packages", verdict, self._backups[number].subject, f"{path} lies there {count} times, {said}")

    def conclude(self, seconds: float) -> Verification:
        """All findings, and what they come to."""
        wanted, judged = self._wanted, self._judged
        if not self._places:
            self._add("completeness", Verdict.INCONCLUSIVE, "places", "none was given, nothing was read")
            return self._describe([*judge_configuration(wanted.remarks), *self._findings], None, seconds)
        reached, reach = judge_reach(judged, self._backups, wanted)
        every = [
            *judge_configuration(wanted.remarks),
            *self._findings,
            *judge_incomplete(self._backups, wanted, self._now),
            *judge_sources(judged, self._backups, wanted),
            *(finding for one in judged for finding in one.findings),
            *judge_keys(judged, wanted),
            *judge_freshness(self._backups, wanted, self._now),
            *judge_retention(self._backups, wanted, self._now),
            reached,
        ]
        every += sum_up(every, judged, self._read, wanted, " and ".join(place.shown for place in self._places))
        return self._describe(every, reach, seconds)

    def _describe(
        self, every: Sequence[Finding], reach: tuple[datetime, datetime] | None, seconds: float
    ) -> Verification:
        wanted, judged = self._wanted, self._judged
        return Verification(
            tool_version=__version__,
            as_of=write_instant(self._now),
            seconds=seconds,
            verdict=worst(finding.verdict for finding in every),
            sample_percent=wanted.sample_percent,
            places=tuple(self._verified_places),
            backups=describe_backups(self._backups, judged, self._now),
            keys=describe_keys(judged, wanted),
            packages=self._read.packages,
            packages_read=self._read.packages_read,
            bytes_read=self._read.bytes_read,
            oldest=None if reach is None else write_moment(reach[0]),
            newest=None if reach is None else write_moment(reach[1]),
            findings=tuple(sorted(every, key=lambda finding: -finding.verdict.severity)),
        )

    def _add(self, check: str, verdict: Verdict, subject: str, message: str) -> None:
        self._findings.append(Finding(check=check, verdict=verdict, subject=subject, message=message))
