"""A private folder for what must not be seen or kept: keys, and packages on their way through gpg.

In memory where there is room, so that no key and no user's bytes reach a disk; otherwise in the system's temporary
folder. With a journal it is written down first, so that `rehearsal clean` removes what a killed run left.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehearsal.clusters.local_places import MARKER
from rehearsal.errors import EnvironmentUnfit
from rehearsal.journal import Journal

NEED = 128 << 20
"""Bytes: what small packages on their way through gpg take at most, and as much again."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - a random name is made in it


@contextmanager
def scratch_folder(
    journal: Journal | None = None, *, parent: Path | None = None, need: int = NEED, memory: Path = _MEMORY
) -> Iterator[Path]:
    """A new folder of mode 0700, removed with all it holds.

    Args:
        journal: gets an `owned` line before it is made and a `gone` line after it is removed.
        parent: where to make it; None: in memory where `need` bytes are free, else in the temporary folder.

    Raises:
        EnvironmentUnfit: it cannot be made.
    """
    folder = (parent or _choose_parent(need, memory)) / f"rehearsal-{secrets.token_hex(4)}"
    nonce = secrets.token_hex(8)
    if journal is not None:
        journal.own("directory", str(folder), nonce=nonce)
    try:
        folder.mkdir(mode=0o700)
        (folder / MARKER).write_text(json.dumps({"run": nonce}) + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentUnfit(f"cannot make it: {error.strerror}", where=str(folder), hint="TMPDIR=DIR …") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if journal is not None and not os.path.lexists(folder):
            journal.disown("directory", str(folder))


def _choose_parent(need: int, memory: Path) -> Path:
    try:
        free = os.statvfs(memory)
        if free.f_bavail * free.f_frsize >= need and os.access(memory, os.W_OK | os.X_OK):
            return memory
    except OSError:
        pass  # no such file system here
    return Path(tempfile.gettempdir())
