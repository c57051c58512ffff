"""A pipe in memory between a stream out of a pod and somebody who may be slow: it takes a good deal before it blocks.

kubectl asks for a sign of life on its websocket every 5 s and gives up after 12 s without one, which it can only read
behind the data before it. So a reader that lets the stream stand for longer, as gpg does with a passphrase, breaks it
(seen: 290 KB short of 27 MB, after 12.3 s).
"""

from __future__ import annotations

import errno
import io
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


ROOM = 64 << 20
"""Bytes that wait for the reader, at most."""


class ReadAhead(io.RawIOBase):
    """Written by one thread, read by another.

    Args:
        room: bytes taken before a write blocks.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._ended = self._left = False

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def write(self, chunk: ReadableBuffer, /) -> int:
        """Take all of it, once there is room.

        Raises:
            BrokenPipeError: the reader has left.
        """
        copied = memoryview(bytes(chunk))
        with self._changed:
            self._changed.wait_for(lambda: self._left or self._size < self._room)
            if self._left:
                raise BrokenPipeError(errno.EPIPE, "nobody reads on")
            if copied:
                self._waiting.append(copied)
                self._size += len(copied)
                self._changed.notify_all()
        return len(copied)

    def end(self) -> None:
        """Nothing more comes: the reader meets the end behind what is waiting."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def leave(self) -> None:
        """Nobody reads on: whoever writes is told."""
        with self._changed:
            self._left = True
            self._waiting.clear()
            self._changed.notify_all()

    def readinto(self, target: WriteableBuffer, /) -> int:
        """Some of what is waiting; 0 at the end."""
        place = memoryview(target)
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if not self._waiting:
                return 0
            first = self._waiting[0]
            size = min(len(first), len(place))
            place[:size] = first[:size]
            if size == len(first):
                self._waiting.popleft()
            else:
                self._waiting[0] = first[size:]
            self._size -= size
            self._changed.notify_all()
            return size
