"""The ends of a pipeline that lie in our hands: what goes in, what comes out, what is complained about.

Everything is read and written in chunks of up to 1 MiB, counted and hashed as it passes, and never held whole but for
what a caller asked to capture. Nothing here knows of processes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import ByteSource, Transfer

CHUNK = 1 << 20
CAPTURE_LIMIT = 64 << 20
_KEPT_STDERR = 1 << 20
_TAIL = 4096
_LONGEST_LINE = 1 << 16
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

NOTHING = Transfer(0, hashlib.sha256().hexdigest())
"""A transfer that did not take place."""

Chunk = bytes | memoryview


class Meter:
    """Counts and hashes what passes; with `hashed` false it only counts, and the SHA-256 is ""."""

    def __init__(self, hashed: bool = True) -> None:
        self._size = 0
        self._digest = hashlib.sha256() if hashed else None

    def add(self, chunk: Chunk) -> None:
        if self._digest is not None:
            self._digest.update(chunk)
        self._size += len(chunk)

    @property
    def transfer(self) -> Transfer:
        return Transfer(self._size, "" if self._digest is None else self._digest.hexdigest())


def read_chunks(source: ByteSource) -> Iterator[Chunk]:
    """The bytes of a source, in chunks; a chunk may be overwritten once the next one is asked for."""
    if isinstance(source, bytes):
        whole = memoryview(source)
        for start in range(0, len(whole), CHUNK):
            yield whole[start : start + CHUNK]
    elif isinstance(source, Path):
        buffer = memoryview(bytearray(CHUNK))
        with source.open("rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                yield buffer[:count]
    elif hasattr(source, "read"):
        # read1 hands over what is there; read would wait on a pipe for a whole chunk
        read = getattr(source, "read1", source.read)
        while chunk := read(CHUNK):
            yield chunk
    else:
        yield from source


class Pump(threading.Thread):
    """Writes a source into a pipe, in a thread of its own, because a source may block and must not stop the rest.

    A reader that closes early ends the pump without an error: its status tells why. When the source itself fails,
    `error` is set and the pipe stays open, so that the reader can be killed before it takes a cut stream for a whole
    one.

    Args:
        source: what to write.
        fd: the pipe's writing end; closed by the pump at the source's end, otherwise by `close`.
        hashed: whether what is written is hashed.
    """

    def __init__(self, source: ByteSource, fd: int, hashed: bool = True) -> None:
        super().__init__(daemon=True, name="pump")
        os.set_blocking(fd, False)
        self._source = source
        self._fd: int | None = fd
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._meter = Meter(hashed)
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for chunk in read_chunks(self._source):
                if not self._write(chunk):
                    break
        except BrokenPipeError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by whoever runs the pipeline
            self.error = error
            return
        self.close()

    def _write(self, chunk: Chunk) -> bool:
        if self._cancelled.is_set() or self._fd is None:
            return False
        rest = memoryview(chunk)
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while rest and not self._cancelled.is_set():
            if not poll.poll(100):
                continue
            try:
                count = os.write(self._fd, rest)
            except BlockingIOError:
                continue
            self._meter.add(rest[:count])
            rest = rest[count:]
        return not rest  # all of it arrived, also when the command ended meanwhile: its source is asked once more

    def cancel(self) -> None:
        """Stop at the next chance; a source that blocks is left to its (daemon) thread."""
        self._cancelled.set()
        if self.is_alive():
            self.join(timeout=1.0)

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    @property
    def transfer(self) -> Transfer:
        return self._meter.transfer


class Sink:
    """Where standard output goes: a file by path, an open stream, or memory up to 64 MiB.

    Raises:
        EnvironmentUnfit: the path cannot be written, the disk is full, or more than 64 MiB were to be captured.
    """

    def __init__(self, target: Path | IO[bytes] | None, hashed: bool = True) -> None:
        self._target = target
        self._meter = Meter(hashed)
        self._captured = bytearray()
        self._opened: IO[bytes] | None = None
        self._stream: IO[bytes] | None = None
        if isinstance(target, Path):
            try:
                self._stream = self._opened = target.open("wb", buffering=0)
            except OSError as error:
                raise _unwritable(error, target) from error
        else:
            self._stream = target

    def add(self, chunk: memoryview) -> None:
        self._meter.add(chunk)
        if self._stream is None:
            if len(self._captured) + len(chunk) > CAPTURE_LIMIT:
                raise EnvironmentUnfit(
                    "a command printed more than the 64 MiB that are captured", hint="stream it to a file"
                )
            self._captured += chunk
            return
        try:
            rest = chunk
            while rest:
                # a raw stream may write less, and None when it would block
                rest = rest[self._stream.write(rest) or 0 :]
        except OSError as error:
            if error.errno in _NO_SPACE or self._opened is not None:
                raise _unwritable(error, getattr(self._stream, "name", "standard output")) from error
            raise

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def captured(self) -> bytes:
        return bytes(self._captured)

    @property
    def transfer(self) -> Transfer:
        return self._meter.transfer


def _unwritable(error: OSError, place: object) -> EnvironmentUnfit:
    folder = Path(str(place)).parent
    return EnvironmentUnfit(f"cannot write it: {error.strerror}", where=str(place), hint=f"df -h {folder}")


class Complaints:
    """Standard error: the first 1 MiB, the last 4 KiB, and how many lines contain `ERROR`, however much comes."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.tail = b""
        self._lines = 0
        self._line = b""
        self._line_hit = False

    def add(self, chunk: memoryview) -> None:
        data = bytes(chunk)
        self.kept += data[: max(0, _KEPT_STDERR - len(self.kept))]
        self.tail = (self.tail + data)[-_TAIL:]
        *whole, self._line = (self._line + data).split(b"\n")
        for line in whole:
            self._lines += self._line_hit or b"ERROR" in line
            self._line_hit = False
        if len(self._line) > _LONGEST_LINE:
            self._line_hit = self._line_hit or b"ERROR" in self._line
            self._line = self._line[-4:]  # one less than the word

    @property
    def error_lines(self) -> int:
        return self._lines + (self._line_hit or b"ERROR" in self._line)
