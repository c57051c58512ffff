"""Every package of every backup read once: fetched, hashed, decrypted, decompressed and hashed again, by a few threads.

The work is cut into portions of objects, so that one large backup keeps all threads busy. Threads only read and hash
(gpg and hashing leave the interpreter free); what they found goes through a bounded queue to the one thread that
writes it down. A place that cannot be read to its end is a trouble of that portion, never an exception: the other
backups can still be told.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeVar

from rehearsal.builtin_backup.index import FoundPackage
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName
from rehearsal.builtin_backup.opened import Opened, Opens
from rehearsal.builtin_backup.places import Place, StoredObject
from rehearsal.builtin_backup.reading import Package, Stray, walk_packages
from rehearsal.errors import RehearsalError

_PORTION_BYTES = 64 << 20
_PORTION_OBJECTS = 2000
_BATCH = 500
_PAUSE = 0.25
_PATIENCE = 5.0  # seconds; a thread in the middle of a download is left to end with us
DUMP_FOOTER = b"-- PostgreSQL database dump complete"
_TAIL = 1024
NO_FOOTER = "the dump has no end: pg_dump was stopped before it was done"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Portion:
    """Some objects of one backup; `holder` is the backup's number."""

    holder: int
    place: Place
    name: BackupName
    objects: tuple[StoredObject, ...]


@dataclass
class Found:
    """What a thread has to tell of a portion.

    Attributes:
        strays: key and what: members that are no package.
        trouble: why the portion could not be read to its end; "" where it was.
    """

    holder: int
    packages: list[FoundPackage] = field(default_factory=list)
    strays: list[tuple[str, str]] = field(default_factory=list)
    trouble: str = ""
    bytes_read: int = 0


def cut_portions(holder: int, place: Place, name: BackupName) -> Iterator[Portion]:
    """The objects of a backup but for its lists, in portions."""
    lists = (f"{name}/{INFO}", f"{name}/{ARCHIVE_INFO}")
    held: list[StoredObject] = []
    size = 0
    for item in place.objects(name):
        if item.key in lists:
            continue
        held.append(item)
        size += item.size
        if size >= _PORTION_BYTES or len(held) >= _PORTION_OBJECTS:
            yield Portion(holder, place, name, tuple(held))
            held, size = [], 0
    if held:
        yield Portion(holder, place, name, tuple(held))


def is_in_sample(package_path: str, percent: float) -> bool:
    """Whether a file is one of a sample: by a hash of its path, so that it is the same in every backup and place."""
    if percent >= 100:
        return True
    path = package_path.removesuffix(".gpg").removesuffix(".lz4")
    drawn = int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return drawn < percent / 100 * 2**64


def open_portions(
    portions: Iterable[Portion], unsealer: Opens, *, sample_percent: float, jobs: int
) -> Generator[Found | None, None, None]:
    """Read every portion; what was found comes in pieces, and None every now and then while nothing does.

    Leaving the iterator early stops the threads at their next package.
    """
    waiting: queue.Queue[Portion | None] = queue.Queue(2 * jobs)
    found: queue.Queue[Found | BaseException | None] = queue.Queue(4 * jobs)
    stop = threading.Event()
    readers = [
        threading.Thread(
            target=_read_portions, args=(waiting, found, stop, unsealer, sample_percent), daemon=True, name="verify"
        )
        for _ in range(jobs)
    ]
    feeder = threading.Thread(target=_feed, args=(portions, waiting, found, stop, jobs), daemon=True, name="feed")
    for thread in (*readers, feeder):
        thread.start()
    ended = 0
    try:
        while ended < jobs:
            try:
                piece = found.get(timeout=_PAUSE)
            except queue.Empty:
                yield None
                continue
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                ended += 1
            else:
                yield piece
    finally:
        stop.set()
        for thread in (*readers, feeder):
            thread.join(_PATIENCE)


def _feed(
    portions: Iterable[Portion],
    waiting: queue.Queue[Portion | None],
    found: queue.Queue[Found | BaseException | None],
    stop: threading.Event,
    jobs: int,
) -> None:
    try:
        for portion in portions:
            if not _put(waiting, portion, stop):
                return
        for _ in range(jobs):
            _put(waiting, None, stop)
    except BaseException as error:  # noqa: BLE001 - raised again where the iterator is read
        _put(found, error, stop)


def _read_portions(
    waiting: queue.Queue[Portion | None],
    found: queue.Queue[Found | BaseException | None],
    stop: threading.Event,
    unsealer: Opens,
    sample_percent: float,
) -> None:
    try:
        while not stop.is_set():
            try:
                portion = waiting.get(timeout=_PAUSE)
            except queue.Empty:
                continue
            if portion is None:
                break
            for piece in _Reader(portion, unsealer, sample_percent, stop).read():
                if not _put(found, piece, stop):
                    return
        _put(found, None, stop)
    except BaseException as error:  # noqa: BLE001 - raised again where the iterator is read
        _put(found, error, stop)


def _put(target: queue.Queue[Item], item: Item, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            target.put(item, timeout=_PAUSE)
        except queue.Full:
            continue
        return True
    return False


class _Tail:
    """A sink that keeps the last bytes of a dump; whatever writes to it needs `write` alone."""

    def __init__(self) -> None:
        self.kept = b""

    def write(self, chunk: bytes) -> int:
        self.kept = (self.kept + bytes(chunk[-_TAIL:]))[-_TAIL:]
        return len(chunk)

    def close(self) -> None:
        """Nothing is held open."""

    def flush(self) -> None:
        """Nothing is held back."""


class _Reader:
    """Reads one portion."""

    def __init__(self, portion: Portion, unsealer: Opens, sample_percent: float, stop: threading.Event) -> None:
        self._portion = portion
        self._unsealer = unsealer
        self._percent = sample_percent
        self._stop = stop
        self._found = Found(portion.holder)
        self._tails: dict[str, _Tail] = {}

    def read(self) -> Iterator[Found]:
        """What was found, in pieces of a few hundred packages."""
        sink = self._keep_tail if self._portion.name.is_database else None
        try:
            for opened in self._unsealer.open_all(self._choose(), *(() if sink is None else (sink,))):
                self._add(opened)
                if len(self._found.packages) >= _BATCH:
                    yield self._found
                    self._found = Found(self._portion.holder)
        except RehearsalError as error:
            self._found.trouble = str(error)
        yield self._found

    def _choose(self) -> Iterator[Package]:
        """The sample: every dump, for all of a database is in that one file, the first file, and so many percent."""
        portion, is_first = self._portion, True
        for item in walk_packages(portion.place, portion.name, portion.objects):
            if self._stop.is_set():
                return
            if isinstance(item, Stray):
                self._found.strays.append((item.key, item.what))
            elif is_first or portion.name.is_database or is_in_sample(item.path, self._percent):
                is_first = False
                yield item
            else:
                self._found.packages.append(FoundPackage(item.path, item.size))

    def _keep_tail(self, package: Package) -> IO[bytes]:
        tail = self._tails[package.path] = _Tail()
        return tail  # type: ignore[return-value]

    def _add(self, opened: Opened) -> None:
        error = opened.error
        tail = self._tails.pop(opened.path, None)
        if tail is not None and not error and DUMP_FOOTER not in tail.kept:
            error = NO_FOOTER
        self._found.bytes_read += opened.size
        self._found.packages.append(
            FoundPackage(
                opened.path,
                opened.size,
                opened.sha512,
                opened.plain_size,
                opened.plain_sha512,
                error,
                " ".join(sorted(opened.key_ids)),
            )
        )
