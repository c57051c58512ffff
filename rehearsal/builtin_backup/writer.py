"""A STAND-IN for Chipster's `backup` service and file-storage's own backup: not the real ones, but the same format.

Files are grouped, sealed (lz4, then gpg) and put into tars that stream into the place; the lines go to `backup-info`,
uploaded last, which makes the backup complete. With the lines of the latest archive given, only what that does not
have is packed: by path and size alone, as the real one compares (trap 21), and by the name `.lz4.gpg` alone, so that
without encryption everything is packed again every time (trap 10).

As in the real one a file is hashed first and packed afterwards, and its line has the figures of the hash: a file that
grew in between is listed with less than its package holds, and whoever opens the package can see it. Facts, section 6.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Protocol

from rehearsal.builtin_backup.listing import BadLine, ListedFile, format_line, is_safe_path, read_listing
from rehearsal.builtin_backup.names import (
    ARCHIVE_INFO,
    INFO,
    BackupName,
    choose_prefix_digits,
    choose_tar,
    database_source,
    dump_path,
    make_name,
    object_key,
)
from rehearsal.builtin_backup.places import Place, WritablePlace
from rehearsal.builtin_backup.sealing import Sealed
from rehearsal.builtin_backup.sources import Source, SourceFile
from rehearsal.errors import RehearsalError

NO_DATABASE_BACKUP = "without a gpg key or a passphrase the service makes no backup of any database"
SET_A_KEY = "set `deployments.backup.configs.backup-gpg-public-key` or `…backup-gpg-passphrase`"

_CHUNK = 1 << 20
# Of several groups, so many files and bytes at most: out of a pod each reading is a stream of its own, which costs more
# than a small file; and one that fits into `methods.read_ahead` never waits for gpg.
_FILES_TOGETHER = 20_000
_BYTES_TOGETHER = 48 << 20
_SPOOL = 8 << 20  # bytes of a list kept in memory; a longer one goes to a temporary file
_ENCRYPTED = ".lz4.gpg"
_UNLISTABLE = re.compile("[\t\n\r\ud800-\udfff]")


class Seals(Protocol):
    """What turns files into packages; `sealing.Sealer` does it with gpg."""

    @property
    def suffix(self) -> str:
        """`.lz4` or `.lz4.gpg`."""

    def seal(self, files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Sealed]:
        """A package a file; its chunks are good until the next one is asked for."""


def say_nothing(_: str) -> None:
    """The listener of those who do not want to hear what was left out."""


def write_files_backup(
    place: WritablePlace,
    source: Source,
    sealer: Seals,
    *,
    storage_id: str,
    nanoseconds: int,
    archived: Iterable[ListedFile] = (),
    tell: Callable[[str], None] = say_nothing,
) -> BackupName:
    """Back up a storage's files into a bucket.

    Args:
        storage_id: `file-storage-0`.
        nanoseconds: when, since 1970.
        archived: lines of the latest archive, from `latest_archived`; none for a full backup.
        tell: gets a sentence for every file that is left out: its name has a tab or a line break (the real one skips
            it too, in its log only), or it was deleted meanwhile.

    Raises:
        RehearsalError: the source handed over a file it was not asked for, or two of one name.
    """
    name = make_name(storage_id, nanoseconds)
    have = {line.path: line for line in archived}
    groups: dict[str, list[SourceFile]] = defaultdict(list)
    with tempfile.SpooledTemporaryFile(_SPOOL) as listing:
        packed = []
        for file in source.list_files():
            if not is_safe_path(file.path) or _UNLISTABLE.search(file.path):
                tell(f"{file.path!r} is left out: the list has no way to write its name")
                continue
            old = have.get(file.path)
            if old is not None and old.package_path == file.path + _ENCRYPTED and old.size == file.size:
                listing.write(format_line(old))
            else:
                packed.append(file)
        digits = choose_prefix_digits(len(packed))
        for file in packed:
            groups[choose_tar(file.path.rpartition("/")[2], file.size, digits)].append(file)
        for portion in _portion(groups):
            _write_tars(place, name, source, sealer, portion, listing, tell)
        _write_list(place, f"{name}/{INFO}", listing)
    return name


def write_database_backup(
    place: WritablePlace, sealer: Seals, *, role: str, dump: Iterable[bytes], nanoseconds: int
) -> BackupName:
    """Back up a database's dump into a bucket. The dump is read once; its line has the figures of what was packed.

    Args:
        role: `session-db`.

    Raises:
        RehearsalError: the sealer does not encrypt: then the real service makes no database backup at all (trap 16).
    """
    if sealer.suffix != _ENCRYPTED:
        raise RehearsalError(
            NO_DATABASE_BACKUP,
            where=role,
            hint=SET_A_KEY,
        )
    name = make_name(database_source(role), nanoseconds)
    path = dump_path(name)
    lines: list[ListedFile] = []

    def seal() -> Iterator[Sealed]:
        for sealed in sealer.seal([(path, dump)]):
            yield sealed
            lines.append(_describe(sealed, sealed.size, sealed.sha512, name))

    place.write(object_key(name, f"{name}.tar"), _pack(seal()))
    with tempfile.SpooledTemporaryFile(_SPOOL) as listing:
        listing.writelines(format_line(line) for line in lines)
        _write_list(place, f"{name}/{INFO}", listing)
    return name


def latest_archived(place: Place, source: str) -> tuple[ListedFile, ...]:
    """The lines of the newest `archive-info` of that storage in a bucket: what the next incremental may leave out.

    Raises:
        RehearsalError: a line of it cannot be read; the real service stops there too.
    """
    for name in reversed([name for name in place.names() if name.source == source]):
        key = f"{name}/{ARCHIVE_INFO}"
        if any(found.key == key for found in place.objects(name)):
            lines = []
            for line in read_listing(place.read(key)):
                if isinstance(line, BadLine):
                    raise RehearsalError(f"line {line.number}: {line.what}", where=f"{place.shown}/{key}")
                lines.append(line)
            return tuple(lines)
    return ()


def _portion(groups: dict[str, list[SourceFile]]) -> Iterator[dict[str, str]]:
    """The groups in order, as many at a time as are read together: each path with the name of its tar."""
    portion: dict[str, str] = {}
    total = 0
    for tar in sorted(groups):
        files = groups.pop(tar)
        size = sum(file.size for file in files)
        if portion and (len(portion) + len(files) > _FILES_TOGETHER or total + size > _BYTES_TOGETHER):
            yield portion
            portion, total = {}, 0
        portion |= {file.path: tar for file in files}
        total += size
    if portion:
        yield portion


def _write_tars(
    place: WritablePlace,
    name: BackupName,
    source: Source,
    sealer: Seals,
    tars: Mapping[str, str],
    listing: IO[bytes],
    tell: Callable[[str], None],
) -> None:
    """Some groups of files: hashed, sealed, packed and listed. No object where none of a group is left.

    Args:
        tars: the tar of each path, in the order of the tars.
    """
    hashed = _hash_files(source, tuple(tars))
    written: set[str] = set()

    def seal() -> Iterator[Sealed]:
        there = tuple(path for path in tars if path in hashed)
        for sealed in sealer.seal(source.read(there) if there else ()):
            if sealed.path not in hashed or sealed.path in written:
                raise RehearsalError("the source handed over a file it was not asked for", where=repr(sealed.path))
            yield sealed
            written.add(sealed.path)
            listing.write(format_line(_describe(sealed, *hashed[sealed.path], name)))

    last = ""
    for tar, packages in itertools.groupby(seal(), lambda sealed: tars[sealed.path]):
        if tar < last:
            raise RehearsalError("the source handed files over in another order", where=tar)
        place.write(object_key(name, tar), _pack(packages))
        last = tar
    for path in tars:
        if path not in written:
            tell(f"{path!r} is left out: it was deleted during the backup")


def _hash_files(source: Source, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Size and SHA-512 of each of these files that is there."""
    hashed = {}
    for path, chunks in source.read(paths):
        digest = hashlib.sha512()
        size = 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
        hashed[path] = (size, digest.hexdigest())
    return hashed


def _describe(sealed: Sealed, size: int, sha512: str, name: BackupName) -> ListedFile:
    return ListedFile(
        sealed.path, size, sha512, sealed.package_path, sealed.package_size, sealed.package_sha512, str(name)
    )


def _pack(packages: Iterable[Sealed]) -> Iterator[bytes]:
    """A tar stream, in chunks of about 1 MiB, with its end-of-archive marker."""
    pending = bytearray()
    for package in packages:
        header = tarfile.TarInfo(package.package_path)
        header.size, header.mode = package.package_size, 0o644
        pending += header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        size = 0
        for chunk in package.chunks():
            size += len(chunk)
            pending += chunk
            if len(pending) >= _CHUNK:
                yield bytes(pending)
                pending.clear()
        if size != package.package_size:
            raise RehearsalError(f"a package of {package.package_size} bytes gave {size}", where=package.package_path)
        pending += b"\0" * (-size % tarfile.BLOCKSIZE)
    pending += b"\0" * (2 * tarfile.BLOCKSIZE)
    yield bytes(pending)


def _write_list(place: WritablePlace, key: str, listing: IO[bytes]) -> None:
    listing.seek(0)
    place.write(key, iter(lambda: listing.read(_CHUNK), b""))
