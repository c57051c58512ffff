"""Line files as evidence: verified against their inventory, then read side by side in one pass and flat memory.

A file that is missing, was cut or edited, or is not sorted is an error that names it: we learnt nothing. It is never a
difference, for nobody can say what the store looked like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rehearsal.errors import EnvironmentUnfit
from rehearsal.inventory import LineFile

_CHUNK = 1 << 20

KeyOf = Callable[[bytes], bytes]
Judge = Callable[[bytes, bytes | None, bytes | None], None]


def merge_lines(before: LineFile | None, after: LineFile | None, folder: Path, key_of: KeyOf, judge: Judge) -> int:
    """Walk two sorted line files side by side; `judge(key, expected line, found line)` for each that differs.

    None stands for a file that was never kept: nothing is in it. Returns how many keys were looked at.
    """
    for evidence in (before, after):
        if evidence is not None:
            verify_lines(evidence, folder)
    if before is not None and after is not None and before.sha256 == after.sha256:
        return before.lines  # the same bytes, both measured just now
    left, right = _Reader(before, folder, key_of), _Reader(after, folder, key_of)
    looked_at = 0
    while left.line is not None or right.line is not None:
        looked_at += 1
        if left.line == right.line:
            left.advance()
            right.advance()
        elif right.line is None or (left.line is not None and left.key < right.key):
            judge(left.key, left.line, None)
            left.advance()
        elif left.line is None or right.key < left.key:
            judge(right.key, None, right.line)
            right.advance()
        else:
            judge(left.key, left.line, right.line)
            left.advance()
            right.advance()
    return looked_at


class _Reader:
    """One line file, read a line at a time; `line` is None at its end; `key` is worked out only when asked for."""

    def __init__(self, evidence: LineFile | None, folder: Path, key_of: KeyOf) -> None:
        self._where = "" if evidence is None else evidence.path
        self._lines = iter(()) if evidence is None else _read_lines(folder / evidence.path)
        self._key_of = key_of
        self._last_key: bytes | None = None
        self._key: bytes | None = None
        self.line: bytes | None = next(self._lines, None)

    @property
    def key(self) -> bytes:
        if self._key is None:
            assert self.line is not None  # noqa: S101 - asked for only where there is a line
            try:
                self._key = self._key_of(self.line)
            except (ValueError, LookupError) as error:
                raise EnvironmentUnfit(
                    f"a line of the evidence cannot be read: {self.line[:80]!r}", where=self._where
                ) from error
            if self._last_key is not None and self._key < self._last_key:
                raise EnvironmentUnfit(f"the evidence is not sorted, at {self._key[:80]!r}", where=self._where)
            self._last_key = self._key
        return self._key

    def advance(self) -> None:
        self.line = next(self._lines, None)
        self._key = None


class Companion:
    """A third sorted line file, beside two that are being merged: asked for their keys, which rise."""

    def __init__(self, evidence: LineFile | None, folder: Path, key_of: KeyOf) -> None:
        """Verified like the other two; None: it holds nothing."""
        if evidence is not None:
            verify_lines(evidence, folder)
        self._reader = _Reader(evidence, folder, key_of)

    def find(self, key: bytes) -> bytes | None:
        """The line of that key, or None; every key is at least the one asked for before."""
        while self._reader.line is not None and self._reader.key < key:
            self._reader.advance()
        return self._reader.line if self._reader.line is not None and self._reader.key == key else None


def read_lines(evidence: LineFile | None, folder: Path) -> Iterator[bytes]:
    """Every line of a line file, verified before the first is given; none for None.

    Raises:
        EnvironmentUnfit: as `verify_lines` says.
    """
    if evidence is not None:
        verify_lines(evidence, folder)
        yield from _read_lines(folder / evidence.path)


def _read_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=_CHUNK) as stream:
        yield from stream


def verify_lines(evidence: LineFile, folder: Path) -> None:
    """Count and hash a line file against what its inventory says.

    Raises:
        EnvironmentUnfit: it is missing, or not the file that the inventory was taken with.
    """
    path = folder / evidence.path
    digest = hashlib.sha256()
    lines = 0
    try:
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                lines += chunk.count(b"\n")
    except OSError as error:
        raise EnvironmentUnfit(f"the evidence cannot be read: {error.strerror}", where=str(path)) from error
    if digest.hexdigest() != evidence.sha256 or lines != evidence.lines:
        raise EnvironmentUnfit(
            f"the evidence was cut or edited after the inventory: {evidence.lines} lines were written, "
            f"{lines} are there, SHA-256 {'as written' if digest.hexdigest() == evidence.sha256 else 'differs'}",
            where=str(path),
            hint="rehearse again; a changed record proves nothing",
        )
