"""Operators on the streams of a restore: cut, stopped, unpacked in the wrong place or with the wrong rights.

The method is the manual's; only the bytes on their way into the pod, or the words of the command, are others.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from rehearsal.chipster.runbook import UNPACK_FILES
from rehearsal.deployment import FilesSpec
from rehearsal.roles import ExecResult, Stage
from rehearsal.tampering.dump_parts import read_dump, read_rows
from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.restores import is_psql
from rehearsal.tampering.rewiring import rewire, rewire_command
from rehearsal.tampering.set_files import list_uploads
from rehearsal.tampering.sets import draw_dump, find_artefact, lost_files

_CHUNK = 1 << 16
_ROOT = "storage/"


def read_part(path: Path, start: int, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from `start` to `end`, in chunks."""
    with path.open("rb") as stream:
        stream.seek(start)
        left = -1 if end is None else end - start
        while left and (chunk := stream.read(_CHUNK if left < 0 else min(_CHUNK, left))):
            left -= len(chunk) if left > 0 else 0
            yield chunk


@operator(
    "stream into psql cut",
    why="kubectl exec -i loses the end of a long stream and ends with status 0 (kubernetes/kubernetes#73056)",
    moment="restore",
    area="restore",
    checks="rows",
)
def cut_psql_stream(strike: Strike) -> str:
    stage = strike.stage
    _, path = draw_dump(stage, strike.draw)
    filled = read_dump(path).filled()
    if not filled:
        return ""
    rows = strike.draw.choice(filled)
    # somewhere before the last row, so that a row at least is lost
    end = strike.draw.randint(rows.start, rows.end - len(read_rows(path, rows)[-1]))

    def feed(pod: str, argv: tuple[str, ...], **rest: Any) -> ExecResult:
        stdin = read_part(path, 0, end) if rest["stdin"] == path else rest["stdin"]
        return stage.cluster.exec(pod, argv, **{**rest, "stdin": stdin})

    strike.restore(rewire_command(stage, is_psql, feed))
    return rows.table


def _is_unpacking(argv: tuple[str, ...]) -> bool:
    return argv == UNPACK_FILES


def _unpack_with(stage: Stage, *argv: str) -> Stage:
    """The stage on which another command unpacks the files."""

    def unpack(pod: str, _argv: tuple[str, ...], **rest: Any) -> ExecResult:
        return stage.cluster.exec(pod, argv, **rest)

    return rewire_command(stage, _is_unpacking, unpack)


def _first_folder(stage: Stage, store: FilesSpec) -> str:
    """The entry that an inventory of that replica begins with."""
    found = sorted(path.name for path in find_artefact(stage, store).iterdir())
    return f"{store.name}: {found[0]}" if found else ""


@operator(
    "files unpacked with a strict umask",
    why="root's umask 077 on a hardened machine: files come back that no service may read (facts, trap 9)",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
)
def unpack_with_umask(strike: Strike) -> str:
    store = strike.draw.choice(lost_files(strike.stage))
    strike.restore(_unpack_with(strike.stage, "bash", "-c", "umask 077; exec tar xf - --no-overwrite-dir"))
    return _first_folder(strike.stage, store)


@operator(
    "files unpacked one folder too deep",
    why="the tar stream begins with `storage`; unpacked within `storage` everything lies in storage/storage",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
)
def unpack_too_deep(strike: Strike) -> str:
    store = strike.draw.choice(lost_files(strike.stage))
    strike.restore(_unpack_with(strike.stage, *UNPACK_FILES, "-C", "storage"))
    return _first_folder(strike.stage, store)


@operator(
    "files copied one folder too deep",
    why="kubectl cp into a folder that is there puts the source inside it: storage/storage",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
    files_by="cp",
)
def copy_too_deep(strike: Strike) -> str:
    store = strike.draw.choice(lost_files(strike.stage))
    cluster = strike.stage.cluster

    def copy_in(source: Path, pod: str, target: str) -> ExecResult:
        return cluster.copy_in(source, pod, f"{target}/storage")

    strike.restore(rewire(strike.stage, copy_in=copy_in))
    return _first_folder(strike.stage, store)


@operator(
    "disk full while files are unpacked",
    why="a new claim smaller than the old one: tar says `Cannot write`, goes on, and leaves the rest of each file out. "
    "Emulated by a limit on the size of a file (bash, ulimit -f)",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
)
def fill_file_disk(strike: Strike) -> str:
    stage = strike.stage
    store = strike.draw.choice(lost_files(stage))
    tree = find_artefact(stage, store)
    largest = sorted(list_uploads(tree, 2048), key=lambda path: (tree / path).stat().st_size)[-5:]
    if not largest:
        return ""
    path = strike.draw.choice(largest)
    limit = ((tree / path).stat().st_size - 1) // 1024
    strike.restore(
        _unpack_with(stage, "bash", "-c", f"trap '' XFSZ; ulimit -f {limit}; exec tar xf - --no-overwrite-dir")
    )
    return f"{store.name}: {path}"


TarChange = Callable[[Path, list[tarfile.TarInfo], Strike], str]
"""Changes a tar file of which these are the users' files; the path of the first file that is no more what it was."""


def _restore_from_tar(strike: Strike, change: TarChange) -> str:
    """Restore with the stream of one replica changed on its way into the pod."""
    stage = strike.stage
    store = strike.draw.choice(lost_files(stage))
    uploads = {f"{_ROOT}{path}" for path in list_uploads(find_artefact(stage, store))}
    struck: list[str] = []

    def unpack(pod: str, argv: tuple[str, ...], **rest: Any) -> ExecResult:
        if pod != store.pod:
            return stage.cluster.exec(pod, argv, **rest)
        packed = stage.logs / "tampering.tar"
        try:
            with packed.open("wb") as out:
                out.writelines(rest["stdin"])
            with tarfile.open(packed) as archive:
                members = [member for member in archive if member.name in uploads]
            struck.append(change(packed, members, strike) if members else "")
            return stage.cluster.exec(pod, argv, **{**rest, "stdin": packed})
        finally:
            packed.unlink(missing_ok=True)

    strike.restore(rewire_command(stage, _is_unpacking, unpack))
    piece = struck[0].removeprefix(_ROOT) if struck else ""
    return f"{store.name}: {piece}" if piece else ""


@operator(
    "stream into tar cut within a file",
    why="the stream ends in the middle of a file (kubernetes/kubectl#1361): a part of it is there, the rest is not",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
)
def cut_within_file(strike: Strike) -> str:
    def cut(packed: Path, members: list[tarfile.TarInfo], strike: Strike) -> str:
        member = strike.draw.choice(members)
        with packed.open("r+b") as stream:
            stream.truncate(member.offset_data + strike.draw.randrange(member.size))
        return member.name

    return _restore_from_tar(strike, cut)


@operator(
    "stream into tar cut between two files",
    why="tar takes a cut between two members for a whole archive and ends with status 0",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
)
def cut_between_files(strike: Strike) -> str:
    def cut(packed: Path, members: list[tarfile.TarInfo], strike: Strike) -> str:
        member = strike.draw.choice(members)
        with packed.open("r+b") as stream:
            stream.truncate(member.offset)
        return member.name

    return _restore_from_tar(strike, cut)


@operator(
    "a file twice in the tar stream",
    why="`tar rf` adds a member of the same name (GNU tar, Appending): the last one wins, whatever it is",
    moment="restore",
    area="restore",
    checks="files",
    loses=("file-storage",),
)
def add_member_twice(strike: Strike) -> str:
    def add(packed: Path, members: list[tarfile.TarInfo], strike: Strike) -> str:
        member = strike.draw.choice(members)
        with tarfile.open(packed, "a") as archive:
            archive.addfile(member, BytesIO(strike.draw.randbytes(member.size)))
        return member.name

    return _restore_from_tar(strike, add)
