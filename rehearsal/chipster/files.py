"""The users' files: which there are, what lies in them, and the tar stream that carries them into a pod.

A file is described by its index alone (identifier, size, instant, bytes), so the rows of session-db and the tree of a
file-storage replica agree without being made together, and 200,000 of them need no memory. Bytes are slices of one
pseudo-random block of the seed; each MiB begins with a hash of (seed, file, position), so no two files are alike and a
piece of one file that lands in another, or in another place, is noticed. The tar headers are written by hand (POSIX
ustar, "pax Interchange Format" page of POSIX.1): tarfile's output has changed between Python versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from rehearsal.chipster.draws import YEAR, Draws, count_unix_seconds
from rehearsal.chipster.plan import Plan

UPLOADING, COMPLETE = 0, 1
_PIECE = 1 << 20
_BLOCK = 2 * _PIECE
_RECORD = 10_240
_OUT = 256 * 1024
# The first files stand at the edges of tar's and PostgreSQL's own blocks; index 1 is the big one.
_EDGES = {0: 0, 2: 1, 3: 511, 4: 512, 5: 513, 6: 8_192, 7: 65_537, 8: _PIECE, 9: _PIECE + 1, 10: 1_024, 11: 9_728}
# Smaller ones could not hold enough of their hash to be told apart.
_SMALLEST = 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file.

    Attributes:
        index: its number in the seed.
        file_id: UUID; also its name.
        size: bytes, as the `file` row says.
        stored: bytes on disk; fewer than `size` in an upload that broke off.
        state: of the row, `UPLOADING` or `COMPLETE`.
        created: microseconds, see `write_instant`.
    """

    index: int
    file_id: str
    size: int
    stored: int
    state: int
    created: int

    @property
    def path(self) -> str:
        return f"storage/{self.file_id[:2]}/{self.file_id}"


def describe_file(plan: Plan, index: int) -> StoredFile:
    """The file of that index. The last two are uploads that broke off."""
    draws = Draws(plan.number, "file", index)
    file_id = draws.uuid()
    while file_id[:2] in plan.unused_folders:
        file_id = draws.uuid()
    created = draws.below(6 * YEAR)
    size = _draw_size(plan, index, draws)
    if index < plan.scale.files - 2:
        return StoredFile(index, file_id, size, size, COMPLETE, created)
    size += 4_096
    return StoredFile(index, file_id, size, _SMALLEST + draws.below(size - _SMALLEST), UPLOADING, created)


def _draw_size(plan: Plan, index: int, draws: Draws) -> int:
    """Most files are tiny, few are large; 39 KB on average."""
    if index == 1:
        return plan.scale.biggest
    if index in _EDGES:
        return _EDGES[index]
    kind = draws.below(1_000)
    if kind < 700:
        return _SMALLEST + draws.below(2_000)
    if kind < 950:
        return 2_000 + draws.below(48_000)
    if kind < 996:
        return 50_000 + draws.below(450_000)
    return 500_000 + draws.below(7_500_000)


def count_files(plan: Plan, replica: int) -> dict[str, int]:
    """Number of files on that replica and their bytes, without making one."""
    files = size = 0
    for index in range(replica, plan.scale.files, plan.replicas):
        files += 1
        size += describe_file(plan, index).stored
    return {"files": files, "bytes": size}


class Contents:
    """The bytes of a seed's files. Holds one block of 2 MiB."""

    def __init__(self, plan: Plan) -> None:
        self._number = plan.number
        # Twice the piece, so that a piece may start anywhere in the first half.
        self._block = memoryview(hashlib.shake_256(f"{plan.number}/block".encode("ascii")).digest(_BLOCK))

    def pieces(self, file: StoredFile) -> Iterator[bytes | memoryview]:
        """The file's bytes, in pieces of at most 1 MiB."""
        for start in range(0, file.stored, _PIECE):
            name = f"{self._number}/{file.file_id}/{start}".encode("ascii")
            head = hashlib.blake2b(name, digest_size=32).digest()
            length = min(_PIECE, file.stored - start)
            yield head[:length]
            offset = int.from_bytes(head[:4], "big") % _PIECE
            yield self._block[offset : offset + max(0, length - len(head))]


def stream_tar(plan: Plan, replica: int) -> Iterator[bytes]:
    """The tree of a replica as a tar stream: 256 two-digit folders, the files, the end-of-archive blocks."""
    return _gather(_tar_pieces(plan, replica))


def _tar_pieces(plan: Plan, replica: int) -> Iterator[bytes | memoryview]:
    written = 0
    for folder in range(256):
        yield _make_header(f"storage/{folder:02x}/", 0, 0o755, count_unix_seconds(0), b"5")
        written += 512
    contents = Contents(plan)
    for index in range(replica, plan.scale.files, plan.replicas):
        file = describe_file(plan, index)
        yield _make_header(file.path, file.stored, 0o644, count_unix_seconds(file.created), b"0")
        yield from contents.pieces(file)
        padding = -file.stored % 512
        yield bytes(padding)
        written += 512 + file.stored + padding
    yield bytes(1_024 + -(written + 1_024) % _RECORD)


def _make_header(name: str, size: int, mode: int, mtime: int, kind: bytes) -> bytes:
    """A ustar header block; owner and group are 1000 by number, without names."""
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 1000, 1000, size, mtime)
    before = name.encode("ascii").ljust(100, b"\0") + numbers
    after = (kind + bytes(100) + b"ustar\x0000").ljust(512 - 156, b"\0")
    checksum = sum(before) + sum(after) + 8 * 0x20
    return before + b"%06o\0 " % checksum + after


def _gather(pieces: Iterator[bytes | memoryview]) -> Iterator[bytes]:
    """Small pieces joined to chunks of 256 KiB or more: a write per tiny header would cost more than its bytes."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= _OUT:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
