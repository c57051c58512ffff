"""Where backups lie: a bucket, a bucket copied to a folder, or an archive server's folder; all read the same way.

A key is `<backup name>/…`, without the prefix that a bucket may have. Whatever has another shape (no backup's name, an
unsafe path, a link, a device) belongs to no backup: it is told as a stranger, and never read as a part of one. Facts,
section 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

from rehearsal.builtin_backup.listing import is_safe_path
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName, parse_name
from rehearsal.errors import RehearsalError

STRANGERS = 20
"""How many keys of no backup are told."""

HALF_WRITTEN = ".rclone_temp_"
"""How the name begins of what is still being written, or was when its writer died; rclone's own word, because its S3
server lists no such object."""

Kind = Literal["bucket", "archive"]

_NOT_UTF8 = re.compile("[\ud800-\udfff]")


class ObjectMissing(RehearsalError):
    """There is no object of that key."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object or file.

    Attributes:
        key: `<backup name>/…`, `/` between the parts.
        size: bytes, as the place lists it.
        modified: instant, ISO 8601, UTC; "" where it is not known.
    """

    key: str
    size: int
    modified: str


class Place(Protocol):
    """Where backups lie. Every call may raise a RehearsalError that names the place: not reachable, not allowed, …"""

    @property
    def kind(self) -> Kind:
        """`bucket`: tars of packages; `archive`: packages as loose files."""

    @property
    def shown(self) -> str:
        """Where it is, for messages; never a secret."""

    def names(self) -> tuple[BackupName, ...]:
        """Every backup, complete or not, oldest first."""

    def strangers(self) -> tuple[str, ...]:
        """The first 20 keys that belong to no backup; a link or device says what it is behind its name."""

    def objects(self, name: BackupName) -> Iterator[StoredObject]:
        """The objects of one backup, its info files too, sorted by key (UTF-8 bytes), never all held at once."""

    def read(self, key: str) -> Iterator[bytes]:
        """The content of an object, in chunks of at most 1 MiB.

        Raises:
            ObjectMissing: there is none of that key.
            StreamError: fewer or more bytes came than the place lists.
        """


class WritablePlace(Place, Protocol):
    """A place that backups can be put into."""

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store an object, over an older one of that key, whole or not at all; returns its bytes.

        Raises:
            StreamError: the place lists another size afterwards.
        """

    def remove(self, name: BackupName) -> None:
        """Remove a backup with everything in it; its info files first, so that what is left is never taken for a
        complete one. Nothing happens where there is none."""


def find_owner(key: str) -> BackupName | None:
    """The backup that a key belongs to; None for a stranger, and for a key that is not UTF-8: no list can name it."""
    first, _, rest = key.partition("/")
    if not rest or not is_safe_path(key) or _NOT_UTF8.search(key):
        return None
    if key.rpartition("/")[2].startswith(HALF_WRITTEN):
        return None
    return parse_name(first)


def pick_strangers(keys: Iterable[str]) -> tuple[str, ...]:
    """The first 20 of these keys that belong to no backup, fit to be printed."""
    return tuple(islice((show_key(key) for key in keys if find_owner(key) is None), STRANGERS))


def show_key(key: str) -> str:
    """A key fit to be printed: what is no printable character is escaped."""
    if key.isprintable():
        return key
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in key)


def order_removal(keys: Iterable[str]) -> list[str]:
    """Keys in the order they are removed in: info files first."""
    return sorted(keys, key=lambda key: (key.rpartition("/")[2] not in (INFO, ARCHIVE_INFO), key))
