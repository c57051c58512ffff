"""Which datasets could be opened before and cannot now: rows of session-db joined to bytes of file-storage, by path.

Four kinds of sorted evidence (rows and files, before and after) go by side by side in one pass and flat memory: what
belongs to one path is looked at together. A dataset counts as lost only when it was whole before: row, bytes, size
(facts, section 5: shared files, datasets without a file, uploads that broke off and old gaps are no damage).
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from rehearsal.errors import EnvironmentUnfit
from rehearsal.evidence import read_lines
from rehearsal.inventory import FilesInventory, LineFile

BEFORE, AFTER = 0, 1
NO_FILE = b""
"""Stands for the path of a dataset without a file."""
_NOT_USERS = (b"backup/", b"orphan/", b"lost+found/")
_COMPLETE = 1


class FileRow(NamedTuple):
    """A row of `file`; all None where a dataset refers to none."""

    size: int | None
    storage: str | None
    state: int | None


class Entry(NamedTuple):
    """What lies at a path: type, size, SHA-256, as `FilesInventory.entry_lines` says."""

    kind: str
    size: int
    sha256: str


class LostDataset(NamedTuple):
    session: str
    dataset: str
    why: str


@dataclass
class Names:
    """The first few of many, and how many there are."""

    limit: int
    named: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, name: str) -> None:
        self.total += 1
        if len(self.named) < self.limit:
            self.named.append(name)


@dataclass
class _Side:
    """What one path has at one moment: rows by (session, dataset), entries by replica."""

    rows: dict[tuple[str, str], FileRow] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def file_row(self) -> FileRow | None:
        return next((row for row in self.rows.values() if row.size is not None), None)

    def is_dangling(self, replicas: Container[str | None]) -> bool:
        """A row whose bytes are not where it says; of a storage that nobody looked at nothing is said."""
        row = self.file_row
        return row is not None and row.storage in replicas and row.storage not in self.entries

    @property
    def is_orphan(self) -> bool:
        return bool(self.entries) and self.file_row is None


@dataclass
class DatasetSearch:
    """One pass over the evidence; what was come by on the way is in the attributes once it ended.

    Attributes:
        rows: line file `datasets` before and after; None: nothing is there.
        files: the inventories of each replica before and after, by the name that `file.storage` has for it.
        dangling, orphans: paths that have become so since before.
        elsewhere: datasets whose bytes lie on a storage that was not looked at.
    """

    rows: tuple[LineFile | None, LineFile | None]
    files: Mapping[str, tuple[FilesInventory, FilesInventory]]
    folder: Path
    dangling: Names
    orphans: Names
    elsewhere: int = 0

    def find(self) -> Iterator[LostDataset]:
        """Every lost dataset, by path.

        Raises:
            EnvironmentUnfit: a line file is missing, was cut or edited, or is not sorted.
        """
        streams = [_read_rows(self.rows[moment], moment, self.folder) for moment in (BEFORE, AFTER)]
        for name, pair in self.files.items():
            streams += [
                _read_entries(pair[moment].entry_lines, moment, name, self.folder) for moment in (BEFORE, AFTER)
            ]
        for path, items in groupby(heapq.merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
            sides = _Side(), _Side()
            for _, moment, found in items:
                if isinstance(found, _RowFound):
                    sides[moment].rows[found.key] = found.row
                else:
                    sides[moment].entries[found.replica] = found.entry
            yield from self._judge(path, *sides)

    def _judge(self, path: bytes, before: _Side, after: _Side) -> Iterator[LostDataset]:
        row = before.file_row
        if row is not None and row.storage not in self.files:
            self.elsewhere += sum(bool(dataset) for _, dataset in before.rows)
        if before == after:
            return
        shown = path.decode("utf-8", "backslashreplace")
        if after.is_dangling(self.files) and not before.is_dangling(self.files):
            self.dangling.add(shown)
        if after.is_orphan and not before.is_orphan:
            self.orphans.add(shown)
        for (session, dataset), was in before.rows.items():
            if dataset and (path == NO_FILE or _is_whole(was, before)):
                why = self._explain(shown, was, before, after, (session, dataset))
                if why:
                    yield LostDataset(session, dataset, why)

    def _explain(self, path: str, was: FileRow, before: _Side, after: _Side, key: tuple[str, str]) -> str:
        """Why a dataset that was whole is not any more; "" when it is."""
        row = after.rows.get(key)
        if not path:
            return "" if row is not None else "its row is gone"
        if row is None:
            return f"its row is gone, or no longer names file {path}"
        if row.size is None:
            return f"file {path} has no row any more"
        if row.storage not in self.files:
            return f"file {path} is said to lie on {row.storage}, where nobody looked"
        entry, expected = after.entries.get(row.storage or ""), before.entries[was.storage or ""]
        if entry is None:
            return f"file {path} is missing"
        if entry.kind != "file":
            return f"file {path} is a {entry.kind} now"
        if entry.sha256 == "unreadable":
            return f"file {path} may not be read"
        if entry.size != expected.size:
            return f"file {path}: size {expected.size} → {entry.size}"
        if entry.sha256 != expected.sha256:
            return f"file {path} has other bytes"
        if row.size != entry.size:
            return f"file {path}: its row says size {row.size}, it has {entry.size}"
        if was.state == _COMPLETE != row.state:
            return f"file {path} is no longer marked complete: state {was.state} → {row.state}"
        return ""


def _is_whole(row: FileRow, side: _Side) -> bool:
    entry = side.entries.get(row.storage or "")
    return entry is not None and entry.kind == "file" and entry.size == row.size and entry.sha256 != "unreadable"


class _RowFound(NamedTuple):
    key: tuple[str, str]
    row: FileRow


class _EntryFound(NamedTuple):
    replica: str
    entry: Entry


Item = tuple[bytes, int, _RowFound | _EntryFound]


def _read_rows(evidence: LineFile | None, moment: int, folder: Path) -> Iterator[Item]:
    last = NO_FILE
    for line in read_lines(evidence, folder):
        try:
            key, _, values = line.partition(b"\t")
            file, session, dataset = json.loads(key)
            row = FileRow(*json.loads(values))
            path = f"{file[:2]}/{file}".encode() if file else NO_FILE
        except (ValueError, TypeError) as error:
            raise _unreadable(line, evidence) from error
        last = _in_order(last, path, evidence)
        yield path, moment, _RowFound((session, dataset), row)


def _read_entries(evidence: LineFile, moment: int, replica: str, folder: Path) -> Iterator[Item]:
    last = NO_FILE
    for line in read_lines(evidence, folder):
        try:
            name, kind, size, sha256, *_ = json.loads(line)
            path = name.encode("utf-8", "surrogateescape")
        except (ValueError, TypeError, AttributeError) as error:
            raise _unreadable(line, evidence) from error
        last = _in_order(last, path, evidence)
        if kind != "dir" and not path.startswith(_NOT_USERS):
            yield path, moment, _EntryFound(replica, Entry(kind, size, sha256))


def _in_order(last: bytes, path: bytes, evidence: LineFile | None) -> bytes:
    """`path`; a merge of what is not sorted would find differences that are none."""
    if path < last:
        raise EnvironmentUnfit(f"the evidence is not sorted, at {path[:80]!r}", where=evidence.path if evidence else "")
    return path


def _unreadable(line: bytes, evidence: LineFile | None) -> EnvironmentUnfit:
    return EnvironmentUnfit(
        f"a line of the evidence cannot be read: {line[:80]!r}", where=evidence.path if evidence else ""
    )
