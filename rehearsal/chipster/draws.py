"""Numbers that belong to a name: the same name gives the same numbers on every machine and every Python.

`random.Random` promises that only for a few of its methods, so the seed draws from BLAKE2b instead: the bits of
`hash(name, turn)`, one turn after another. Because every entity has a name of its own ("7/file/1234"), any row or file
can be made by its index alone, in any order, and nothing has to be remembered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

_BITS = 512
_ORIGIN = datetime(2019, 1, 1, tzinfo=UTC)
YEAR = 365 * 24 * 3600 * 1_000_000
"""Microseconds in a year."""


class Draws:
    """An endless stream of numbers for one name.

    Args:
        name: the parts of the name, such as a seed, `"file"` and an index.
    """

    __slots__ = ("_bits", "_left", "_name", "_turn")

    def __init__(self, *name: int | str) -> None:
        self._name = "/".join(map(str, name)).encode("ascii")
        self._turn = 0
        self._bits = 0
        self._left = 0

    def bits(self, count: int) -> int:
        """An integer of `count` random bits, at most 128."""
        if self._left < count:
            self._bits = int.from_bytes(hashlib.blake2b(b"%s#%d" % (self._name, self._turn)).digest(), "big")
            self._turn += 1
            self._left = _BITS
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        self._left -= count
        return value

    def below(self, limit: int) -> int:
        """An integer from 0 to `limit` - 1; `limit` up to 2**48."""
        return (self.bits(64) * limit) >> 64

    def pick(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def one_in(self, count: int) -> bool:
        """True once in `count` draws."""
        return self.below(count) == 0

    def uuid(self) -> str:
        """A version 4 UUID as text."""
        value = self.bits(128) & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def write_instant(microseconds: int) -> str:
    """Text of the instant so many microseconds after 2019-01-01 UTC, as PostgreSQL reads it."""
    return (_ORIGIN + timedelta(microseconds=microseconds)).isoformat(" ", "microseconds")


def count_unix_seconds(microseconds: int) -> int:
    """The same instant in whole seconds since 1970, as tar wants it."""
    return int(_ORIGIN.timestamp()) + microseconds // 1_000_000
