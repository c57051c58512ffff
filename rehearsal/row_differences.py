"""Which rows of a table differ, by key and column: from a line a row, or from the blocks of a table with too many.

A digest and its lines are never trusted one without the other: where the lines agree and the digest does not, the table
itself is named. Values are told only where the rehearsal was asked to keep them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from rehearsal.block_differences import name_block_rows
from rehearsal.collected import Collected, count, shorten
from rehearsal.evidence import merge_lines, read_lines
from rehearsal.inventory import LineFile, TableInventory
from rehearsal.row_changes import Row, RowChange, name_columns, read_row

HIDDEN = "(value hidden; --show-values shows it)"
_ALL_HIDDEN = "(values hidden; --show-values shows them)"


def compare_rows(name: str, before: TableInventory, after: TableInventory, folder: Path, found: Collected) -> None:
    """Add the rows that differ; the table by its name where nobody can tell which ones.

    Raises:
        EnvironmentUnfit: a line file is missing, was cut or edited, or is not sorted; `where` names it.
    """
    named = found.total
    comparable = before.key == after.key
    if before.row_lines is not None and after.row_lines is not None and comparable:
        _compare_lines(name, before, after, folder, found)
    else:
        found.compared += max(before.rows, after.rows)
        if before.block_lines is not None and after.block_lines is not None and comparable:
            changes, rest = name_block_rows(before, after, folder)
            for change in changes:
                _add(name, change, before, after, found, values="")
            if rest:
                found.add("changed", "rows", name, rest)
    if (before.rows, before.digest) != (after.rows, after.digest) and found.total == named:
        found.add("changed", "rows", name, _name_sum_change(before, after))


def _compare_lines(name: str, before: TableInventory, after: TableInventory, folder: Path, found: Collected) -> None:
    changes: list[RowChange] = []

    def judge(key: bytes, expected: bytes | None, present: bytes | None) -> None:
        if len(changes) >= found.room:
            found.count_more(1)
            return
        old = None if expected is None else read_row(expected)
        new = None if present is None else read_row(present)
        columns = _name_changed_columns(old, new, before, after)
        if old is None or new is None or columns or old.digest != new.digest:  # else its columns lie in another order
            changes.append(RowChange(key, old, new, columns))

    found.compared += merge_lines(before.row_lines, after.row_lines, folder, _until_tab, judge)
    wanted = {change.key for change in changes if change.kind == "changed"}
    values = [_read_values(inventory.value_lines, wanted, folder) for inventory in (before, after)]
    for change in changes:
        told = [kept.get(change.key) for kept in values]
        _add(name, change, before, after, found, values=_tell_values(change, before, after, told[0], told[1]))


def _name_changed_columns(
    old: Row | None, new: Row | None, before: TableInventory, after: TableInventory
) -> tuple[str, ...]:
    if old is None or new is None:
        return ()
    return name_columns(old.columns, new.columns, before.columns, after.columns)


def _add(
    name: str, change: RowChange, before: TableInventory, after: TableInventory, found: Collected, values: str
) -> None:
    subject = f"{name} {shorten(change.key.decode('utf-8', 'backslashreplace'))}"
    if change.kind == "missing":
        found.add("missing", "rows", subject, "the row is gone")
    elif change.kind == "extra":
        found.add("extra", "rows", subject, "a row that was not there")
    else:
        found.add("changed", "rows", subject, _name_change(change, before, after) + values)


def _name_change(change: RowChange, before: TableInventory, after: TableInventory) -> str:
    names = change.columns
    if names:
        return f"column {names[0]} differs" if len(names) == 1 else f"columns {', '.join(names)} differ"
    if before.columns and after.columns and set(before.columns) != set(after.columns):
        other = ", ".join(sorted(set(before.columns) ^ set(after.columns)))
        return f"the row's digest differs: the table has other columns ({other})"
    return "the row's digest differs"


def _tell_values(
    change: RowChange,
    before: TableInventory,
    after: TableInventory,
    old: list[str | None] | None,
    new: list[str | None] | None,
) -> str:
    """`: name "a" → "b"` for each changed column, or that the values are hidden."""
    if not change.columns:
        return ""
    if old is None or new is None:
        return f" {HIDDEN if len(change.columns) == 1 else _ALL_HIDDEN}"
    expected, present = dict(zip(before.columns, old, strict=True)), dict(zip(after.columns, new, strict=True))
    pairs = [
        f"{column} expected {show_value(expected.get(column))}, found {show_value(present.get(column))}"
        for column in change.columns
    ]
    return f": {'; '.join(pairs)}"


def show_value(value: str | None) -> str:
    """A column's text in quotes, cut, with nothing in it that a terminal or a page would act on."""
    if value is None:
        return "NULL"
    quoted = json.dumps(shorten(value), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)


def _read_values(lines: LineFile | None, wanted: Collection[bytes], folder: Path) -> dict[bytes, list[str | None]]:
    if lines is None or not wanted:
        return {}
    found = {}
    for line in read_lines(lines, folder):
        key, values = line.split(b"\t", 1)
        if key in wanted:
            found[key] = json.loads(values)
    return found


def _name_sum_change(before: TableInventory, after: TableInventory) -> str:
    if before.rows != after.rows:
        return f"{count(before.rows, 'row')} became {after.rows}"
    return f"{count(before.rows, 'row')}, content digest differs"


def _until_tab(line: bytes) -> bytes:
    return line[: line.index(b"\t")]
