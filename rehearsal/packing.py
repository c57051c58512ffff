"""A directory as a tar stream, in flat memory: what `tar cf - -C BACKUP_DIR storage` gives, without a process.

Only the kinds of entry that a backup set may hold are packed (regular files, directories, symbolic links as links);
anything else is an error, not a silent gap. Order is bytewise by name, so the same tree gives the same stream but for
times.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from rehearsal.errors import EnvironmentUnfit, StreamError

_CHUNK = 1 << 20


def _pack_content(path: Path, size: int) -> Iterator[bytes]:
    """The file's bytes, padded to tar's 512-byte blocks.

    Raises:
        StreamError: the file is not as long as its header said.
    """
    left = size
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise StreamError(
            f"the file changed while it was packed: {size} bytes expected, {size - left} read", where=str(path)
        )
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _describe(path: Path, name: str) -> tarfile.TarInfo:
    status = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(status.st_mode)
    member.mtime = int(status.st_mtime)
    if stat.S_ISREG(status.st_mode):
        member.size = status.st_size
    elif stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        member.type = tarfile.SYMTYPE
        member.linkname = os.readlink(path)
    else:
        raise EnvironmentUnfit("neither a file, a directory nor a link: it cannot be packed", where=str(path))
    return member


def _pack_entry(path: Path, name: str) -> Iterator[bytes]:
    member = _describe(path, name)
    yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    if member.isreg():
        yield from _pack_content(path, member.size)
    elif member.isdir():
        for child in sorted(os.listdir(os.fsencode(path))):
            text = os.fsdecode(child)
            yield from _pack_entry(path / text, f"{name}/{text}")


def pack_tree(parent: Path, name: str) -> Iterator[bytes]:
    """The tree `parent/name` as an uncompressed GNU tar stream whose members begin with `name`.

    Owners are left at 0: whoever unpacks it as an ordinary user owns the files, as with the manual's command.

    Raises:
        EnvironmentUnfit: the tree is not there, or holds a socket, pipe or device.
        StreamError: a file changed its length while it was packed.
    """
    root = parent / name
    if not root.is_dir():
        raise EnvironmentUnfit("the backup set has no such directory", where=str(root))
    pending = bytearray()
    for piece in _pack_entry(root, name):
        pending += piece
        if len(pending) >= _CHUNK:
            yield bytes(pending)
            pending.clear()
    pending += b"\0" * (2 * tarfile.BLOCKSIZE)
    yield bytes(pending)
