"""lz4 frames, decompressed and hashed as they come in; a sink gets the plain bytes where one is given.

Exactly one frame, whole, with nothing behind it: what the server's `lz4 -q -c FILE` writes. Never more than 1 MiB of
plain bytes is held, however small the package that makes them, and a package that makes more than it may is stopped.
"""

from __future__ import annotations

import hashlib
from typing import IO

import lz4.frame

from rehearsal.errors import EnvironmentUnfit

_PIECE = 1 << 18
_OUT = 1 << 20
_BEST = 255
"""lz4 makes no more than 255 bytes of one (the format's longest match lengths)."""

EMPTY = "empty: a pipe that failed left 0 bytes"
NOT_LZ4 = "not lz4"
CUT = "cut: the lz4 frame has no end"
DAMAGED = "damaged lz4"
BEHIND = "bytes behind the end of the lz4 frame"


class TooMuch(Exception):
    """The plain bytes are more than they may be."""


def most_plain(size: int) -> int:
    """The most bytes that a package of `size` bytes can honestly hold."""
    return _BEST * size + (1 << 16)


class Expander:
    """One package's content. Feed it with `write`, then ask `finish`.

    Args:
        sink: gets the plain bytes; not closed.
        limit: bytes; more of them raise TooMuch.
    """

    def __init__(self, sink: IO[bytes] | None, limit: int) -> None:
        self.size = 0
        self._sink = sink
        self._limit = limit
        self._digest = hashlib.sha512()
        self._frame = lz4.frame.LZ4FrameDecompressor()
        self._fed = False
        self._error = ""
        self._ended = False

    def write(self, chunk: bytes | memoryview) -> int:
        """Take the next bytes, all of them; what is wrong with them is told by `finish`.

        Raises:
            TooMuch: more plain bytes than the limit.
            EnvironmentUnfit: the sink cannot be written.
        """
        view = memoryview(chunk)
        for start in range(0, len(view), _PIECE):
            if not self._error:
                self._feed(bytes(view[start : start + _PIECE]))
        return len(view)

    def _feed(self, piece: bytes) -> None:
        self._fed = True
        if self._ended:
            self._error = BEHIND
            return
        most = min(_OUT, most_plain(len(piece)))
        while True:
            try:
                plain = self._frame.decompress(piece, max_length=most)
            except (RuntimeError, EOFError) as error:
                code = str(error).rpartition("ERROR_")[2]
                self._error = NOT_LZ4 if code.startswith("frameType") and not self.size else f"{DAMAGED}: {code}"
                return
            self._take(plain)
            if self._frame.eof:
                self._ended = True
                if self._frame.unused_data:
                    self._error = BEHIND
                return
            if self._frame.needs_input:
                return
            piece = b""

    def _take(self, plain: bytes) -> None:
        self.size += len(plain)
        if self.size > self._limit:
            raise TooMuch
        self._digest.update(plain)
        if self._sink is not None and plain:
            try:
                rest = memoryview(plain)
                while rest:
                    rest = rest[self._sink.write(rest) or 0 :]
            except OSError as error:
                where = str(getattr(self._sink, "name", "the sink"))
                raise EnvironmentUnfit(f"cannot write it: {error.strerror}", where=where, hint="df -h") from error

    def finish(self) -> str:
        """What is wrong, in words; "" where the frame was whole."""
        if self._error or self._ended:
            return self._error
        return CUT if self._fed else EMPTY

    @property
    def sha512(self) -> str:
        return self._digest.hexdigest()


class Expanding:
    """An expander with its sink; closes the sink, and keeps quiet once there was too much."""

    def __init__(self, sink: IO[bytes] | None, limit: int) -> None:
        self.expander = Expander(sink, limit)
        self.too_much = False
        self._sink = sink
        self._limit = limit

    def __enter__(self) -> Expanding:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sink is not None:
            self._sink.close()

    def feed(self, chunk: bytes) -> None:
        if not self.too_much:
            try:
                self.expander.write(chunk)
            except TooMuch:
                self.too_much = True

    def finish(self) -> str:
        if self.too_much:
            return f"more than {self._limit} bytes in it, and no more are listed or can be"
        return self.expander.finish()
