"""A folder whose files have names that came from elsewhere: nothing is read, written or moved outside it.

Every path is opened component by component and never through a symbolic link, so neither a name nor a link that lies
there leads out. A file is written to a temporary name and renamed: whoever finds it finds all of it. Used by the
archive server's stand-in and by the restore; a path that is not safe, or is barred by a link, is a RehearsalError.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rehearsal.builtin_backup.listing import is_safe_path
from rehearsal.builtin_backup.places import HALF_WRITTEN
from rehearsal.errors import EnvironmentUnfit, RehearsalError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_CHUNK = 1 << 20
_BUFFER = 1 << 17
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make us wait
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class NewFile(io.BufferedWriter):
    """A file that has no name yet: `keep` gives it one, `discard` removes it, and leaving its context does the second
    unless the first was done. Whoever it is lent to may close it. Made by `SafeFolder.create`.

    Args:
        parent: descriptor of its directory; closed at the end.
        name: what `keep` calls it.
        explain: turns an OSError into ours.
    """

    def __init__(self, parent: int, name: str, explain: Callable[[OSError], RehearsalError]) -> None:
        self._parent_fd, self._name, self._explain = parent, name, explain
        self._temporary = f"{HALF_WRITTEN}{secrets.token_hex(8)}"
        self._settled = False
        try:
            made = os.open(self._temporary, _CREATE, 0o666, dir_fd=parent)
        except OSError:
            os.close(parent)
            raise
        super().__init__(io.FileIO(made, "wb"), _BUFFER)

    def write(self, chunk: Buffer, /) -> int:
        try:
            return super().write(chunk)
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            raise self._explain(error) from error

    def keep(self) -> None:
        """Give it its name, over whatever file or link had it."""
        self.close()
        try:
            os.rename(self._temporary, self._name, src_dir_fd=self._parent_fd, dst_dir_fd=self._parent_fd)
        except OSError as error:
            raise self._explain(error) from error
        self._settle()

    def discard(self) -> None:
        """Remove it, where it was not kept."""
        if self._settled:
            return
        try:
            with suppress(RehearsalError):  # a full disk: whoever wrote has been told
                self.close()
        finally:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._parent_fd)
            self._settle()

    def _settle(self) -> None:
        self._settled = True
        os.close(self._parent_fd)

    def __enter__(self) -> NewFile:
        return self  # also when it was closed by whom it was lent to

    def __exit__(self, *_: object) -> None:
        self.discard()


class SafeFolder:
    """One folder, made where it is missing unless told otherwise; a context manager.

    Paths are relative, with `/`, checked by `is_safe_path`.

    Raises:
        EnvironmentUnfit: the folder cannot be made or opened, or the disk is full.
        RehearsalError: a path that is refused, from every method.
    """

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        self._shown = folder
        try:
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            self._base = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise EnvironmentUnfit(f"cannot open the folder: {error.strerror}", where=str(folder)) from error
        self._last: tuple[tuple[str, ...], int] | None = None

    def __enter__(self) -> SafeFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        os.close(self._base)

    def names(self) -> tuple[str, ...]:
        """What lies directly in it, sorted."""
        return tuple(sorted(os.listdir(self._base)))

    def exists(self, path: str) -> bool:
        """Whether anything has that path: a link too."""
        parts = self._check(path)
        try:
            with self._parent(parts, make=False) as parent:
                os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if error.errno in _ABSENT:
                return False
            raise self._explain(error, path) from error
        return True

    def size(self, path: str) -> int | None:
        """Of the regular file there; None where none is."""
        parts = self._check(path)
        try:
            with self._parent(parts, make=False) as parent:
                status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise self._explain(error, path) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, path: str) -> Iterator[bytes]:
        """The bytes of a regular file, in chunks of up to 1 MiB."""
        parts = self._check(path)
        try:
            with self._parent(parts, make=False) as parent:
                opened = os.open(parts[-1], _READ, dir_fd=parent)
        except OSError as error:
            raise self._explain(error, path) from error
        with open(opened, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise RehearsalError("no regular file", where=f"{self._shown}/{path}")
            while chunk := stream.read(_CHUNK):
                yield chunk

    def write(self, path: str, chunks: Iterable[bytes]) -> int:
        """Write a file, whole or not at all, over whatever file or link had the name; returns its size."""
        size = 0
        with self.create(path) as made:
            for chunk in chunks:
                size += made.write(chunk)
            made.keep()
        return size

    def create(self, path: str) -> NewFile:
        """A new file to write into; it gets its name by `keep`."""
        parts = self._check(path)
        try:
            with self._parent(parts, make=True) as parent:
                return NewFile(os.dup(parent), parts[-1], lambda error: self._explain(error, path))
        except OSError as error:
            raise self._explain(error, path) from error

    def move(self, source: str, target: str) -> None:
        """Rename a regular file within the folder; the target's directories are made."""
        old, new = self._check(source), self._check(target)
        if self.size(source) is None:
            raise RehearsalError("no regular file to move", where=f"{self._shown}/{source}")
        try:
            with self._parent(old, make=False) as lent:
                origin = os.dup(lent)
            try:
                with self._parent(new, make=True) as parent:
                    os.rename(old[-1], new[-1], src_dir_fd=origin, dst_dir_fd=parent)
            finally:
                os.close(origin)
        except OSError as error:
            raise self._explain(error, target) from error

    def remove(self, path: str) -> None:
        """Remove a file or link, or a directory with all below it; links are removed, not followed."""
        parts = self._check(path)
        self._forget()
        try:
            with self._parent(parts, make=False) as parent:
                status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    shutil.rmtree(parts[-1], dir_fd=parent)
                else:
                    os.unlink(parts[-1], dir_fd=parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._explain(error, path) from error
        finally:
            self._forget()

    def _check(self, path: str) -> tuple[str, ...]:
        if not is_safe_path(path):
            raise RehearsalError("an unsafe path: refused", where=repr(path))
        return tuple(path.split("/"))

    @contextmanager
    def _parent(self, parts: tuple[str, ...], *, make: bool) -> Iterator[int]:
        """A descriptor of the directory of `parts`, lent until the next call: files come directory by directory."""
        folders = parts[:-1]
        if not folders:
            yield self._base
            return
        if self._last is None or self._last[0] != folders:
            self._forget()
            self._last = (folders, self._descend(folders, make=make))
        yield self._last[1]

    def _descend(self, folders: tuple[str, ...], *, make: bool) -> int:
        here = os.dup(self._base)
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, 0o777, dir_fd=here)
                following = os.open(folder, _DIRECTORY, dir_fd=here)
                os.close(here)
                here = following
        except BaseException:
            os.close(here)
            raise
        return here

    def _forget(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def _explain(self, error: OSError, path: str) -> RehearsalError:
        where = f"{self._shown}/{path}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return EnvironmentUnfit(f"cannot write it: {error.strerror}", where=where, hint=f"df -h {self._shown}")
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return RehearsalError("a link or a file is in the way: nothing is written through it", where=where)
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY):
            return RehearsalError("a directory is in the way", where=where)
        return RehearsalError(f"it cannot be opened or written: {error.strerror}", where=where)
