"""The same fingerprint of a directory from a pod without Python: GNU find, sort, xargs and sha256sum, one script.

Entries and digests come back as two sorted, NUL-separated sections, with the SHA-256 of all of it at the end; they are
joined here, on our side, into the very lines that `tree_lister.py` prints. Records carry the path last, so that `sort`
orders them by path. Never a process a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from rehearsal.errors import StreamError
from rehearsal.stores.line_files import LineWriter
from rehearsal.stores.tree_lister import LOST_AND_FOUND, entry_line

# y type (`U`: a file that may not be read), s size, m mode, U uid, G gid, i inode, P path below storage.
SCRIPT = rb"""
set -eu
LC_ALL=C; export LC_ALL
kept=$(mktemp -d); trap 'rm -rf "$kept"' EXIT
record='/%s/%m/%U/%G/%i/%P\0'
find storage -mindepth 1 \
  \( -type d \( ! -readable -o ! -executable \) -printf "d$record" -prune \) -o \
  \( -type f ! -readable -printf "U$record" \) -o -printf "%y$record" > "$kept/entries"
find storage -mindepth 1 -type d \( ! -readable -o ! -executable \) -prune -o \
  -type f -readable -print0 > "$kept/files"
find storage -mindepth 1 -type d \( ! -readable -o ! -executable \) -prune -o \
  -type l -printf '%i/%l\0' > "$kept/links"
mkdir "$kept/sums"
xargs -0 -r -P 2 -n 500 sh -c 'sha256sum -z -- "$@" >> "$0/$$"' "$kept/sums" < "$kept/files"
find "$kept/sums" -type f -exec cat {} + > "$kept/sums.all"
{
  sort -z -t/ -k7 "$kept/entries"; printf '\0'
  cat "$kept/links"; printf '\0'
  sort -z -k1.67 "$kept/sums.all"; printf '\0'
} > "$kept/all"
cat "$kept/all"
sha256sum < "$kept/all"
"""
"""For `sh -s`; needs room for about 250 bytes an entry in the pod's temporary directory."""

_TRAILER = 64 + len("  -\n")
_CHUNK = 1 << 20
_KINDS = {b"f": "file", b"U": "file", b"d": "dir", b"l": "link"}


def _records(path: Path, start: int, end: int) -> Iterator[bytes]:
    """NUL-ended records of a part of a file."""
    rest = b""
    with path.open("rb", buffering=0) as stream:
        stream.seek(start)
        while start < end:
            chunk = stream.read(min(_CHUNK, end - start))
            if not chunk:
                return
            start += len(chunk)
            *whole, rest = (rest + chunk).split(b"\0")
            yield from whole


def _verify(path: Path) -> int:
    """The length of what came before the trailer. Raises StreamError when it is not what the pod hashed."""
    body = path.stat().st_size - _TRAILER
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        left = body
        while left > 0:
            chunk = stream.read(min(_CHUNK, left))
            digest.update(chunk)
            left -= len(chunk)
        trailer = stream.read()
    if body < 0 or trailer != digest.hexdigest().encode() + b"  -\n":
        raise StreamError("the listing of the directory arrived cut or changed", where=str(path))
    return body


class ToolListing:
    """What the script sent, verified, as entry lines.

    Args:
        path: where its output lies.
        without: paths below `storage` to leave out.
        alone: directories to leave out when nothing else is in them.

    Raises:
        StreamError: it arrived cut or changed, or a file vanished or came between the listing and the hashing.
    """

    def __init__(self, path: Path, without: frozenset[bytes], alone: frozenset[bytes]) -> None:
        self._path = path
        self._without = without
        self._end = _verify(path)
        self._alone = alone | {LOST_AND_FOUND}
        self._sections = self._find_sections()
        self._alone -= self._filled()
        self.files = 0
        self.directories = 0
        self.bytes = 0

    def write(self, writer: LineWriter) -> None:
        links = self._links()
        sums = _records(self._path, self._sections[2], self._end)
        for fields, path in self._entries():
            kind, size_text, mode, uid, gid, inode = fields
            if path in self._without or path in self._alone:
                if kind == b"f":
                    next(sums, None)
                continue
            size, sha256, target = 0, "", b""
            if kind in (b"f", b"U"):
                size = int(size_text)
                sha256 = "unreadable" if kind == b"U" else self._take_sum(next(sums, b""), path)
                self.files += 1
                self.bytes += size
            elif kind == b"d":
                self.directories += 1
            elif kind == b"l":
                target = links[inode]
            name = _KINDS.get(kind, "other")
            writer.write(entry_line(path, name, size, sha256, int(mode, 8), int(uid), int(gid), target))
        if next(sums, b""):
            raise StreamError("the directory changed while it was listed: a file came", where=str(self._path))

    def _take_sum(self, record: bytes, path: bytes) -> str:
        if record[66:] != b"storage/" + path:
            raise StreamError(
                f"the directory changed while it was listed, at {path.decode('utf-8', 'backslashreplace')}",
                where=str(self._path),
            )
        return record[:64].decode("ascii")

    def _entries(self) -> Iterator[tuple[list[bytes], bytes]]:
        for record in _records(self._path, 0, self._sections[1] - 1):
            *fields, path = record.split(b"/", 6)
            yield fields, path

    def _links(self) -> dict[bytes, bytes]:
        """Link target by inode; links are rare in a file-storage, so these are kept in memory."""
        pairs = (record.split(b"/", 1) for record in _records(self._path, self._sections[1], self._sections[2] - 1))
        return {record[0]: record[1] for record in pairs}

    def _find_sections(self) -> tuple[int, int, int]:
        """Where each section begins: an empty record ends one."""
        starts = [0]
        position = 0
        for record in _records(self._path, 0, self._end):
            position += len(record) + 1
            if not record:
                starts.append(position)
        if len(starts) != 4 or starts[3] != self._end:
            raise StreamError("the listing of the directory has not the sections it should have", where=str(self._path))
        self._end -= 1
        return starts[0], starts[1], starts[2]

    def _filled(self) -> frozenset[bytes]:
        """Those of `alone` that hold something else."""
        return frozenset(
            folder
            for _, path in self._entries()
            for folder in self._alone
            if path.startswith(folder + b"/") and path not in self._without
        )
