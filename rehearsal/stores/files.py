"""A file-storage replica as a store: filled by one tar stream, marked by one small file, fingerprinted by one program.

The pod's working directory holds `storage`. Where the pod has Python, `tree_lister.py` runs in it, else a script of GNU
tools; both give the same lines, with a trailer that proves they arrived whole. The nonce and the marker are files
among the others, so that they go through the backup like them; the inventory leaves them out.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rehearsal.deployment import FilesSpec
from rehearsal.errors import CommandFailed, EnvironmentUnfit, StreamError
from rehearsal.inventory import FilesInventory, LineFile
from rehearsal.journal import Journal, now
from rehearsal.roles import Cluster, ExecResult, Mark
from rehearsal.stores import tree_lister
from rehearsal.stores.line_files import LineWriter
from rehearsal.stores.tree_tools import SCRIPT, ToolListing

_MARKS = uuid.UUID("6c9f3f0e-8a53-4b3e-9d39-0d4f2f1f7c11")
LISTER_MODULES = ("collections", "errno", "hashlib", "json", "marshal", "os", "select", "stat", "struct", "typing")
"""What `tree_lister.py` imports."""

_NOT_THERE = 66
_LISTED_BYTES = 100_000
_TAIL = 4096


class FileSeed(Protocol):
    """What fills an empty file-storage."""

    def tar_stream(self, replica: int) -> Iterator[bytes]:
        """A tar whose members are `storage/<xx>/<uuid>`, in chunks."""

    def file_counts(self, replica: int) -> Mapping[str, int]:
        """What that tar holds, counted."""


class FileStore:
    """One file-storage replica on one cluster; plays `roles.Store`.

    Args:
        folder: the rehearsal's folder; line files go to `inventory/<moment>/<store>/` below it.
    """

    def __init__(self, spec: FilesSpec, cluster: Cluster, folder: Path, journal: Journal, seed: FileSeed) -> None:
        self.spec = spec
        self._cluster = cluster
        self._folder = folder
        self._journal = journal
        self._seed = seed
        self._places: dict[str, str] = {}
        self._made: set[str] = set()
        self._has_python: bool | None = None

    def seed(self) -> Mapping[str, int]:
        """Fill the empty directory. Raises CommandFailed, StreamError."""
        stream = self._seed.tar_stream(self.spec.replica)
        _accept(self._cluster.exec(self.spec.pod, ["tar", "xf", "-"], stdin=stream, destructive=True), self.spec.pod)
        return dict(self._seed.file_counts(self.spec.replica))

    def write_mark(self, kind: str, value: str) -> Mark:
        """Write `value` as a file that lies where users' files lie; its name follows from the value.

        A two-digit folder that is there already is used, so that the mark changes nothing but itself.

        Raises:
            CommandFailed: it cannot be written.
        """
        place = self._pick_place(value)
        _accept(
            self._cluster.exec(
                self.spec.pod,
                ["sh", "-c", 'umask 022; mkdir -p "${1%/*}" && cat > "$1"', "sh", place],
                stdin=value.encode(),
            ),
            self.spec.pod,
        )
        self._places[kind] = place
        return Mark(self.spec.name, place, value, now())

    @contextmanager
    def repeat_mark(self, kind: str) -> Iterator[Callable[[str], Mark]]:
        """The same in one file, put in place by renaming; in the last two-digit folder, where it is in nobody's way.

        The inventory leaves out what a rename that never came would have left, too.

        Raises:
            CommandFailed, WaitTimeout: it cannot be written, or not within 10 seconds.
        """
        place = self._pick_place(kind + self.spec.name, among_last=True)
        self._places |= {kind: place, f"{kind}, unfinished": f"{place}.part"}
        script = 'umask 022; mkdir -p "${1%/*}" && cat > "$1.part" && mv "$1.part" "$1"'

        def write(value: str) -> Mark:
            argv = ["sh", "-c", script, "sh", place]
            _accept(self._cluster.exec(self.spec.pod, argv, stdin=value.encode(), deadline=10.0), self.spec.pod)
            return Mark(self.spec.name, place, value, now())

        yield write

    def read_mark(self, kind: str) -> str | None:
        """The mark's value; None where there is no such file, or none that may be read.

        Raises:
            EnvironmentUnfit: no mark of that kind was written through this store. CommandFailed: the pod said no.
        """
        if kind not in self._places:
            raise EnvironmentUnfit(f"no {kind} was written in this rehearsal", where=self.spec.name)
        found = self._cluster.exec(
            self.spec.pod,
            ["sh", "-c", f'[ -f "$1" ] && [ -r "$1" ] || exit {_NOT_THERE}; cat "$1"', "sh", self._places[kind]],
        )
        if found.status == _NOT_THERE:
            return None
        return _accept(found, self.spec.pod).stdout.decode("utf-8", "backslashreplace")

    def leftovers(self) -> tuple[str, ...]:
        """The first 20 entries below `storage`, hidden ones too; an empty `lost+found` is no leftover.

        Raises:
            CommandFailed: the directory is not there or cannot be listed.
        """
        # the directory's own record comes first: without it, silence would look like emptiness
        found = _accept(
            self._cluster.exec(
                self.spec.pod,
                ["sh", "-c", f"find storage ! -path storage/lost+found -print0 | head -c {_LISTED_BYTES}"],
            ),
            self.spec.pod,
        )
        records = found.stdout.split(b"\0")[:-1]
        if records[:1] != [b"storage"]:
            raise CommandFailed(found.command, [found.status], "", _tail(found.stderr), where=self.spec.pod)
        return tuple(record.decode("utf-8", "backslashreplace") for record in records[1:21])

    def _pod_has_python(self) -> bool:
        """Whether the pod has a Python with the modules the lister needs; a minimal one has not. Asked once."""
        if self._has_python is None:
            probe = ["sh", "-c", f"python3 -I -S -c 'import {', '.join(LISTER_MODULES)}'"]
            self._has_python = self._cluster.exec(self.spec.pod, probe).status == 0
        return self._has_python

    def take_inventory(self, moment: str) -> FilesInventory:
        """Fingerprint the directory now.

        Raises:
            CommandFailed: it changed while it was read, or cannot be read.
            StreamError: the listing arrived cut or changed.
        """
        started = time.monotonic()
        taken_at = now()
        place = f"inventory/{moment}/{self.spec.name}/entries"
        arriving = self._folder / f"{place}.arriving"
        arriving.parent.mkdir(parents=True, exist_ok=True)
        try:
            take = self._list_with_python if self._pod_has_python() else self._list_with_tools
            lines, counts = take(place, arriving)
        finally:
            arriving.unlink(missing_ok=True)
        inventory = FilesInventory(
            store=self.spec.name,
            taken_at=taken_at,
            entry_lines=lines,
            files=counts["files"],
            directories=counts["directories"],
            bytes=counts["bytes"],
            seconds=round(time.monotonic() - started, 3),
        )
        self._journal.note(
            f"inventory {moment} of {self.spec.name}",
            files=inventory.files,
            bytes=inventory.bytes,
            seconds=inventory.seconds,
        )
        return inventory

    def _pick_place(self, value: str, among_last: bool = False) -> str:
        listed = _accept(
            self._cluster.exec(
                self.spec.pod,
                ["sh", "-c", "cd storage && find . -mindepth 1 -maxdepth 1 -type d -name '[0-9a-f][0-9a-f]'"],
            ),
            self.spec.pod,
        )
        folders = {line.removeprefix("./") for line in listed.stdout.decode("ascii", "replace").split()}
        if among_last:
            folders = set(sorted(folders)[-1:])
        number = 0
        while True:
            name = str(uuid.uuid5(_MARKS, f"{value} {number}"))
            if name[:2] in folders or not folders:
                break
            number += 1
        if not folders:
            self._made.add(name[:2])
        return f"storage/{name[:2]}/{name}"

    def _marks(self) -> list[str]:
        return sorted(place.removeprefix("storage/") for place in self._places.values())

    def _list_with_python(self, place: str, arriving: Path) -> tuple[LineFile, dict[str, int]]:
        argv = ["python3", "-I", "-S", "-", *self._marks(), "--", *sorted(self._made)]
        source = Path(tree_lister.__file__).read_bytes()
        _accept(self._cluster.exec(self.spec.pod, argv, stdin=source, stdout=arriving), self.spec.pod)
        lines, counts = _take_trailer(arriving, place)
        arriving.replace(self._folder / place)
        return lines, counts

    def _list_with_tools(self, place: str, arriving: Path) -> tuple[LineFile, dict[str, int]]:
        self._journal.note(f"no python3 in {self.spec.pod}: its inventory is taken with find and sha256sum")
        _accept(self._cluster.exec(self.spec.pod, ["sh", "-s"], stdin=SCRIPT, stdout=arriving), self.spec.pod)
        without = frozenset(mark.encode() for mark in self._marks())
        listing = ToolListing(arriving, without, frozenset(made.encode() for made in self._made))
        with LineWriter(self._folder, place) as writer:
            listing.write(writer)
            lines = writer.finish()
        return lines, {"files": listing.files, "directories": listing.directories, "bytes": listing.bytes}


def _take_trailer(path: Path, place: str) -> tuple[LineFile, dict[str, int]]:
    """Cut the trailer off the lister's output and hold it against the lines before it.

    Raises:
        StreamError: there is none, or the lines are not those that the pod counted and hashed.
    """
    with path.open("r+b") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL))
        last = stream.read()
        border = last.rstrip(b"\n").rfind(b"\n") + 1
        try:
            trailer = json.loads(last[border : last.rindex(b"\n")])
            lines, sha256 = int(trailer["lines"]), str(trailer["sha256"])
            counts = {name: int(trailer[name]) for name in ("files", "directories", "bytes")}
        except (ValueError, LookupError, TypeError) as error:
            raise StreamError("the listing of the directory arrived without its end", where=str(path)) from error
        stream.truncate(size - len(last) + border)
        stream.seek(0)
        digest = hashlib.sha256()
        found = 0
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            found += chunk.count(b"\n")
    if (found, digest.hexdigest()) != (lines, sha256):
        raise StreamError(
            f"the listing of the directory arrived cut or changed: {lines} lines left, {found} came", where=str(path)
        )
    return LineFile(path=place, lines=lines, sha256=sha256), counts


def _accept(result: ExecResult, pod: str) -> ExecResult:
    if result.status != 0:
        raise CommandFailed(result.command, [result.status], _tail(result.stdout), _tail(result.stderr), where=pod)
    return result


def _tail(output: bytes) -> str:
    return output[-_TAIL:].decode("utf-8", "replace")
