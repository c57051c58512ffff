"""One backup's list held against the packages that were read: which lines are proven, which are not, and why.

A line is looked for where a restore would take it from: in the backup it names, and in the archive server's later
directories, since files move forward there (facts, section 6). What an incremental backup takes from an archive need
not lie in the bucket: there alone it is INCONCLUSIVE with what to type; with the archive given, it is there or a FAIL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rehearsal.builtin_backup.index import Index, Mismatch, Totals
from rehearsal.builtin_backup.listing import BadLine, ListedFile, read_listing
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, dump_path, parse_name
from rehearsal.builtin_backup.places import Place
from rehearsal.builtin_backup.verify_words import Tally, explain_error, plural, stays_closed
from rehearsal.errors import RehearsalError
from rehearsal.record import OTHER_CONTENT
from rehearsal.verdicts import Finding, Verdict


@dataclass
class Surveyed:
    """One backup in one place, as it was found before anything was read.

    Attributes:
        number: of the backup, in the index.
        modified: the latest of its objects; "" where it is not known.
        trouble: why it could not be read to its end; "" where it was.
    """

    number: int
    place: Place
    name: BackupName
    objects: int = 0
    bytes: int = 0
    has_info: bool = False
    has_archive_info: bool = False
    modified: str = ""
    trouble: str = ""

    @property
    def is_complete(self) -> bool:
        """Uploaded to its end; in an archive: archived to its end."""
        return self.has_archive_info if self.place.kind == "archive" else self.has_info

    @property
    def is_read(self) -> bool:
        """Whether its packages are of use: an archive directory may hold those of others before it is complete."""
        return self.is_complete or self.place.kind == "archive"

    @property
    def subject(self) -> str:
        return f"{self.name} ({self.place.kind})"


@dataclass
class JudgedBackup:
    """What the list of one backup came to.

    Attributes:
        closed: (error, key ids) of packages that no given key opens, and how many.
        broken, unclear: something is proven lost; something cannot be told.
    """

    backup: Surveyed
    totals: Totals = field(default_factory=lambda: Totals(0, 0, 0, 0, 0, 0))
    findings: list[Finding] = field(default_factory=list)
    closed: Counter[tuple[str, str]] = field(default_factory=Counter)
    keys: list[tuple[str, int]] = field(default_factory=list)
    encrypted: int = 0
    failed: int = 0
    broken: bool = False
    unclear: bool = False

    @property
    def opened(self) -> int:
        return max(0, self.totals.read - self.failed)

    @property
    def stands(self) -> bool:
        """Nothing speaks against it, as far as was read."""
        return not self.broken and not self.unclear and self.totals.lines > 0


def choose_holders(backup: Surveyed, packer: BackupName, everything: Sequence[Surveyed]) -> list[Surveyed]:
    """Where a restore of `backup` looks for what `packer` packed, the first choice first."""
    there = [other for other in everything if other.is_read and other.name.source == packer.source]
    here = [other for other in there if other.place is backup.place and other.name == packer]
    if backup.place.kind == "bucket":
        if packer == backup.name:
            return here
        there = [other for other in there if other.place.kind == "archive"]
    else:
        there = [other for other in there if other.place is backup.place]
    first = [other for other in there if other.name == packer and other not in here]
    later = sorted((other for other in there if other.name > packer), key=lambda one: one.name, reverse=True)
    return here + first + later


class ListJudge:
    """Judges the list of one backup; the index holds its lines until the next one is loaded."""

    def __init__(self, index: Index, backup: Surveyed, everything: Sequence[Surveyed]) -> None:
        self._index = index
        self._backup = backup
        self._everything = everything
        self._judged = JudgedBackup(backup)
        self._holders: dict[str, list[Surveyed]] = {}
        self._bad_lines = Tally()
        self._foreign = Tally()
        self._damaged = Tally()
        self._missing = Tally()
        self._unreadable = Tally()
        self._elsewhere = Tally()
        self._broken_chain = Tally()
        self._wrong = Tally()
        self._unlike = Tally()

    def judge(self) -> JudgedBackup:
        """The findings of this backup; a list that cannot be fetched is one of them."""
        backup, judged = self._backup, self._judged
        try:
            self._load()
        except RehearsalError as error:
            self._say("completeness", Verdict.INCONCLUSIVE, f"its list cannot be read: {error}")
            return judged
        self._match()
        judged.totals = self._index.count(backup.number)
        judged.keys = self._index.list_keys()
        judged.encrypted = self._index.count_suffix(".gpg")
        for mismatch in self._index.find_mismatches():
            self._sort(mismatch)
        self._look_for_repeats()
        self._tell()
        return judged

    def _load(self) -> None:
        backup = self._backup
        first, second = (INFO, ARCHIVE_INFO) if backup.has_info else (ARCHIVE_INFO, "")
        self._index.load("lines", self._keep_good(first))
        if second and backup.has_archive_info:
            self._index.load("others", self._keep_good(second))
            left_out = Tally()
            for path in self._index.find_left_out("lines", "others"):
                left_out.add(f"{path} is missing")
            if left_out:
                self._fail(left_out, "completeness", f"{ARCHIVE_INFO} has not all that {INFO} has")

    def _keep_good(self, info: str) -> Iterator[ListedFile]:
        for line in read_listing(self._backup.place.read(f"{self._backup.name}/{info}")):
            if isinstance(line, BadLine):
                self._bad_lines.add(f"{info}, line {line.number}: {line.what}")
            else:
                yield line

    def _match(self) -> None:
        """Choose the holders of every backup that the lines name."""
        backup = self._backup
        allowed: dict[str, list[int]] = {}
        for text, count in self._index.holders_named():
            packer = parse_name(text)
            if packer is None:  # read_listing lets none through
                continue
            if packer.source != backup.name.source or packer > backup.name:
                why = "of another source" if packer.source != backup.name.source else "newer than this list"
                self._foreign.add(f"{plural(count, 'line')} of {text}, which is {why}")
                continue
            holders = choose_holders(backup, packer, self._everything)
            if holders:
                self._holders[text] = holders
                allowed[text] = [holder.number for holder in holders]
        self._index.match(allowed)

    def _sort(self, mismatch: Mismatch) -> None:
        line, found = mismatch.line, mismatch.found
        if found is None:
            self._sort_missing(line)
            return
        at = self._say_where(line, mismatch.holder)
        if found.size != line.package_size:
            self._damaged.add(f"{at}: {found.size:,} bytes, the list says {line.package_size:,}")
        elif found.sha512 != line.package_sha512:
            self._damaged.add(f"{at}: its size is as listed, its SHA-512 is not")
        elif found.error and stays_closed(found.error):
            self._judged.closed[(found.error, found.key_ids)] += 1
        elif found.error:
            self._wrong.add(f"{at}: {explain_error(found.error, found.size)}")
        elif found.plain_size != line.size:
            self._wrong.add(f"{at}: {found.plain_size or 0:,} bytes came out, the list says {line.size:,}")
        else:
            self._wrong.add(f"{at}: {OTHER_CONTENT}")
        self._judged.failed += found.sha512 is not None

    def _sort_missing(self, line: ListedFile) -> None:
        backup, holders = self._backup, self._holders.get(line.backup_name, ())
        own = line.backup_name == str(backup.name)
        archives = any(other.place.kind == "archive" for other in self._everything)
        packer = parse_name(line.backup_name)
        if packer is None or packer.source != backup.name.source or packer > backup.name:
            return  # the whole backup it names is wrong, and told
        if any(holder.trouble for holder in holders):
            self._unreadable.add(f"{line.package_path} was not reached")
        elif own:
            self._missing.add(f"{line.package_path} is in the list and nowhere else")
        elif backup.place.kind == "bucket" and not archives:
            self._elsewhere.add(f"{line.package_path} of {line.backup_name}")
        elif holders and holders[0].name == packer:
            self._broken_chain.add(f"{line.package_path} is not in {line.backup_name}, nor in a later one")
        else:
            self._broken_chain.add(f"{line.package_path}: {line.backup_name} is gone, and no later one has it")

    def _say_where(self, line: ListedFile, holder: int) -> str:
        found = next((one for one in self._everything if one.number == holder), self._backup)
        return line.package_path if found is self._backup else f"{line.package_path} in {found.subject}"

    def _look_for_repeats(self) -> None:
        same = Tally()
        for path, count, alike in self._index.find_repeated_lines():
            (same if alike else self._unlike).add(
                f"{path} is listed {count} times{'' if alike else ', each differently'}"
            )
        if same:
            self._judged.findings.append(same.make("completeness", Verdict.PASS, self._backup.subject))
        name = self._backup.name
        totals = self._judged.totals
        if name.is_database and totals.lines and not self._index.has_line(dump_path(name)):
            self._foreign.add(f"{dump_path(name)} is not in it")

    def _tell(self) -> None:
        backup, totals = self._backup, self._judged.totals
        self._fail(self._bad_lines, "completeness", "its list is damaged")
        self._fail(self._foreign, "chain", "this is the list of another backup")
        self._fail(self._unlike, "completeness", "its list contradicts itself")
        if not totals.lines and not self._bad_lines:
            if backup.name.is_database:
                self._say("completeness", Verdict.FAIL, "its list is empty, there is no dump")
            else:
                self._say("completeness", Verdict.INCONCLUSIVE, "its list is empty: nothing was proven")
        self._fail(self._missing, "packages", "not there")
        self._fail(self._damaged, "packages", "not as listed")
        self._fail(self._wrong, "contents", "does not come back as it was")
        self._fail(self._broken_chain, "chain", "older files that nobody holds")
        if self._unreadable:
            self._doubt(self._unreadable, "packages", "could not be read to the end, so not judged")
        if self._elsewhere:
            self._doubt(
                self._elsewhere,
                "chain",
                "older files that this bucket no longer has; the archive server must",
                f"rehearsal verify-backup {backup.place.shown} BACKUP_ARCHIVE_DIR",
            )

    def _fail(self, tally: Tally, check: str, what: str) -> None:
        if tally:
            self._judged.broken = True
            self._judged.findings.append(tally.make(check, Verdict.FAIL, self._backup.subject, what))

    def _doubt(self, tally: Tally, check: str, what: str, hint: str = "") -> None:
        self._judged.unclear = True
        self._judged.findings.append(tally.make(check, Verdict.INCONCLUSIVE, self._backup.subject, what, hint))

    def _say(self, check: str, verdict: Verdict, message: str) -> None:
        self._judged.broken |= verdict is Verdict.FAIL
        self._judged.unclear |= verdict is Verdict.INCONCLUSIVE
        self._judged.findings.append(
            Finding(check=check, verdict=verdict, subject=self._backup.subject, message=message)
        )


def judge_packed_again(index: Index, judged: JudgedBackup) -> Finding | None:
    """Whether an unencrypted backup packed again what an archive before it had (trap 10); to be asked right after its
    list was judged. Keeps its own files for the next one."""
    backup, totals = judged.backup, judged.totals
    if backup.name.is_database or judged.encrypted or not totals.lines:
        return None
    again = index.count_packed_again(backup.number)
    if backup.has_archive_info:
        index.remember_packed(backup.number)
    if not again:
        return None
    return Finding(
        check="chain",
        verdict=Verdict.PASS,
        subject=backup.subject,
        message=f"{again:,} of {plural(totals.lines, 'file')} were packed again though an archive had them: without "
        "encryption the comparison looks for `.lz4.gpg` and finds none, so every incremental backup is a full one",
    )


def group_by_source(backups: Iterable[Surveyed]) -> dict[tuple[int, str], list[Surveyed]]:
    """By place and source, each oldest first."""
    groups: dict[tuple[int, str], list[Surveyed]] = {}
    for backup in sorted(backups, key=lambda one: one.name):
        groups.setdefault((id(backup.place), backup.name.source), []).append(backup)
    return groups
