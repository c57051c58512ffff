"""Plain files out of a backup: what the loop `gpg --decrypt F.lz4.gpg | lz4 -d > F` of the manual makes, at once.

Each package comes from whoever holds it, is opened and written below the target while it is hashed, and is held against
the list: size and SHA-512 of the package and of the plain file. A file that could be opened is written whatever the
list says, because content decides later; one that could not be opened leaves nothing behind. Nothing stops at the
first trouble: everything missing and broken is named at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from rehearsal.builtin_backup.chain import Holder, RestorePlan, plan_restore
from rehearsal.builtin_backup.line_rows import explain_database
from rehearsal.builtin_backup.listing import ListedFile
from rehearsal.builtin_backup.names import BackupName, dump_path
from rehearsal.builtin_backup.opened import Opened, Opens
from rehearsal.builtin_backup.places import Place, StoredObject
from rehearsal.builtin_backup.reading import Package, Stray, walk_packages
from rehearsal.builtin_backup.safe_folder import NewFile, SafeFolder
from rehearsal.builtin_backup.wanted_lines import HeldLines
from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError


@dataclass(frozen=True)
class Restored:
    """What came out.

    Attributes:
        files, bytes: written, those that differ from the list too.
        missing: paths of listed files whose package nobody holds, or whose holder did not give it.
        broken: what differs from the list or cannot be opened or written: path, and what it is.
        reasons: why files are missing, one sentence for each backup that should have them.
    """

    files: int
    bytes: int
    missing: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every listed file came out as listed."""
        return not self.missing and not self.broken


def restore_files(places: Sequence[Place], name: BackupName, unsealer: Opens, target: Path) -> Restored:
    """Write the files of a backup below `target`, as they lay below `storage`. Empty directories are not in a backup.

    Args:
        places: where its packages may lie: a bucket, an archive, or both.
        target: a directory, made where it is missing; a file of a listed name there is replaced.

    Raises:
        chain.Gone: none of the places has this backup.
        RehearsalError: the backup was never completed.
        EnvironmentUnfit: the disk is full, or a place cannot be reached.
    """
    with explain_database(tempfile.gettempdir()), SafeFolder(target) as folder:
        plan = plan_restore(places, name)
        return _Restore(plan, unsealer, lambda line: folder.create(line.path)).run()


def open_dump(places: Sequence[Place], name: BackupName, unsealer: Opens, target: Path) -> Restored:
    """Write the plain dump of a database's backup to the file `target`; otherwise as `restore_files`.

    Whatever else the list of such a backup speaks of is not written and is reported as broken.
    """
    with explain_database(tempfile.gettempdir()), SafeFolder(target.parent) as folder:
        plan = plan_restore(places, name)

        def create(line: ListedFile) -> NewFile:
            if line.path != dump_path(name):
                raise RehearsalError(f"not the dump of this backup, which is {dump_path(name)}", where=repr(line.path))
            return folder.create(target.name)

        restored = _Restore(plan, unsealer, create).run()
        if plan.lines.has_path(dump_path(name)):
            return restored
        return replace(restored, missing=(*restored.missing, dump_path(name)))


class _Restore:
    """One restore while it runs.

    Args:
        create: the new file of a line; refuses with a RehearsalError.
    """

    def __init__(self, plan: RestorePlan, unsealer: Opens, create: Callable[[ListedFile], NewFile]) -> None:
        self._plan = plan
        self._unsealer = unsealer
        self._create = create
        self._files = self._bytes = 0
        self._broken: dict[str, str] = {}
        self._missing = [line.path for line in plan.missing]
        self._reasons = list(plan.reasons.values())

    def run(self) -> Restored:
        for holder, lines in self._plan.give:
            self._take(holder, lines)
        return Restored(
            self._files,
            self._bytes,
            tuple(sorted(self._missing)),
            (*self._plan.troubles, *sorted(self._broken.items())),
            tuple(self._reasons),
        )

    def _take(self, holder: Holder, lines: HeldLines) -> None:
        """All that one holder has to give. Where it has several packages of one name, as an appended tar may, the
        first that is as listed counts, and only when none is, the last that could be opened."""
        strays: list[str] = []
        wanted: Container[str] = lines
        turn, more = 0, True
        while more:
            again: set[str] = set()
            lines.forget_seen()
            self._take_turn(_choose(holder, lines, wanted, turn, again, strays), lines)
            wanted = {path for path in again if not lines.is_good(path)}
            turn, more = turn + 1, bool(wanted)
        files, size = lines.count_kept()
        self._files += files
        self._bytes += size
        self._broken.update(lines.faults())
        before = len(self._missing)
        self._missing += (line.path for line in lines.not_given())
        if len(self._missing) > before:
            self._reasons.append(f"{holder} should hold it, and does not" + "".join(f"; {what}" for what in strays[:3]))

    def _take_turn(self, packages: Iterator[Package], lines: HeldLines) -> None:
        """Open packages, no two of one name, and write what could be opened."""
        made: dict[str, NewFile] = {}
        refused: dict[str, str] = {}

        def sink(package: Package) -> IO[bytes] | None:
            with _noting(refused, package.path):
                made[package.path] = self._create(lines[package.path])
            return made.get(package.path)

        try:
            for opened in self._unsealer.open_all(packages, sink):
                path = opened.path
                file = made.pop(path, None)
                if file is not None:
                    with file, _noting(refused, path):
                        if not opened.error:
                            file.keep()
                            lines.mark_kept(path, opened.plain_size)
                lines.mark_read(path, refused.pop(path, "") or tell_difference(lines[path], opened))
        finally:
            for file in made.values():
                file.discard()


@contextmanager
def _noting(refused: dict[str, str], path: str) -> Iterator[None]:
    """Note why one file cannot be written, and go on; a full disk is nobody's file."""
    try:
        yield
    except EnvironmentUnfit:
        raise
    except RehearsalError as error:
        refused[path] = str(error)


def _choose(
    holder: Holder, lines: HeldLines, wanted: Container[str], turn: int, again: set[str], strays: list[str]
) -> Iterator[Package]:
    """The wanted packages of a holder: of several of one name the one whose turn it is. In an archive only their own
    files are opened.

    Args:
        turn: 0 for the first of a name.
        again: gets the names of which there are more.
        strays: gets what is no package.
    """
    objects: Iterable[StoredObject] | None = None
    if holder.place.kind == "archive":
        start = len(f"{holder.name}/")
        objects = (item for item in holder.place.objects(holder.name) if item.key[start:] in wanted)
    for package in walk_packages(holder.place, holder.name, objects):
        if isinstance(package, Stray):
            if turn == 0:
                strays.append(f"{package.key}: {package.what}")
        elif package.path in wanted:
            number = lines.see(package.path)
            if number == turn:
                yield package if holder.place.kind == "bucket" else replace(package, chunks=_spoil_alone(package))
            elif number > turn:
                again.add(package.path)


def _spoil_alone(package: Package) -> Callable[[], Iterator[bytes]]:
    """The chunks of a loose file: where it cannot be read (a bad disk, a mode), that file alone is broken."""

    def read() -> Iterator[bytes]:
        try:
            yield from package.chunks()
        except RehearsalError as error:
            raise StreamError(str(error)) from error

    return read


def tell_difference(line: ListedFile, opened: Opened) -> str:
    """In what a package that was read differs from its line, in words; "" where in nothing."""
    if opened.error:
        return opened.error
    if opened.size != line.package_size:
        return f"its package has {opened.size} bytes, {line.package_size} are listed"
    if opened.sha512 != line.package_sha512:
        return "its package has another SHA-512 than listed"
    if opened.plain_size != line.size:
        return f"it has {opened.plain_size} bytes, {line.size} are listed"
    if opened.plain_sha512 != line.sha512:
        return "it has another SHA-512 than listed"
    return ""
