"""What came of a package that was opened, and the role that opens packages: gpg plays it, or in a test anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from rehearsal.builtin_backup.reading import Package

Sink = Callable[[Package], IO[bytes] | None]
"""Where the plain bytes of a package go; None: they are hashed and dropped."""


@dataclass(frozen=True)
class Opened:
    """A package that was read to its end.

    Attributes:
        path, key: of the package and of the object that holds it.
        size, sha512: of the package, as read.
        plain_size, plain_sha512: of the file in it; 0 or what came so far, and "", where it was not opened.
        error: "" = opened; otherwise words that begin with what is wrong: "no secret key", "wrong passphrase", "cut…",
            "damaged…", "empty…", "not lz4", …
        key_ids: the keys it is sealed for, 16 hex digits each.
    """

    path: str
    size: int
    sha512: str
    plain_size: int
    plain_sha512: str
    error: str = ""
    key_ids: tuple[str, ...] = ()
    key: str = ""


class Opens(Protocol):
    """What decrypts and decompresses packages; `unsealing.Unsealer` plays it with gpg."""

    def open_all(self, packages: Iterable[Package], sink: Sink = ...) -> Iterator[Opened]:
        """One result a package, in any order; several threads may call it."""
