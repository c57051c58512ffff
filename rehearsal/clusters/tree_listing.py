"""The files of a tree at both ends of a `kubectl cp`: path and SHA-256, listed in the pod and here, compared.

kubectl cp speaks tar by itself, so nothing can be put into its stream; it can end early with `unexpected EOF`
(kubernetes/kubernetes#60140). After it, every regular file is read again at both ends. Links and empty directories are
not compared: kubectl cp leaves links out, and says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from rehearsal.roles import Transfer

_NAMED = 5

# `-z` ends a line with NUL and leaves names as they are.
_LIST_ALL = 'cd -- "$1" && find . -type f -print0 | xargs -0 -r sha256sum -z --'
_LIST_ONE = 'cd -- "${1%/*}" && sha256sum -z -- "./${1##*/}"'
_LIST_GIVEN = 'cd -- "$1" && xargs -0 -r sha256sum -z --'

Listing = Mapping[bytes, bytes]
"""SHA-256 in hex by path (`./ab/ab12…`)."""


def list_all(folder: str) -> tuple[str, ...]:
    """The command that lists a directory, or a single file, of the pod."""
    script = f'if [ -d "$1" ]; then {_LIST_ALL}; else case $1 in */*) ;; *) set -- "./$1";; esac; {_LIST_ONE}; fi'
    return ("bash", "-c", script, "list", folder)


def list_given(folder: str) -> tuple[str, ...]:
    """The command that lists those files below a directory of the pod whose names come in, each ended by NUL."""
    return ("bash", "-c", _LIST_GIVEN, "list", folder)


def read_listing(path: Path) -> dict[bytes, bytes]:
    """What `sha256sum -z` printed."""
    found: dict[bytes, bytes] = {}
    for line in path.read_bytes().split(b"\0"):
        digest, _, name = line.partition(b"  ")
        if name:
            found[name] = digest
    return found


def list_here(root: Path) -> tuple[dict[bytes, bytes], int]:
    """The same of a directory, or a single file, of this machine, and its size in bytes."""
    found: dict[bytes, bytes] = {}
    size = 0
    for path, name in _walk(root):
        with path.open("rb", buffering=0) as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest().encode()
            size += stream.tell()
    return found, size


def name_differences(theirs: Listing, ours: Listing) -> tuple[str, ...]:
    """The first files that differ between the pod and here, a sentence each; the rest counted."""
    told = []
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            fate = "is not here" if name not in ours else "is not in the pod" if name not in theirs else "differs"
            told.append(f"{os.fsdecode(name)!r} {fate}")
    more = len(told) - _NAMED
    return (*told[:_NAMED], *([f"and {more} more"] if more > 0 else []))


def summarise(listing: Listing, size: int) -> Transfer:
    """A whole tree as one length and one digest, of its sorted listing."""
    digest = hashlib.sha256()
    for name in sorted(listing):
        digest.update(listing[name] + b"  " + name + b"\0")
    return Transfer(size, digest.hexdigest())


def _walk(root: Path) -> Iterator[tuple[Path, bytes]]:
    if not root.is_dir():
        if root.is_file():
            yield root, b"./" + os.fsencode(root.name)
        return
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path, b"./" + os.fsencode(os.path.relpath(path, root))
