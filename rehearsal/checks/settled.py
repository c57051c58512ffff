"""What the services made of the restored stores when they were started: listed where they add, named where they harm.

Starting the services migrates the databases and writes to them. New rows, tables, columns, indexes and files are theirs
to make, and so is what a migration does to definitions. What is gone, and content that changed, is damage. Where nobody
can tell the two apart (a table without a key that grew, a column of another type), we learnt nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.checks.gathering import NAMED_LIMIT, Evidence, not_looked_at
from rehearsal.differences import compare_databases, compare_files
from rehearsal.inventory import DatabaseInventory, Difference, Differences, FilesInventory, TableInventory
from rehearsal.record import START_SERVICES
from rehearsal.verdicts import Finding, Verdict

SORTED_LIMIT = 10_000
"""Differences sorted per aspect; beyond them the sorting is incomplete, and never PASS."""

_ITEMS = 5
_MIGRATIONS = "migrations"
_HISTORY = "public.flyway_schema_history"
_SHORT_LIVED = "public.oidcloginsession"
"""A row lives as long as one login takes; auth adds and removes them."""
_OWN_OWNER = "→ 1000:1000"
_NOT_USER_DATA = ("backup", "lost+found")
_FOUND = {Verdict.FAIL: "after the services were started", Verdict.INCONCLUSIVE: "the services were started, and"}


@dataclass
class Sorting:
    """Differences between the inventories before and after the services were started, sorted."""

    compared: int = 0
    listed: dict[str, list[str]] = field(default_factory=dict)
    """What the services may do, by heading: `new rows of public.news` → the rows' keys."""
    told: list[tuple[Verdict, str, str]] = field(default_factory=list)
    """Verdict, subject, message of what is not simply listed."""

    def add(self, difference: Difference, remark: str = "") -> None:
        """It is the services' to make; `remark`: why a change of something old is."""
        word = {"extra": "new", "changed": "changed", "missing": "gone"}[difference.kind]
        what, item = difference.aspect, difference.subject
        if difference.aspect in ("rows", "large object") and " [" in item:
            table, key = item.split(" [", 1)
            what, item = f"{'rows' if what == 'rows' else 'large objects'} of {table}", f"[{key}"
        elif difference.kind == "changed":
            item = f"{item} ({difference.detail})"
        self.listed.setdefault(f"{word} {what}{f', {remark}' if remark else ''}", []).append(item)

    def tell_listed(self) -> tuple[str, ...]:
        """A line a heading, the first items named, the rest counted; migrations all named."""
        lines = []
        for heading, items in self.listed.items():
            shown = items if heading == _MIGRATIONS else items[:_ITEMS]
            more = f" and {len(items) - len(shown)} more" if len(items) > len(shown) else ""
            lines.append(f"{heading}: {', '.join(shown)}{more}")
        return tuple(lines)

    def fail(self, difference: Difference) -> None:
        detail = f": {difference.detail}" if difference.detail else ""
        self.told.append((Verdict.FAIL, difference.subject, f"{difference.aspect} {difference.kind}{detail}"))

    def doubt(self, subject: str, message: str) -> None:
        self.told.append((Verdict.INCONCLUSIVE, subject, message))


def check_settled(evidence: Evidence) -> Iterator[Finding]:
    """Starting the services on what was restored only added to it; silent where they were not started."""
    started = any(phase.name == START_SERVICES for phase in evidence.record.phases)
    for store in evidence.lost:
        after, settled = store.after, store.settled
        if isinstance(after, DatabaseInventory) and isinstance(settled, DatabaseInventory):
            yield from _tell(store.name, sort_databases(after, settled, evidence.folder))
        elif isinstance(after, FilesInventory) and isinstance(settled, FilesInventory):
            yield from _tell(store.name, sort_files(after, settled, evidence.folder))
        elif started or settled is not None:
            yield not_looked_at("settled", store.name, "no inventory before or after the services were started")


def _tell(store: str, sorting: Sorting) -> Iterator[Finding]:
    listed = sorting.tell_listed()
    if not sorting.told and not sorting.compared:
        yield not_looked_at("settled", store, "both inventories are empty")
    elif not sorting.told:
        changes = sum(map(len, sorting.listed.values()))
        yield Finding(
            check="settled",
            verdict=Verdict.PASS,
            subject=store,
            message=f"{sorting.compared} compared after the services were started, nothing damaged; "
            + (f"{changes} changes are theirs to make" if changes else "they changed nothing"),
            details=listed,
        )
    sorting.told.sort(key=lambda told: -told[0].severity)
    for number, (verdict, subject, message) in enumerate(sorting.told[:NAMED_LIMIT]):
        yield Finding(
            check="settled",
            verdict=verdict,
            subject=f"{store}: {subject}",
            message=f"{_FOUND[verdict]} {message}",
            details=tuple(f"the services' own: {line}" for line in listed) if number == 0 else (),
        )
    if len(sorting.told) > NAMED_LIMIT:
        yield Finding(
            check="settled",
            verdict=sorting.told[NAMED_LIMIT][0],
            subject=store,
            message=f"… and {len(sorting.told) - NAMED_LIMIT} more differences after the services were started",
        )


def sort_databases(after: DatabaseInventory, settled: DatabaseInventory, folder: Path) -> Sorting:
    """Sort what the services did to a database. Raises EnvironmentUnfit: as `compare_databases`."""
    found = compare_databases(after, settled, folder, SORTED_LIMIT)
    sorting = Sorting(compared=sum(differences.compared for differences in found.values()))
    new = {rank: text for rank, text in settled.migrations.items() if rank not in after.migrations}
    for rank, text in new.items():
        sorting.listed.setdefault(_MIGRATIONS, []).append(text)
        if text.endswith("(failed)"):
            sorting.told.append((Verdict.FAIL, f'{_HISTORY} ["{rank}"]', f"the migration {text}"))
    retyped = _sort_schema(found["schema"], after, settled, bool(new), sorting)
    for difference in found["table"].named:
        sorting.add(difference) if difference.kind == "extra" else sorting.fail(difference)
    steady = {one.subject for one in _compare_steady(after, settled, folder).named}
    for difference in found["rows"].named:
        _sort_rows(difference, after, settled, retyped, steady, sorting)
    for difference in found["large object"].named:
        added = difference.kind == "extra" or difference.subject.startswith(f"{_SHORT_LIVED} ")
        sorting.add(difference) if added else sorting.fail(difference)
    for difference in found["sequence"].named:
        added = difference.kind == "extra" or _went_on(after, settled, difference.subject)
        sorting.add(difference) if added else sorting.fail(difference)
    orphans = settled.unreferenced_large_objects - after.unreferenced_large_objects
    if orphans:
        sorting.listed["large objects that nothing refers to"] = [f"{orphans:+d}"]
    _count_unsorted(found.values(), sorting)
    return sorting


def _sort_schema(
    schema: Differences, after: DatabaseInventory, settled: DatabaseInventory, migrated: bool, sorting: Sorting
) -> tuple[str, ...]:
    """Sort definitions; returns the tables of which a column is gone or of another type, so that rows say nothing."""
    retyped = []
    for difference in schema.named:
        column = difference.subject.startswith("column ") and difference.kind != "extra"
        if difference.kind == "extra":
            sorting.add(difference)
        elif column and difference.kind == "missing":
            sorting.fail(difference)
        elif column and not _same_type(difference.subject, after, settled) and migrated:
            sorting.doubt(difference.subject, f"its type is another, so nobody can compare it: {difference.detail}")
        elif migrated:
            sorting.add(difference)
        else:
            sorting.fail(difference)
        if column and (difference.kind == "missing" or not _same_type(difference.subject, after, settled)):
            retyped += [name for name in after.tables if difference.subject.startswith(f"column {name}.")]
    return tuple(retyped)


def _same_type(subject: str, after: DatabaseInventory, settled: DatabaseInventory) -> bool:
    """Whether a column's first line, its type, stayed."""
    return after.schema_objects[subject].split("\n")[0] == settled.schema_objects[subject].split("\n")[0]


def _sort_rows(
    difference: Difference,
    after: DatabaseInventory,
    settled: DatabaseInventory,
    retyped: tuple[str, ...],
    steady: set[str],
    sorting: Sorting,
) -> None:
    table = next((name for name in after.tables if f"{difference.subject} ".startswith(f"{name} ")), "")
    before, now = after.tables[table], settled.tables[table]
    if table == _HISTORY and difference.kind == "extra":
        if not settled.migrations:  # else it is told by its name
            sorting.add(difference)
    elif difference.kind == "extra":
        sorting.add(difference)
    elif table == _SHORT_LIVED:
        sorting.add(difference, "which live as long as one login")
    elif difference.subject == table and now.rows > before.rows:
        sorting.doubt(
            table, f"it grew from {before.rows} to {now.rows} rows; without a line a row, old ones may differ"
        )
    elif difference.kind == "changed" and table in retyped and difference.subject != table:
        return  # its column is told
    elif before.steady_lines and now.steady_lines and difference.subject not in steady:
        sorting.add(difference, "only where services rewrite them")
    else:
        sorting.fail(difference)


def _compare_steady(after: DatabaseInventory, settled: DatabaseInventory, folder: Path) -> Differences:
    """Rows that differ also without the columns that services rewrite, of the tables that have such columns."""

    def keep(inventory: DatabaseInventory) -> DatabaseInventory:
        tables = {
            name: TableInventory(rows=table.rows, digest="", key=table.key, row_lines=table.steady_lines)
            for name, table in inventory.tables.items()
            if table.steady_lines
        }
        return inventory.model_copy(update={"tables": tables, "sequences": {}, "schema_objects": {}})

    return compare_databases(keep(after), keep(settled), folder, SORTED_LIMIT)["rows"]


def _went_on(after: DatabaseInventory, settled: DatabaseInventory, name: str) -> bool:
    """Whether a sequence was only drawn from: `last_value is_called`, ascending."""
    if name not in settled.sequences:
        return False
    before, now = after.sequences[name].split()[0], settled.sequences[name].split()[0]
    return int(now) >= int(before)


def sort_files(after: FilesInventory, settled: FilesInventory, folder: Path) -> Sorting:
    """Sort what the services did to a directory. Raises EnvironmentUnfit: as `compare_files`."""
    found = compare_files(after, settled, folder, SORTED_LIMIT)
    sorting = Sorting(compared=found.compared)
    for difference in found.named:
        # file-storage gives its directory to user 1000 whenever its pod starts (facts, trap 9)
        given = difference.detail.startswith("owner ") and difference.detail.endswith(_OWN_OWNER)
        if difference.kind == "extra" or given or difference.subject.split("/")[0] in _NOT_USER_DATA:
            sorting.add(difference)
        else:
            sorting.fail(difference)
    _count_unsorted([found], sorting)
    return sorting


def _count_unsorted(found: Iterable[Differences], sorting: Sorting) -> None:
    unsorted = sum(differences.total - len(differences.named) for differences in found)
    if unsorted:
        sorting.doubt("all the rest", f"{unsorted} more differences are too many to be sorted")
