"""The members of a tar stream, read strictly and once: ustar, GNU long names, pax headers.

The standard library decodes a header (`TarInfo.frombuf`); the walk is ours, because a stream that is cut short or goes
on behind its end must be an error here, and because members are handed on without copying their bytes.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal, cast

from rehearsal.errors import RehearsalError, StreamError

_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_ZEROES = bytes(_BLOCK)
_LONGEST_HEADER = 1 << 20  # of a name or a pax header; a path has 4,096 bytes at most
_LATEST = 1 << 34  # seconds; the kernel's file times end near there

Kind = Literal["file", "directory", "link", "hard link", "device", "pipe", "sparse file", "member of unknown type"]
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "pipe",
    tarfile.GNUTYPE_SPARSE: "sparse file",
}


class _Input:
    """A stream with one buffer; pieces are views into it, good until the next one is asked for."""

    def __init__(self, stream: IO[bytes]) -> None:
        reader = cast(io.RawIOBase, stream)
        self._read = getattr(reader, "readinto1", reader.readinto)
        self._view = memoryview(bytearray(_CHUNK))
        self._start = self._end = 0
        self.position = 0

    def _fill(self) -> bool:
        if self._start == self._end:
            self._start, self._end = 0, self._read(self._view) or 0
        return self._start < self._end

    def pieces(self, size: int) -> Iterator[memoryview]:
        while size:
            if not self._fill():
                raise StreamError(f"the tar stream is cut short at byte {self.position}")
            end = min(self._end, self._start + size)
            piece = self._view[self._start : end]
            self._start = end
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        return b"".join(map(bytes, self.pieces(size)))  # copied: a view is good until the next piece only

    def skip(self, size: int) -> None:
        for _ in self.pieces(size):
            pass

    def expect_end(self) -> None:
        while self._fill():
            if any(self._view[self._start : self._end]):
                raise StreamError(f"the tar stream goes on behind its end, at byte {self.position}")
            self.position += self._end - self._start
            self._start = self._end


@dataclass
class TarMember:
    """One member. `content()` gives its bytes, once, before the next member is asked for.

    Attributes:
        name, target: as in the archive, other bytes than UTF-8 surrogate-escaped; target of links only.
        mtime: seconds since 1970.
    """

    name: str
    kind: Kind
    mode: int
    mtime: float
    size: int
    target: str
    _input: _Input
    _left: int

    def content(self) -> Iterator[memoryview]:
        self._left = 0
        yield from self._input.pieces(self.size)


def read_members(stream: IO[bytes]) -> Iterator[TarMember]:
    """Every member, in order; then the stream is at its end.

    Raises:
        StreamError: cut short, damaged, or bytes behind the end-of-archive marker.
        RehearsalError: a kind of header that is not read (sparse, more than 1 MiB long).
    """
    source = _Input(stream)
    overrides: dict[str, str] = {}
    defaults: dict[str, str] = {}
    while True:
        block = source.take(_BLOCK)
        if block == _ZEROES:
            if source.take(_BLOCK) != _ZEROES:
                raise StreamError(f"the tar stream has a lone zero block before byte {source.position}")
            source.expect_end()
            return
        info = _decode(block, source.position)
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            key = "path" if info.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
            overrides[key] = _take_header(source, info.size).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            overrides |= _parse_pax(_take_header(source, info.size), source.position)
        elif info.type == tarfile.XGLTYPE:
            defaults |= _parse_pax(_take_header(source, info.size), source.position)
        else:
            member = _make(info, defaults | overrides, source)
            overrides = {}
            yield member
            source.skip(member._left)  # not taken by the caller
            source.skip(-member.size % _BLOCK)


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    mode: int
    size: int
    mtime: float
    type: bytes
    target: str


def _decode(block: bytes, position: int) -> _Header:
    """A header block; five times as fast as the standard library for the plain ones, which nearly all are.

    Plain: magic `ustar`, no name prefix, octal numbers, checksum over unsigned bytes (POSIX ustar, GNU tar).
    """
    if block[257:262] == b"ustar" and block[156] and (block[345] == 0 or block[262] == 0x20):
        try:
            if int(block[148:154], 8) == sum(block) - sum(block[148:156]) + 256:
                size = int(block[124:135], 8)  # int() takes a sign, too
                if size < 0:
                    raise StreamError(f"a tar header with a negative size before byte {position}")
                return _Header(
                    _text(block[:100]).rstrip("/"),
                    int(block[100:107], 8),
                    size,
                    int(block[136:147], 8),
                    block[156:157],
                    _text(block[157:257]),
                )
        except ValueError:
            pass  # base-256 numbers and the like
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise StreamError(f"no tar header before byte {position}: {error}") from error
    if info.size < 0:
        raise StreamError(f"a tar header with a negative size before byte {position}")
    return _Header(info.name, info.mode, info.size, info.mtime, info.type, info.linkname)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _take_header(source: _Input, size: int) -> bytes:
    if size > _LONGEST_HEADER:
        raise RehearsalError(f"a tar header of {size} bytes: refused", where=f"before byte {source.position}")
    text = source.take(size)
    source.skip(-size % _BLOCK)
    return text


def _parse_pax(text: bytes, position: int) -> dict[str, str]:
    """Records `LENGTH KEY=VALUE\\n` (POSIX pax Extended Header)."""
    records = {}
    start = 0
    while start < len(text):
        try:
            space = text.index(b" ", start)
            end = start + int(text[start:space])
            key, equals, value = text[space + 1 : end - 1].partition(b"=")
            whole = end <= len(text) and text[end - 1 : end] == b"\n" and equals and end > space
        except ValueError:
            whole = False
        if not whole:
            raise StreamError(f"a damaged pax header before byte {position}")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        start = end
    return records


def _make(info: _Header, pax: dict[str, str], source: _Input) -> TarMember:
    name = pax.get("path", info.name)
    kind: Kind = _KINDS.get(info.type, "member of unknown type")
    if any(key.startswith("GNU.sparse") for key in pax):
        kind = "sparse file"
    try:
        size = int(pax.get("size", info.size))
        mtime = float(pax.get("mtime", info.mtime))
    except ValueError as error:
        raise StreamError(f"a damaged pax header before byte {source.position}") from error
    if size < 0:
        raise StreamError(f"a tar header with a negative size before byte {source.position}")
    if not 0 <= mtime < _LATEST:  # also NaN
        mtime = 0.0
    return TarMember(name, kind, info.mode, mtime, size, pax.get("linkpath", info.target), source, size)
