"""The packages of a backup, one after the other: members of a bucket's tars, or loose files of an archive.

Nothing is unpacked to a disk: a tar is read as it comes in, once. What is no package (a link, an unsafe name, a tar
that is cut) is a `Stray` with the reason and the walk goes on with the next object; a place that cannot be read raises.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from typing_extensions import Buffer

from rehearsal.builtin_backup.listing import is_safe_path
from rehearsal.builtin_backup.names import ARCHIVE_INFO, INFO, BackupName
from rehearsal.builtin_backup.places import Place, StoredObject
from rehearsal.errors import RehearsalError, StreamError
from rehearsal.tar_members import TarMember, read_members

SUFFIXES = (".lz4", ".lz4.gpg")
_TAR = ".tar"


@dataclass(frozen=True)
class Package:
    """A compressed and perhaps encrypted file.

    Attributes:
        path: `packagePath` of its line.
        size: bytes, as the tar or the place says.
        chunks: its bytes, once, before the next package is asked for. Raises StreamError where they end early.
        key: the object that holds it.
    """

    path: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    key: str = ""


@dataclass(frozen=True)
class Stray:
    """Something in a backup that is no package: the object's key, and what it is."""

    key: str
    what: str


def walk_packages(
    place: Place, name: BackupName, objects: Iterable[StoredObject] | None = None
) -> Iterator[Package | Stray]:
    """Every package of a backup, in the order of its objects; its two lists are left out.

    Args:
        objects: only these; None: all of the backup.

    Raises:
        RehearsalError: the place cannot be read. Fewer or more bytes than it lists are a Stray.
    """
    lists = (f"{name}/{INFO}", f"{name}/{ARCHIVE_INFO}")
    for item in place.objects(name) if objects is None else objects:
        if item.key in lists:
            continue
        if place.kind == "archive":
            yield _take_file(place, name, item)
        elif item.key.endswith(_TAR):
            yield from _walk_tar(place, item)
        else:
            yield Stray(item.key, "neither a tar nor a list")


def _take_file(place: Place, name: BackupName, item: StoredObject) -> Package | Stray:
    path = item.key.removeprefix(f"{name}/")
    what = _find_fault(path)
    if what:
        return Stray(item.key, what)
    return Package(path, item.size, lambda: place.read(item.key), item.key)


def _find_fault(path: str) -> str:
    if not is_safe_path(path):
        return f"an unsafe name: {path!r}"
    if not path.endswith(SUFFIXES):
        return f"no package: {path!r} ends with neither .lz4 nor .lz4.gpg"
    return ""


def _walk_tar(place: Place, item: StoredObject) -> Iterator[Package | Stray]:
    stream = _Incoming(place.read(item.key))
    try:
        for member in read_members(cast(IO[bytes], stream)):
            if member.kind == "directory" and is_safe_path(member.name):
                continue
            what = _find_fault(member.name)
            if member.kind != "file":
                what = f"a {member.kind}, not a file: {member.name!r}"
            yield Stray(item.key, what) if what else Package(member.name, member.size, _reader(member), item.key)
    except RehearsalError as error:
        if error is stream.failure:
            raise
        yield Stray(item.key, error.what)
    finally:
        stream.close()


def _reader(member: TarMember) -> Callable[[], Iterator[bytes]]:
    # views of a buffer: as good as bytes until the next one is asked for, and nothing is copied
    return lambda: cast(Iterator[bytes], member.content())


class _Incoming(io.RawIOBase):
    """Chunks as a stream to read from. `failure` is what the place raised, but for a cut or overlong object."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer)
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
            except StreamError:
                raise
            except BaseException as error:
                self.failure = error
                raise
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        closing = getattr(self._chunks, "close", None)
        if closing is not None:
            closing()
        super().close()
