"""A line of a list as a row of an SQLite database, paths and digests as bytes; and SQLite's errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from rehearsal.builtin_backup.listing import ListedFile
from rehearsal.errors import EnvironmentUnfit

COLUMNS = "path, size, sha512, package_path, package_size, package_sha512, name"
VALUES = "?, ?, ?, ?, ?, ?, ?"

_Row = tuple[bytes, int, bytes, bytes, int, bytes, str]


def pack_path(path: str) -> bytes:
    """As it is kept: bytes that are not UTF-8, which Python hides in surrogates, come back too."""
    return path.encode("utf-8", "surrogateescape")


def as_row(line: ListedFile) -> _Row:
    """The values of `COLUMNS`."""
    return (
        pack_path(line.path),
        line.size,
        bytes.fromhex(line.sha512),
        pack_path(line.package_path),
        line.package_size,
        bytes.fromhex(line.package_sha512),
        line.backup_name,
    )


def as_line(
    path: bytes, size: int, sha512: bytes, package_path: bytes, package_size: int, package_sha512: bytes, name: str
) -> ListedFile:
    """The line of a row."""
    return ListedFile(
        path.decode("utf-8", "surrogateescape"),
        size,
        sha512.hex(),
        package_path.decode("utf-8", "surrogateescape"),
        package_size,
        package_sha512.hex(),
        name,
    )


@contextmanager
def explain_database(where: str) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Args:
        where: the folder of the database, for the message.

    Raises:
        EnvironmentUnfit: the disk is full or cannot be written.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise EnvironmentUnfit(
            f"the lists' temporary database cannot be written: {error}",
            where=where,
            hint=f"df -h {where}; TMPDIR=DIR names another place",
        ) from error
