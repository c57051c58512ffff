"""Where a backup's files come from: a role with two verbs, and its plainest player, a folder of this machine.

A source lists what is there and reads what it is asked for, in that order: a pod hands many files over in one tar
stream.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rehearsal.builtin_backup.safe_folder import SafeFolder
from rehearsal.errors import EnvironmentUnfit, RehearsalError

_OWN_FOLDER = "backup"  # the running backup's own, temporary: facts, section 5


@dataclass(frozen=True)
class SourceFile:
    """A regular file: path relative to `storage`, with `/`; size in bytes when it was listed."""

    path: str
    size: int


class Source(Protocol):
    """Files to back up."""

    def list_files(self) -> Iterable[SourceFile]:
        """Every regular file, in any order, without those of the folder `backup`."""

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Path and bytes of each of these files that is still there, in the order of `paths`. Bytes come in chunks of
        up to 1 MiB and must be taken before the next file is asked for."""


class FolderSource:
    """A `storage` directory. Links are not followed and not listed; the real service follows them.

    Raises:
        EnvironmentUnfit: the folder is not there.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise EnvironmentUnfit("no such folder to back up", where=str(folder))
        self._folder = folder

    def list_files(self) -> Iterator[SourceFile]:
        return self._list(self._folder, "")

    def _list(self, folder: Path, prefix: str) -> Iterator[SourceFile]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:  # removed since its parent was listed
            return
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if path != _OWN_FOLDER:
                    yield from self._list(folder / entry.name, f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                try:
                    size = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
                yield SourceFile(path, size)

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        with SafeFolder(self._folder, make=False) as folder:
            for path in paths:
                if folder.size(path) is not None:
                    yield path, self._read(folder, path)

    def _read(self, folder: SafeFolder, path: str) -> Iterator[bytes]:
        try:
            yield from folder.read(path)
        except RehearsalError:
            if folder.size(path) is not None:
                raise
