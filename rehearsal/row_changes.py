"""A row's line read, and the columns in which two of them differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DIGITS = 8
"""Hex digits a column."""


class Row(NamedTuple):
    """A row's digest and its columns' hashes in hex; "" in a line of an older release."""

    digest: int
    columns: str


@dataclass(frozen=True)
class RowChange:
    """A row that differs: what was expected and found (None: no row), and the columns that differ, where known."""

    key: bytes
    old: Row | None
    new: Row | None
    columns: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return "missing" if self.new is None else "extra" if self.old is None else "changed"


def read_row(line: bytes) -> Row:
    """`KEY<TAB>DIGEST<TAB>COLUMNS` without its key; the columns may be lacking."""
    _, digest, *columns = line.rstrip(b"\n").split(b"\t")
    return Row(int(digest), columns[0].decode("ascii") if columns else "")


def name_columns(old: str, new: str, old_names: tuple[str, ...], new_names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that both have and whose hashes differ; none where the lines have no hashes."""
    if len(old) != DIGITS * len(old_names) or len(new) != DIGITS * len(new_names):
        return ()
    found = {name: new[DIGITS * place : DIGITS * (place + 1)] for place, name in enumerate(new_names)}
    return tuple(
        name
        for place, name in enumerate(old_names)
        if name in found and found[name] != old[DIGITS * place : DIGITS * (place + 1)]
    )
