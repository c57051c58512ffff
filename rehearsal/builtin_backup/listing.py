"""The list of a backup, `backup-info` or `archive-info`: a line a file, seven columns, tab separated.

    path  size  sha512  packagePath  packageSize  packageSha512  backupName

The first three speak of the plain file, the next three of its package, the compressed and perhaps encrypted file. Read
as a stream, a line at a time, however long the list. A line that cannot be true is a `BadLine` with its number, never
an exception: one bad line must not hide the other million. Facts, section 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rehearsal.builtin_backup.names import parse_name
from rehearsal.errors import RehearsalError

_COLUMNS = 7
_LONGEST_LINE = 1 << 16  # bytes; two paths of 4 KiB and two digests are far below
_LONGEST_PATH = 4095
_LARGEST = (1 << 63) - 1  # bytes; off_t, and an INTEGER of SQLite
_LONGEST_PART = 255
_SIZE = re.compile(r"[0-9]{1,19}")
_DIGEST = re.compile(r"[0-9a-fA-F]{128}")
_NOT_IN_A_NAME = re.compile("[\t\n\r]")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One line. Sizes in bytes, digests 128 hex digits in lower case.

    Attributes:
        path: of the plain file, relative to `storage`; `<name>.sql` of a database.
        package_path: `<path>.lz4` or `<path>.lz4.gpg`.
        backup_name: the backup that packed it; an older one in an incremental backup.
    """

    path: str
    size: int
    sha512: str
    package_path: str
    package_size: int
    package_sha512: str
    backup_name: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be true: its number, from 1, and why."""

    number: int
    what: str


def is_safe_path(path: str) -> bool:
    """Whether a path of a backup may be joined to a folder: relative, no `..`, nothing empty, no NUL, no name that no
    file system takes."""
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        return False
    if len(path) <= _LONGEST_PART // 4:
        return True
    raw = path.encode("utf-8", "surrogatepass")
    return len(raw) <= _LONGEST_PATH and all(len(part) <= _LONGEST_PART for part in raw.split(b"/"))


def read_listing(chunks: Iterable[bytes]) -> Iterator[ListedFile | BadLine]:
    """Every line of a list, in order, as its bytes come in.

    A last line without its newline is a `BadLine`: the list may have been cut there; when the line itself is whole, its
    file comes first.
    """
    for number, (line, ended) in enumerate(_split(chunks), 1):
        found = parse_line(line, number)
        if ended or isinstance(found, ListedFile):
            yield found
        if not ended:
            yield BadLine(number, "the last line has no newline: the list is cut")


def _split(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Lines without their newline, and whether it was there. Of an endless line only the beginning is kept."""
    rest = b""
    for chunk in chunks:
        first, *others = bytes(chunk).split(b"\n")
        rest = (rest + first)[: _LONGEST_LINE + 1]
        if others:
            yield rest, True
            *whole, rest = others
            for line in whole:
                yield line, True
            rest = rest[: _LONGEST_LINE + 1]
    if rest:
        yield rest, False


def parse_line(line: bytes, number: int) -> ListedFile | BadLine:
    """One line without its newline."""
    what = ""
    if len(line) > _LONGEST_LINE:
        return BadLine(number, f"longer than {_LONGEST_LINE} bytes")
    try:
        columns = line.decode("utf-8").split("\t")
    except UnicodeDecodeError:
        return BadLine(number, "not UTF-8")
    if len(columns) != _COLUMNS:
        return BadLine(number, f"{len(columns)} columns, not {_COLUMNS}")
    path, size, sha512, package_path, package_size, package_sha512, backup_name = columns
    if not is_safe_path(path):
        what = f"an unsafe path: {path!r}"
    elif not is_safe_path(package_path):
        what = f"an unsafe path of a package: {package_path!r}"
    elif not _SIZE.fullmatch(size) or not _SIZE.fullmatch(package_size):
        what = f"a size that is no number: {size!r}, {package_size!r}"
    elif max(int(size), int(package_size)) > _LARGEST:
        what = f"a size that no file has: {size}, {package_size}"
    elif not _DIGEST.fullmatch(sha512) or not _DIGEST.fullmatch(package_sha512):
        what = "a digest that is not 128 hex digits"
    elif parse_name(backup_name) is None:
        what = f"no name of a backup: {backup_name!r}"
    if what:
        return BadLine(number, what)
    return ListedFile(
        path, int(size), sha512.lower(), package_path, int(package_size), package_sha512.lower(), backup_name
    )


def format_line(file: ListedFile) -> bytes:
    """The line of a file, with its newline.

    Raises:
        RehearsalError: a tab or a line break in a name, or a name that is not UTF-8: the format has no word for it.
    """
    for name in (file.path, file.package_path, file.backup_name):
        if _NOT_IN_A_NAME.search(name):
            raise RehearsalError("a tab or a line break in a name: the list has no way to write it", where=repr(name))
    columns = (
        file.path,
        str(file.size),
        file.sha512,
        file.package_path,
        str(file.package_size),
        file.package_sha512,
        file.backup_name,
    )
    try:
        return "\t".join(columns).encode("utf-8") + b"\n"
    except UnicodeEncodeError as error:
        raise RehearsalError("a name that is not UTF-8: the list cannot hold it", where=repr(file.path)) from error
