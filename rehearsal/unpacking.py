"""A tar stream onto the disk, in flat memory, for a stream that came out of a pod and is not trusted.

Every path is opened component by component, never through a symbolic link, so nothing lands outside the target
whatever the members say or whatever lies there. And a stream without its end-of-archive marker (two zero blocks,
POSIX pax "ustar Interchange Format") is an error: `tar xf` takes a cut between two members for a whole archive.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rehearsal.errors import EnvironmentUnfit, RehearsalError
from rehearsal.tar_members import TarMember, read_members

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_BITS = 0o777  # no set-id bit on a file from a pod
_DIRECTORY_BITS = 0o3777  # a volume with an fsGroup has set-gid directories


@dataclass
class UnpackCount:
    """What was unpacked: members by kind, and the bytes of regular files."""

    files: int = 0
    directories: int = 0
    links: int = 0
    skipped: int = 0
    bytes: int = 0


def unpack_tar(
    stream: IO[bytes],
    target: Path,
    *,
    owner: tuple[int, int] | None = None,
    as_kubectl_cp: bool = False,
    source: str = "",
) -> UnpackCount:
    """Unpack an uncompressed tar stream and read it to its end.

    Args:
        target: an existing directory; with `source`, the path that takes the place of `source`.
        owner: uid and gid of everything that is made (root only); None: ours.
        as_kubectl_cp: what `kubectl cp POD:source target` does: modes are left to the umask (kubernetes issue 40869)
            and symbolic links are skipped.
        source: every member must lie at or below this path, which is replaced by `target`.

    Raises:
        RehearsalError: a member has an absolute name or `..`, is a link out, a device or the like: named, refused.
        StreamError: the stream is cut short, damaged, or goes on behind its end.
        EnvironmentUnfit: the disk is full or the target cannot be written.
    """
    base = target.parent if source else target
    prefix = tuple(part for part in source.split("/") if part not in ("", "."))
    writer = _Writer(base, owner, keep_metadata=not as_kubectl_cp)
    try:
        for member in read_members(stream):
            try:
                parts = _safe_parts(member.name)
                if prefix:
                    if parts[: len(prefix)] != prefix:
                        raise RehearsalError(f"a tar member lies outside {source}: refused", where=repr(member.name))
                    parts = (target.name, *parts[len(prefix) :])
                if member.kind == "link" and as_kubectl_cp:
                    writer.count.skipped += 1
                else:
                    writer.add(member, parts, prefix, target.name)
            except OSError as error:
                raise _explain(error, member, base) from error
        writer.finish()
    finally:
        writer.close()
    return writer.count


def _safe_parts(name: str) -> tuple[str, ...]:
    """A member's path as components; `.` is dropped; () is the target itself."""
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\0" in name:
        raise RehearsalError("a tar member's name is absolute, empty or contains `..`: refused", where=repr(name))
    return tuple(part for part in parts if part not in ("", "."))


def _check_link(member: TarMember, parts: tuple[str, ...]) -> None:
    """Refuse a symbolic link that points out of the target, by its text."""
    depth = len(parts) - 1
    for part in member.target.split("/"):
        depth += {"..": -1, "": 0, ".": 0}.get(part, 1)
        if depth < 0:
            break
    if depth < 0 or member.target.startswith("/") or not member.target:
        raise _links_out(member)


def _safe_hard_link(member: TarMember) -> tuple[str, ...]:
    """The member that a hard link names, as components."""
    try:
        parts = _safe_parts(member.target)
    except RehearsalError as error:
        raise _links_out(member) from error
    if not parts:
        raise _links_out(member)
    return parts


def _links_out(member: TarMember) -> RehearsalError:
    return RehearsalError(f"a tar member links out, to {member.target!r}: refused", where=repr(member.name))


def _explain(error: OSError, member: TarMember, base: Path) -> RehearsalError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return EnvironmentUnfit(f"cannot unpack: {error.strerror}", where=str(base), hint=f"df -h {base}")
    return RehearsalError(f"a tar member cannot be unpacked: {error.strerror}", where=repr(member.name))


class _Writer:
    """Makes entries below one directory, by descriptors."""

    def __init__(self, base: Path, owner: tuple[int, int] | None, *, keep_metadata: bool) -> None:
        self.count = UnpackCount()
        self._owner = owner
        self._keep = keep_metadata
        self._finish_later: dict[tuple[str, ...], TarMember] = {}
        try:
            self._base = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise EnvironmentUnfit(f"cannot unpack there: {error.strerror}", where=str(base)) from error
        self._parent = self._base
        self._parent_parts: tuple[str, ...] = ()

    def close(self) -> None:
        self._leave_parent()
        os.close(self._base)

    def _leave_parent(self) -> None:
        if self._parent != self._base:
            os.close(self._parent)
        self._parent, self._parent_parts = self._base, ()

    def _enter(self, parts: tuple[str, ...]) -> int:
        """A descriptor of the directory `parts`, made where it is missing; members come directory by directory."""
        if parts != self._parent_parts:
            self._leave_parent()
            for part in parts:
                following = self._open_directory(self._parent, part)
                if self._parent != self._base:
                    os.close(self._parent)
                self._parent = following
            self._parent_parts = parts
        return self._parent

    def _open_directory(self, parent: int, name: str) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=parent)
            opened = os.open(name, _DIRECTORY, dir_fd=parent)
            if self._owner is not None:
                os.fchown(opened, *self._owner)
            return opened

    def add(self, member: TarMember, parts: tuple[str, ...], prefix: tuple[str, ...], replacement: str) -> None:
        if member.kind == "directory":
            self._enter(parts)
            self._finish_later[parts] = member
            self.count.directories += 1
        elif not parts:
            raise RehearsalError("a tar member that is no directory has the target's own name: refused", where=".")
        elif member.kind == "file":
            self._add_file(member, self._enter(parts[:-1]), parts[-1])
        elif member.kind == "link":
            _check_link(member, parts)
            parent = self._enter(parts[:-1])
            self._clear(parent, parts[-1])
            os.symlink(member.target, parts[-1], dir_fd=parent)
            if self._owner is not None:
                os.chown(parts[-1], *self._owner, dir_fd=parent, follow_symlinks=False)
            self.count.links += 1
        elif member.kind == "hard link":
            existing = _safe_hard_link(member)
            if prefix:
                if existing[: len(prefix)] != prefix:
                    raise _links_out(member)
                existing = (replacement, *existing[len(prefix) :])
            self._add_hard_link(existing, parts)
        else:
            raise RehearsalError(f"a tar member is a {member.kind}: refused", where=repr(member.name))

    def _clear(self, parent: int, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)

    def _add_file(self, member: TarMember, parent: int, name: str) -> None:
        mode = 0o600 if self._keep else 0o666
        try:
            made = os.open(name, _CREATE, mode, dir_fd=parent)
        except FileExistsError:  # never written through: it may be a link
            self._clear(parent, name)
            made = os.open(name, _CREATE, mode, dir_fd=parent)
        try:
            for piece in member.content():
                rest = piece
                while rest:
                    rest = rest[os.write(made, rest) :]
            if self._owner is not None:
                os.fchown(made, *self._owner)
            if self._keep:
                os.fchmod(made, member.mode & _FILE_BITS)
                os.utime(made, (member.mtime, member.mtime))
        finally:
            os.close(made)
        self.count.files += 1
        self.count.bytes += member.size

    def _add_hard_link(self, existing: tuple[str, ...], parts: tuple[str, ...]) -> None:
        source = os.dup(self._enter(existing[:-1]))
        try:
            parent = self._enter(parts[:-1])
            self._clear(parent, parts[-1])
            os.link(existing[-1], parts[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)
        self.count.links += 1

    def finish(self) -> None:
        """Give the directories their modes and times, the deepest first: a closed one could not be filled."""
        if not self._keep:
            return
        for parts in sorted(self._finish_later, key=len, reverse=True):
            member = self._finish_later[parts]
            made = self._enter(parts)
            os.fchmod(made, member.mode & _DIRECTORY_BITS)
            os.utime(made, (member.mtime, member.mtime))


@contextmanager
def unpacking(
    target: Path, *, owner: tuple[int, int] | None = None, as_kubectl_cp: bool = False, source: str = ""
) -> Iterator[tuple[IO[bytes], UnpackCount]]:
    """`unpack_tar` turned round: yields a stream to write a tar into, and the count, filled when the context is left.

    Leaving the context closes the stream, waits for the unpacking and raises its error; when the block itself failed,
    its own error is raised, unless that is only the broken pipe of an unpacking that refused.
    """
    reading, writing = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _CHUNK)
    count = UnpackCount()
    failed: list[BaseException] = []

    def unpack() -> None:
        try:
            with open(reading, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor
                done = unpack_tar(stream, target, owner=owner, as_kubectl_cp=as_kubectl_cp, source=source)
            count.__dict__.update(done.__dict__)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=unpack, daemon=True, name="unpack")
    with open(writing, "wb", buffering=0) as sink:  # noqa: PTH123 - a descriptor
        thread.start()
        try:
            yield sink, count
        except BrokenPipeError:
            sink.close()
            thread.join()
            if not failed:
                raise
        except BaseException:
            sink.close()
            thread.join()
            raise
    thread.join()
    if failed:
        raise failed[0]
