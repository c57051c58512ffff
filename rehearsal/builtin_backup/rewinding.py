"""A stream of chunks that two threads may read in turn, and that can begin again as long as little of it has gone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator


class Rewindable:
    """An iterator of chunks.

    Args:
        kept: bytes from the beginning that are held to be given again.
    """

    def __init__(self, chunks: Iterator[bytes], kept: int) -> None:
        self._chunks = chunks
        self._lock = threading.Lock()
        self._limit = self._room = kept
        self._kept: list[bytes] = []

    def rewind(self) -> bool:
        """Give everything from the beginning once more; False where more has gone than was held."""
        with self._lock:
            if self._room < 0:
                return False
            self._chunks = itertools.chain(self._kept, self._chunks)
            self._kept, self._room = [], self._limit
            return True

    def __iter__(self) -> Rewindable:
        return self

    def __next__(self) -> bytes:
        with self._lock:
            chunk = next(self._chunks)
            self._room -= len(chunk)
            if self._room >= 0:
                self._kept.append(bytes(chunk))  # it may be a view of a buffer that is filled again
            else:
                self._kept.clear()
            return chunk
