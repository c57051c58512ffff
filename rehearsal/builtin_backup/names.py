"""Names of the server's own backups: who wrote it and when, to the nanosecond, and where its tars lie.

`file-storage-0_2026-04-30T01:10:00.123456789Z` is both a backup's name and the prefix of its objects. The instant is
kept as it was written (Java leaves groups of three zeroes out), and compared as a number. Facts, section 6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache, total_ordering

from rehearsal.errors import RehearsalError

INFO = "backup-info"
ARCHIVE_INFO = "archive-info"

_DATABASE = "-db-backup"
_SOURCE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
_NAME = re.compile(rf"({_SOURCE})_(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{{1,9}})?Z)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_SMALL = 1 << 20  # bytes of a file; below it goes into a tar of small ones
_MEDIUM = 1 << 30
_DIGITS = (500, 10_000, 100_000, 1_000_000)  # numbers of files from which on one more digit groups them


@total_ordering
@dataclass(frozen=True)
class BackupName:
    """One backup; ordered by time, then by source. Made by `parse_name` or `make_name`, which refuse what is none.

    Attributes:
        source: `file-storage-0`, or `session-db-db-backup` for a database.
        instant: UTC, ISO 8601, up to nine fractional digits, as written.
    """

    source: str
    instant: str

    def __str__(self) -> str:
        return f"{self.source}_{self.instant}"

    def __lt__(self, other: BackupName) -> bool:
        # the instant last, so that two spellings of one moment have an order too
        return (self.nanoseconds, self.source, self.instant) < (other.nanoseconds, other.source, other.instant)

    @property
    def is_database(self) -> bool:
        """Whether it holds a dump, not files."""
        return is_database_source(self.source)

    @property
    def role(self) -> str:
        """`session-db`, or `file-storage-0`."""
        return role_of_source(self.source)

    @cached_property
    def nanoseconds(self) -> int:
        """Since 1970."""
        seconds, _, fraction = self.instant.removesuffix("Z").partition(".")
        past = datetime.fromisoformat(seconds).replace(tzinfo=UTC) - _EPOCH
        return (past.days * 86_400 + past.seconds) * _SECOND + int(fraction.ljust(9, "0"))

    @property
    def taken(self) -> datetime:
        """When, UTC, cut to microseconds."""
        return _EPOCH + timedelta(microseconds=self.nanoseconds // 1000)


@lru_cache(maxsize=4096)
def parse_name(text: str) -> BackupName | None:
    """The backup of that name, or None where it is not one: another shape, or no day of the calendar."""
    match = _NAME.fullmatch(text)
    if match is None or ".." in match[1]:
        return None
    name = BackupName(match[1], match[2])
    try:
        return name if name.nanoseconds is not None else None
    except ValueError:  # the 31st of February
        return None


def make_name(source: str, nanoseconds: int) -> BackupName:
    """The name of a backup of `source` taken then, as Java's `Instant.toString` writes it: 0, 3, 6 or 9 digits.

    Raises:
        RehearsalError: the source is no host name, or the time is not of the years 1 to 9999.
    """
    seconds, fraction = divmod(nanoseconds, _SECOND)
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    try:
        moment = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    except OverflowError as error:
        raise RehearsalError(f"no backup can be taken {nanoseconds} ns after 1970") from error
    name = parse_name(f"{source}_{moment}{'.' + digits if digits else ''}Z")
    if name is None:
        raise RehearsalError(f"{source!r} cannot name a backup: letters, digits, `.`, `_` and `-` only")
    return name


def database_source(role: str) -> str:
    """`session-db` → `session-db-db-backup`."""
    return role + _DATABASE


def is_database_source(source: str) -> bool:
    """Whether backups of that source hold a dump, not files."""
    return source.endswith(_DATABASE)


def role_of_source(source: str) -> str:
    """`session-db-db-backup` → `session-db`; a storage's own name stays."""
    return source.removesuffix(_DATABASE)


def dump_path(name: BackupName) -> str:
    """The path of a database backup's only file."""
    return f"{name}.sql"


def choose_prefix_digits(file_count: int) -> int:
    """By how many first digits of their names files are grouped into tars: 0 to 4."""
    return sum(file_count >= bound for bound in _DIGITS)


def choose_tar(file_name: str, size: int, digits: int) -> str:
    """The tar that a file goes into.

    Args:
        file_name: without its folder.
        size: bytes, of the plain file.
        digits: what `choose_prefix_digits` said.
    """
    if size >= _MEDIUM:
        return f"{file_name}.tar"
    return f"{file_name[:digits]}_{'small' if size < _SMALL else 'medium'}_files.tar"


def object_key(name: BackupName, tar: str) -> str:
    """The whole key of a backup's tar; readers go by its last component alone."""
    return f"{name}/db-backups/{name}/{tar}" if name.is_database else f"{name}/storage/backup/{tar}"
