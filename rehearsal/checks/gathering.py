"""What every check is given and gives: the evidence of one rehearsal, and the findings that differences become.

Comparisons are made once and shared. Each difference is one finding, the first ones named, the rest counted, so that a
report (and a control) can point at the very row, object or file. A check that had nothing to compare is INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from rehearsal.differences import compare_databases, compare_files
from rehearsal.inventory import DatabaseInventory, Differences, FilesInventory
from rehearsal.record import FOLDERS, Record, StoreRecord
from rehearsal.verdicts import Finding, Verdict

Result = TypeVar("Result")

NAMED_LIMIT = 20
"""Differences named per check and store; the rest are counted."""


class Evidence:
    """A record and its folder; comparisons are made once and shared by the checks that need them."""

    def __init__(self, record: Record, folder: Path) -> None:
        self.record = record
        self.folder = folder
        self._found: dict[str, Any] = {}

    @cached_property
    def lost(self) -> tuple[StoreRecord, ...]:
        return tuple(store for store in self.record.stores if store.lost)

    @cached_property
    def kept(self) -> tuple[StoreRecord, ...]:
        return tuple(store for store in self.record.stores if not store.lost)

    def once(self, name: str, find: Callable[[], Result]) -> Result:
        """What `find` gives, looked for once and kept under that name."""
        if name not in self._found:
            self._found[name] = find()
        found: Result = self._found[name]
        return found

    def compare(self, store: StoreRecord) -> dict[str, Differences] | None:
        """Differences between the inventories before and after, by aspect; None where one was never taken."""
        return self.once(f"differences of {store.name}", lambda: self._compare(store))

    def _compare(self, store: StoreRecord) -> dict[str, Differences] | None:
        before, after = store.before, store.after
        if isinstance(before, DatabaseInventory) and isinstance(after, DatabaseInventory):
            return compare_databases(before, after, self.folder, NAMED_LIMIT)
        if isinstance(before, FilesInventory) and isinstance(after, FilesInventory):
            carried = FOLDERS not in self.record.not_carried
            found = compare_files(
                before, after, self.folder, NAMED_LIMIT, store.set_lines, folders_carried=carried or not store.lost
            )
            return {"files": found}
        return None


Check = Callable[[Evidence], Iterable[Finding]]


def not_looked_at(check: str, subject: str, what: str) -> Finding:
    return Finding(
        check=check, verdict=Verdict.INCONCLUSIVE, subject=subject, message=f"{what}: there is nothing to judge"
    )


def judge_differences(
    check: str, store: StoreRecord, differences: Differences, none_is_fine: bool
) -> Iterator[Finding]:
    """One finding per named difference, one that counts the rest; PASS when all that was compared is equal."""
    for difference in differences.named:
        detail = f": {difference.detail}" if difference.detail else ""
        yield Finding(
            check=check,
            verdict=Verdict.FAIL,
            subject=f"{store.name}: {difference.subject}",
            message=f"{difference.aspect} {difference.kind}{detail}",
        )
    unnamed = differences.total - len(differences.named)
    if unnamed > 0:
        yield Finding(
            check=check,
            verdict=Verdict.FAIL,
            subject=store.name,
            message=f"… and {unnamed} more differences of this kind",
        )
    if differences.total == 0:
        if differences.compared == 0 and not none_is_fine:
            yield not_looked_at(check, store.name, "the inventory before holds none")
        else:
            yield Finding(
                check=check,
                verdict=Verdict.PASS,
                subject=store.name,
                message=f"{differences.compared} compared, no difference"
                if differences.compared
                else "none before, none after",
            )
