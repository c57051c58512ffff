"""A sealer and an opener that compress and do not encrypt, so that 90 days of backups take seconds, and a storage whose
files come and go by a seed.

Packages are called `.lz4.gpg`, because by that name alone the incremental comparison knows them; or `.lz4`, as without
encryption.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO
from uuid import UUID

import lz4.frame

from rehearsal.builtin_backup.opened import Opened
from rehearsal.builtin_backup.reading import Package
from rehearsal.builtin_backup.retention import DAY
from rehearsal.builtin_backup.sealing import Sealed

START = 1_768_439_400_123_456_789  # 2026-01-15T01:10:00.123456789Z


def moment(day: int) -> int:
    """Ten past one in the night of that day, the first being day 1."""
    return START + (day - 1) * DAY


class QuickSealer:
    """Compresses only."""

    def __init__(self, suffix: str = ".lz4.gpg") -> None:
        self.suffix = suffix
        self.packed: list[str] = []

    def seal(self, files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Sealed]:
        for path, chunks in files:
            plain = b"".join(chunks)
            package = lz4.frame.compress(plain)
            self.packed.append(path)
            yield Sealed(
                path=path,
                size=len(plain),
                sha512=hashlib.sha512(plain).hexdigest(),
                package_path=path + self.suffix,
                package_size=len(package),
                package_sha512=hashlib.sha512(package).hexdigest(),
                chunks=lambda package=package: iter([package]),  # type: ignore[misc]
            )


class QuickOpener:
    """Decompresses only."""

    def open_all(
        self, packages: Iterable[Package], sink: Callable[[Package], IO[bytes] | None] = lambda _: None
    ) -> Iterator[Opened]:
        for package in packages:
            data = b"".join(map(bytes, package.chunks()))
            plain, error = b"", ""
            try:
                plain = lz4.frame.decompress(data)
            except RuntimeError:
                error = "not lz4"
            out = sink(package)
            if out is not None:
                out.write(plain)
                out.close()  # as the real one does
            yield Opened(
                path=package.path,
                size=len(data),
                sha512=hashlib.sha512(data).hexdigest(),
                plain_size=len(plain),
                plain_sha512=hashlib.sha512(plain).hexdigest(),
                error=error,
                key_ids=(),
            )


class ChangingStorage:
    """A `storage` folder whose files come and go: each day a few are uploaded and some are deleted."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._random = random.Random(seed)  # noqa: S311 - the same tree each time
        self.days: dict[int, dict[str, bytes]] = {}
        self._now: dict[str, bytes] = {}

    def live(self, day: int, *, uploads: int = 4) -> None:
        """One day's uploads and deletions; `days[day]` is what there was that night."""
        for _ in range(self._random.randint(1, uploads) if day > 1 else 25):
            uuid = str(UUID(int=self._random.getrandbits(128)))
            path = f"{uuid[:2]}/{uuid}"
            content = self._random.randbytes(self._random.choice((0, 1, 300, 5000)))
            self._now[path] = content
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_bytes(content)
        for path in sorted(self._now):
            if self._random.random() < 0.04:  # deleted, the folder stays behind
                (self.folder / path).unlink()
                del self._now[path]
        self.days[day] = dict(self._now)


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
