"""Which row of a block differs, from the block's sums and the rows that were found in it.

A block in which one row changed, came or went is solved: the quotient of its two sums' changes is that row's weight,
the exclusive or of its keys is the key of a row that went, that of its columns' hashes says which ones changed. A block
in which more happened is not guessed at: it is counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from rehearsal.collected import count
from rehearsal.evidence import read_lines
from rehearsal.inventory import BLOCKS, LineFile, TableInventory
from rehearsal.row_changes import DIGITS, Row, RowChange

_LOW = 0x7FFFFFFF


class _Block(NamedTuple):
    rows: int
    total: int
    weighted: int
    keys: str
    columns: str


class _Found(NamedTuple):
    """A row found in a block that differs."""

    weight: int
    key: bytes
    row: Row


_NONE = _Block(0, 0, 0, "", "")


def name_block_rows(before: TableInventory, after: TableInventory, folder: Path) -> tuple[list[RowChange], str]:
    """Rows that differ, sorted by block, and what is to be said of blocks in which they cannot be told apart, or "".

    Raises:
        EnvironmentUnfit: a line file is missing, or was cut or edited; `where` names it.
    """
    expected, present = _read_blocks(before.block_lines, folder), _read_blocks(after.block_lines, folder)
    rows = _read_rows(after.block_row_lines, folder)
    same_columns = before.columns == after.columns
    changes: list[RowChange] = []
    differing = unsolved = 0
    for number in sorted(expected.keys() | present.keys()):
        old, new = expected.get(number, _NONE), present.get(number, _NONE)
        if old[:3] == new[:3]:
            continue
        differing += 1
        change = _solve(old, new, rows.get(number), before, same_columns)
        if change is None:
            unsolved += 1
        else:
            changes.append(change)
    return changes, _tell_rest(differing, unsolved, len(changes), before, after)


def _solve(
    old: _Block, new: _Block, found: list[_Found] | None, before: TableInventory, same_columns: bool
) -> RowChange | None:
    """The one row that explains the block's change, or None."""
    more, shift = new.rows - old.rows, new.total - old.total
    weight, rest = divmod(new.weighted - old.weighted, shift) if shift else (0, 1)
    if found is None and new.rows == 0:
        found = []  # nothing was left to be read
    if found is None or rest or not 0 <= weight <= _LOW or abs(more) > 1:
        return None
    there = [one for one in found if one.weight == weight]
    if more == -1:
        key = _find_lost_key(old, found)
        return None if key is None or there else RowChange(key, Row(-shift, ""), None)
    if len(there) != 1:
        return None
    digest = there[0].row.digest & _LOW
    if more == 1:
        return RowChange(there[0].key, None, there[0].row) if digest == shift else None
    if not 0 <= digest - shift <= _LOW:
        return None
    columns = _find_columns(old, found, before) if same_columns else ()
    return RowChange(there[0].key, Row(digest - shift, ""), there[0].row, columns)


def _find_columns(old: _Block, found: list[_Found], before: TableInventory) -> tuple[str, ...]:
    """Columns whose exclusive or over the block is another."""
    if len(old.columns) != DIGITS * len(before.columns):
        return ()
    names = []
    for place, name in enumerate(before.columns):
        at = slice(DIGITS * place, DIGITS * (place + 1))
        folded = int(old.columns[at], 16)
        for one in found:
            folded ^= int(one.row.columns[at], 16) & _LOW
        if folded:
            names.append(name)
    return tuple(names)


def _find_lost_key(old: _Block, found: list[_Found]) -> bytes | None:
    """The key that is in the exclusive or before and in none of the rows found, as a row line has it."""
    if not old.keys:
        return None
    texts = json.loads(old.keys)
    folded = [_read_number(text) for text in texts]
    for one in found:
        for place, text in enumerate(json.loads(one.key)):
            folded[place] ^= _read_number(text)
    key = [str(UUID(int=value)) if _is_uuid(text) else str(value) for text, value in zip(texts, folded, strict=True)]
    return json.dumps(key).encode()


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text[8] == "-"


def _read_number(text: str) -> int:
    return UUID(text).int if _is_uuid(text) else int(text)


def _tell_rest(differing: int, unsolved: int, named: int, before: TableInventory, after: TableInventory) -> str:
    if not unsolved:
        return ""
    if differing >= BLOCKS:
        about = f"most of {count(before.rows, 'row')} differ, in every block of them"
    else:
        # as many rows, drawn blindly, hit this many blocks
        rows = max(round(-BLOCKS * math.log1p(-differing / BLOCKS)), abs(after.rows - before.rows), unsolved + named)
        verb = "differs" if rows == 1 else "differ"
        about = f"about {count(rows, 'row')} {verb} in {count(differing, 'block')}, {named} of them named"
    return f"{about}; {count(before.rows, 'row')} became {after.rows}" if before.rows != after.rows else about


def _read_blocks(lines: LineFile | None, folder: Path) -> dict[int, _Block]:
    blocks = {}
    for line in read_lines(lines, folder):
        number, rows, total, weighted, keys, columns = line.decode("utf-8").rstrip("\n").split("\t")
        blocks[int(number)] = _Block(int(rows), int(total), int(weighted), keys, columns)
    return blocks


def _read_rows(lines: LineFile | None, folder: Path) -> dict[int, list[_Found]]:
    """Rows by block."""
    rows: dict[int, list[_Found]] = {}
    for number, found in _split_rows(lines, folder):
        rows.setdefault(number, []).append(found)
    return rows


def _split_rows(lines: LineFile | None, folder: Path) -> Iterator[tuple[int, _Found]]:
    for line in read_lines(lines, folder):
        number, weight, key, digest, columns = line.rstrip(b"\n").split(b"\t")
        yield int(number), _Found(int(weight), key, Row(int(digest), columns.decode("ascii")))
