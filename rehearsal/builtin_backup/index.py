"""Packages and lines in a database file, so that a million of each cost disk and not memory.

Every package that was found is a row: where it lies, what its bytes were, what came out of it. Of the lists only one
backup's is held at a time; it is matched with the packages by the database, and only what does not match comes back as
values. Paths are kept as bytes, digests as 64 bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.builtin_backup.line_rows import COLUMNS, VALUES, as_line, as_row, pack_path
from rehearsal.builtin_backup.listing import ListedFile

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -32768;
CREATE TABLE packages (
    id INTEGER PRIMARY KEY, holder INTEGER, path BLOB, size INTEGER, sha512 BLOB,
    plain_size INTEGER, plain_sha512 BLOB, error TEXT, keys TEXT, listed INTEGER DEFAULT 0
);
CREATE TABLE allowed (name TEXT, holder INTEGER, rank INTEGER, PRIMARY KEY (name, holder)) WITHOUT ROWID;
CREATE TABLE matched (line INTEGER PRIMARY KEY, package INTEGER);
CREATE TABLE packed (path BLOB PRIMARY KEY, sha512 BLOB) WITHOUT ROWID;
"""
_LINES = """
DROP TABLE IF EXISTS {0};
CREATE TABLE {0} (
    id INTEGER PRIMARY KEY, path BLOB, size INTEGER, sha512 BLOB,
    package_path BLOB, package_size INTEGER, package_sha512 BLOB, name TEXT
);
"""
# The first holder that has the path is the one that a restore would take it from.
_MATCH = """
INSERT INTO matched SELECT l.id, (
    SELECT p.id FROM packages p JOIN allowed a ON a.name = l.name AND a.holder = p.holder
    WHERE p.path = l.package_path ORDER BY a.rank, p.id DESC LIMIT 1
) FROM lines l
"""
_READ = "p.sha512 IS NOT NULL"
_AS_LISTED = """p.size IS l.package_size AND p.sha512 IS l.package_sha512
    AND p.error IS '' AND p.plain_size IS l.size AND p.plain_sha512 IS l.sha512"""
_JOINED = "FROM lines l JOIN matched m ON m.line = l.id LEFT JOIN packages p ON p.id = m.package"


@dataclass(frozen=True, slots=True)
class FoundPackage:
    """A package as it was found. Sizes in bytes, digests in hex.

    Attributes:
        sha512: None: it was left out of the sample and not read.
        error: "" where it opened, else why not.
        key_ids: space separated, those it is encrypted to.
    """

    path: str
    size: int
    sha512: str | None = None
    plain_size: int | None = None
    plain_sha512: str | None = None
    error: str = ""
    key_ids: str = ""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A line, and the package found for it, which is not as the line says; None: nothing was found."""

    line: ListedFile
    holder: int
    found: FoundPackage | None


@dataclass(frozen=True)
class Totals:
    """Of one list: lines, those whose package was found, those whose package was read; plain and packed bytes as
    listed; lines whose package lies in the backup itself."""

    lines: int
    found: int
    read: int
    plain_bytes: int
    package_bytes: int
    own_lines: int


class Index:
    """The database of one verification; `folder` must be private. Used by one thread."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "verify.sqlite3", isolation_level=None)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def add_packages(self, holder: int, found: Iterable[FoundPackage]) -> None:
        """Write packages down; `holder` is a number of the caller's for the backup they lie in."""
        self._insert(
            "INSERT INTO packages (holder, path, size, sha512, plain_size, plain_sha512, error, keys) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    holder,
                    pack_path(one.path),
                    one.size,
                    _digest(one.sha512),
                    one.plain_size,
                    _digest(one.plain_sha512),
                    one.error,
                    one.key_ids,
                )
                for one in found
            ),
        )

    def finish_packages(self) -> None:
        """To be called once, after the last package and before the first list."""
        self._database.execute("CREATE INDEX packages_path ON packages (path, holder)")

    def load(self, table: str, lines: Iterable[ListedFile]) -> None:
        """Hold one list; `table` is `lines`, which is matched, or `others`, which is only compared with it."""
        self._database.executescript(_LINES.format(table))
        self._insert(
            f"INSERT INTO {table} ({COLUMNS}) VALUES ({VALUES})",  # noqa: S608 - one of our two tables
            map(as_row, lines),
        )
        self._database.execute(f"CREATE INDEX {table}_path ON {table} (path)")

    def holders_named(self) -> Iterator[tuple[str, int]]:
        """Every backup that the lines refer to, and how many lines do."""
        yield from self._database.execute("SELECT name, count(*) FROM lines GROUP BY name").fetchall()

    def match(self, allowed: Mapping[str, Sequence[int]]) -> None:
        """Find the package of every line; `allowed`: by backup's name who may hold it, first choice first."""
        self._database.execute("DELETE FROM allowed")
        self._insert(
            "INSERT INTO allowed VALUES (?, ?, ?)",
            ((name, holder, rank) for name, holders in allowed.items() for rank, holder in enumerate(holders)),
        )
        self._database.execute("DELETE FROM matched")
        self._database.execute(_MATCH)
        self._database.execute(
            "UPDATE packages SET listed = 1 WHERE id IN (SELECT package FROM matched WHERE package IS NOT NULL)"
        )

    def count(self, holder: int) -> Totals:
        """Of the list at hand, which is that of the backup with this number."""
        row = self._database.execute(
            "SELECT count(*), count(p.id), count(p.sha512), "
            "coalesce(sum(l.size), 0), coalesce(sum(l.package_size), 0), "
            f"coalesce(sum(p.holder IS ?), 0) {_JOINED}",
            (holder,),
        ).fetchone()
        return Totals(*row)

    def find_mismatches(self) -> Iterator[Mismatch]:
        """Lines without a package, and lines whose package was read and is not as listed, or has another size."""
        rows = self._database.execute(
            "SELECT l.path, l.size, l.sha512, l.package_path, l.package_size, l.package_sha512, l.name, "
            f"p.id, p.holder, p.size, p.sha512, p.plain_size, p.plain_sha512, p.error, p.keys {_JOINED} "
            f"WHERE NOT ({_AS_LISTED}) AND NOT (p.id IS NOT NULL AND NOT ({_READ}) AND p.size IS l.package_size) "
            "ORDER BY l.id"
        )
        for row in rows:
            line, found = as_line(*row[:7]), row[7:]
            yield Mismatch(line, found[1] or 0, None if found[0] is None else _restore(line.package_path, *found[2:]))

    def list_keys(self) -> list[tuple[str, int]]:
        """What the list's read packages are encrypted to (key ids, space separated; "" for none), and how many."""
        return self._database.execute(f"SELECT p.keys, count(*) {_JOINED} WHERE {_READ} GROUP BY p.keys").fetchall()

    def count_suffix(self, suffix: str) -> int:
        """Lines whose package's name ends so."""
        raw = suffix.encode()
        return self._one("SELECT count(*) FROM lines WHERE substr(package_path, ?) = ?", -len(raw), raw)

    def find_repeated_lines(self) -> Iterator[tuple[str, int, bool]]:
        """Paths with several lines: the path, how many, and whether the lines say the same of the plain file."""
        for path, count, contents in self._database.execute(
            "SELECT path, count(*), count(DISTINCT sha512 || size || package_path || package_sha512) FROM lines "
            "GROUP BY path HAVING count(*) > 1"
        ):
            yield _unpack(path), count, contents == 1

    def find_repeated_packages(self) -> Iterator[tuple[int, str, int, bool]]:
        """Packages that lie several times in one holder: holder, path, how many, whether their bytes are the same."""
        for holder, path, count, contents in self._database.execute(
            "SELECT holder, path, count(*), count(DISTINCT coalesce(sha512, id)) "
            "FROM packages INDEXED BY packages_path GROUP BY path, holder HAVING count(*) > 1"
        ):
            yield holder, _unpack(path), count, contents == 1

    def find_left_out(self, table: str, others: str) -> Iterator[str]:
        """Paths of one loaded list that the other does not have with the same content."""
        for (path,) in self._database.execute(
            f"SELECT path FROM {table} o WHERE NOT EXISTS "  # noqa: S608 - one of our two tables
            f"(SELECT 1 FROM {others} l WHERE l.path = o.path AND l.size = o.size AND l.sha512 = o.sha512) ORDER BY id"
        ):
            yield _unpack(path)

    def has_line(self, path: str) -> bool:
        """Whether the list has a line of that plain file."""
        return bool(self._one("SELECT count(*) FROM lines WHERE path = ?", pack_path(path)))

    def find_unlisted(self) -> Iterator[tuple[int, str]]:
        """Packages that no list so far refers to: holder and path."""
        for holder, path in self._database.execute(
            "SELECT holder, path FROM packages p WHERE listed = 0 AND NOT EXISTS "
            "(SELECT 1 FROM packages q WHERE q.path = p.path AND q.holder = p.holder AND q.listed = 1) ORDER BY id"
        ):
            yield holder, _unpack(path)

    def remember_packed(self, holder: int) -> None:
        """Keep those of this list's files that this backup packed itself, for `count_packed_again` of a later one."""
        self._database.execute("DELETE FROM packed")
        self._database.execute(
            f"INSERT OR IGNORE INTO packed SELECT l.path, l.sha512 {_JOINED} WHERE p.holder = ?",
            (holder,),
        )

    def count_packed_again(self, holder: int) -> int:
        """Lines that this backup packed itself though the one kept had packed the same file."""
        return self._one(
            f"SELECT count(*) {_JOINED} JOIN packed k ON k.path = l.path AND k.sha512 = l.sha512 WHERE p.holder = ?",
            holder,
        )

    def forget_packed(self) -> None:
        self._database.execute("DELETE FROM packed")

    def _one(self, query: str, *parameters: object) -> int:
        value: int = self._database.execute(query, parameters).fetchone()[0]
        return value

    def _insert(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._database.execute("BEGIN")
        try:
            self._database.executemany(query, rows)
        finally:
            self._database.execute("COMMIT")


def _restore(
    path: str, size: int, sha512: bytes | None, plain_size: int | None, plain: bytes | None, error: str, keys: str
) -> FoundPackage:
    return FoundPackage(path, size, _hex(sha512), plain_size, _hex(plain), error, keys)


def _unpack(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _digest(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()
