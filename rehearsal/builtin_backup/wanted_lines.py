"""The lines of one list while its files are being restored: who gives each, and what became of it.

In a temporary database of SQLite's own, which spills to a file without a name when it grows and is gone when it is
closed: a million lines cost disk and not memory. Used by one thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.builtin_backup.line_rows import COLUMNS, VALUES, as_line, as_row, pack_path
from rehearsal.builtin_backup.listing import ListedFile

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -16384;
CREATE TABLE lines (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE, size INTEGER, sha512 BLOB,
    package_path BLOB UNIQUE, package_size INTEGER, package_sha512 BLOB, name TEXT,
    holder INTEGER, seen INTEGER DEFAULT 0, kept INTEGER, fault TEXT
);
CREATE INDEX lines_holder ON lines (holder, name);
"""
_ADD = f"INSERT OR IGNORE INTO lines ({COLUMNS}) VALUES ({VALUES})"  # noqa: S608
_BATCH = 1000


class WantedLines:
    """All lines of the list; no two have the same path, none the same package."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # "": temporary, private, on disk once it is large
        self._database.executescript(_SCHEMA)
        # never committed: nobody else reads it, and a change costs a fifth of one that is
        self._database.execute("BEGIN")

    def add(self, line: ListedFile) -> bool:
        """Take a line; False where its path or its package is another's already, and nothing was taken."""
        return self._do(_ADD, *as_row(line)).rowcount == 1

    def has_path(self, path: str) -> bool:
        """Whether there is a line of that plain file."""
        return self._do("SELECT 1 FROM lines WHERE path = ?", pack_path(path)).fetchone() is not None

    def backup_names(self) -> list[str]:
        """Every `backupName`, in the order of its first line."""
        return [name for (name,) in self._do("SELECT name FROM lines GROUP BY name ORDER BY min(id)")]

    def pending(self, backup_name: str) -> Pending:
        """The lines with this `backupName` that nobody gives yet."""
        return Pending(self, backup_name)

    def held(self, holder: int) -> HeldLines:
        """The lines that a holder gives."""
        return HeldLines(self, holder)

    def missing(self) -> Iterator[ListedFile]:
        """The lines that nobody gives, in the list's order."""
        return self._walk("holder IS NULL")

    def _walk(self, condition: str, *parameters: object) -> Iterator[ListedFile]:
        """In batches, so that lines may be changed meanwhile; by `id` alone: every index would sort each batch."""
        query = f"SELECT id, {COLUMNS} FROM lines NOT INDEXED WHERE {condition} AND id > ? ORDER BY id LIMIT {_BATCH}"  # noqa: S608
        last = 0
        while rows := self._do(query, *parameters, last).fetchall():
            for _, *row in rows:
                yield as_line(*row)
            last = rows[-1][0]

    def _do(self, statement: str, *parameters: object) -> sqlite3.Cursor:
        return self._database.execute(statement, parameters)


@dataclass(frozen=True)
class Pending:
    """The lines of one `backupName` that wait for a holder."""

    _lines: WantedLines
    _name: str

    def __bool__(self) -> bool:
        found = self._lines._do("SELECT 1 FROM lines WHERE name = ? AND holder IS NULL LIMIT 1", self._name)
        return found.fetchone() is not None

    def give_all(self, holder: int) -> None:
        """The holder gives every one of them."""
        self._lines._do("UPDATE lines SET holder = ? WHERE name = ? AND holder IS NULL", holder, self._name)

    def give_by_size(self, holder: int, packages: Iterable[tuple[str, int]]) -> int:
        """The holder gives those of whose package it has one with this path and size; how many."""
        return sum(self._give(holder, package_path, "package_size = ?", size) for package_path, size in packages)

    def give_by_digest(self, holder: int, packages: Iterable[ListedFile]) -> None:
        """The holder gives those of whose package its own list says path and SHA-512."""
        for line in packages:
            self._give(holder, line.package_path, "package_sha512 = ?", bytes.fromhex(line.package_sha512))

    def take_back(self, holder: int, packages: Iterable[ListedFile]) -> None:
        """The holder does not give those of whose package its own list says another SHA-512."""
        for line in packages:
            self._lines._do(
                "UPDATE lines SET holder = NULL "
                "WHERE package_path = ? AND name = ? AND holder = ? AND package_sha512 IS NOT ?",
                pack_path(line.package_path),
                self._name,
                holder,
                bytes.fromhex(line.package_sha512),
            )

    def _give(self, holder: int, package_path: str, condition: str, value: object) -> int:
        return self._lines._do(
            f"UPDATE lines SET holder = ? WHERE package_path = ? AND name = ? AND holder IS NULL AND {condition}",  # noqa: S608
            holder,
            pack_path(package_path),
            self._name,
            value,
        ).rowcount


class HeldLines(Mapping[str, ListedFile]):
    """The lines that one holder gives, by the path of the package; and, while they are restored, what became of each.

    A package is seen when it comes by, its file kept when it was written, and its fault known once it was read.
    """

    def __init__(self, lines: WantedLines, holder: int) -> None:
        self._lines = lines
        self._holder = holder

    def __getitem__(self, package_path: str) -> ListedFile:
        row = self._one(COLUMNS, package_path)
        if row is None:
            raise KeyError(package_path)
        return as_line(*row)

    def __contains__(self, package_path: object) -> bool:
        return isinstance(package_path, str) and self._one("1", package_path) is not None

    def __iter__(self) -> Iterator[str]:
        return (line.package_path for line in self._lines._walk("holder = ?", self._holder))

    def __len__(self) -> int:
        return self._sum("count(*)")

    def see(self, package_path: str) -> int:
        """How often it was seen before."""
        (seen,) = self._one("seen", package_path) or (0,)
        self._mark("seen = seen + 1", package_path)
        return int(seen)

    def forget_seen(self) -> None:
        """A new turn begins."""
        self._lines._do("UPDATE lines SET seen = 0 WHERE holder = ? AND seen > 0", self._holder)

    def mark_kept(self, package_path: str, size: int) -> None:
        """Its file was written: bytes."""
        self._mark("kept = ?", package_path, size)

    def mark_read(self, package_path: str, fault: str) -> None:
        """It was read: what is wrong with it, "" where it is as listed."""
        self._mark("fault = ?", package_path, fault)

    def is_good(self, package_path: str) -> bool:
        """Whether it was read and is as listed."""
        return bool(self._one("fault", package_path) == ("",))

    def count_kept(self) -> tuple[int, int]:
        """Files that were written, and their bytes."""
        return self._sum("count(kept)"), self._sum("coalesce(sum(kept), 0)")

    def not_given(self) -> Iterator[ListedFile]:
        """Lines whose package did not come."""
        return self._lines._walk("holder = ? AND fault IS NULL", self._holder)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Of every package that is not as listed: the path of the plain file, and what is wrong."""
        for line in self._lines._walk("holder = ? AND fault > ''", self._holder):
            (fault,) = self._one("fault", line.package_path)
            yield line.path, fault

    def _one(self, columns: str, package_path: str) -> Any:
        return self._lines._do(
            f"SELECT {columns} FROM lines WHERE package_path = ? AND holder = ?",  # noqa: S608
            pack_path(package_path),
            self._holder,
        ).fetchone()

    def _mark(self, change: str, package_path: str, *values: object) -> None:
        self._lines._do(
            f"UPDATE lines SET {change} WHERE package_path = ? AND holder = ?",  # noqa: S608
            *values,
            pack_path(package_path),
            self._holder,
        )

    def _sum(self, what: str) -> int:
        (value,) = self._lines._do(f"SELECT {what} FROM lines WHERE holder = ?", self._holder).fetchone()  # noqa: S608
        return int(value)
