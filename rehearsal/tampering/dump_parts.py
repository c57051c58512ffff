"""A plain pg_dump as landmarks: where its entries, rows, large objects and end lie, so that damage can be aimed.

The dump is read once, a line at a time; only offsets and names are kept. pg_dump writes a comment `-- Name: …; Type: …`
before each entry (src/bin/pg_dump/pg_backup_archiver.c, `_printTocEntry`), the rows of a table between `COPY … FROM
stdin;` and `\\.`, and large objects as `lo_open` and `lowrite` calls of one transaction.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.chipster.schemas import MARK_TABLE

_ENTRY = re.compile(rb"-- (?:Data for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: ?.*\n")
_COPY = re.compile(rb"COPY (.+?) \((.*)\) FROM stdin;\n")
_KEY = re.compile(rb"    ADD CONSTRAINT .+ PRIMARY KEY \((.*)\);\n")
_OPEN = re.compile(rb"SELECT pg_catalog\.lo_open\('(\d+)'")
_REMOVAL = (b"DROP ", b"ALTER TABLE ", b"SELECT pg_catalog.lo_unlink(")
_RULE = b"--\n"
END_OF_ROWS = b"\\.\n"


@dataclass(frozen=True)
class Rows:
    """The rows of one table: `start` is the first one's offset, `end` that of the line `\\.`."""

    table: str
    columns: tuple[str, ...]
    start: int
    end: int
    count: int


@dataclass(frozen=True)
class Entry:
    """One entry: `start` is the offset of the comment before it, `end` that of the next entry's or of the trailer."""

    kind: str
    name: str
    schema: str
    start: int
    end: int = 0


@dataclass
class Dump:
    """What a dump holds, and where.

    Attributes:
        removals: offset of the first statement that `--clean` added; the first entry ends them.
        trailer: offset of `PostgreSQL database dump complete` and its rules.
        types: column → type as written, by table. keys: primary keys by table.
        written: oids of the large objects with content.
    """

    rows: list[Rows] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    removals: int | None = None
    trailer: int | None = None
    types: dict[str, dict[str, str]] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)

    def filled(self) -> list[Rows]:
        """The tables with rows, in the dump's order, which is that of an inventory; the marks' own is left out."""
        return [rows for rows in self.rows if rows.count and rows.table != MARK_TABLE]

    def of_kind(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]


@dataclass
class _Reading:
    """The state between two lines."""

    dump: Dump
    rows: tuple[str, tuple[str, ...], int] | None = None
    count: int = 0
    table: str = ""
    altered: str = ""
    opened: str = ""
    before: tuple[int, bytes] = (0, b"")

    def take(self, position: int, line: bytes) -> None:
        if self.rows is not None:
            if line == END_OF_ROWS:
                self.dump.rows.append(Rows(*self.rows, position, self.count))
                self.rows = None
            self.count += 1
        elif self.table:
            self._take_column(line)
        else:
            self._take_statement(position, line)
        self.before = (position, line)

    def _take_column(self, line: bytes) -> None:
        if line.startswith(b")"):
            self.table = ""
        elif line.startswith(b'    "'):
            self.dump.types[self.table][line.decode().strip().rpartition('" ')[0] + '"'] = line.decode().strip()
        elif line.startswith(b"    ") and not line.startswith(b"    CONSTRAINT "):
            name, _, rest = line.decode().strip().partition(" ")
            self.dump.types[self.table][name] = rest.removesuffix(",")

    def _take_statement(self, position: int, line: bytes) -> None:
        dump = self.dump
        if found := _COPY.fullmatch(line):
            columns = tuple(found[2].decode().split(", "))
            self.rows, self.count = (found[1].decode(), columns, position + len(line)), 0
        elif line.startswith(b"CREATE TABLE ") and line.endswith(b" (\n"):
            self.table = line.decode()[13:-3]
            dump.types[self.table] = {}
        elif found := _ENTRY.fullmatch(line):
            start = self.before[0] if self.before[1] == _RULE else position
            dump.entries.append(Entry(found[2].decode(), found[1].decode(), found[3].decode(), start))
        elif line == b"-- PostgreSQL database dump complete\n":
            dump.trailer = self.before[0]
        elif not dump.entries and dump.removals is None and line.startswith(_REMOVAL):
            dump.removals = position
        elif line.startswith(b"ALTER TABLE ONLY ") and not line.endswith(b";\n"):
            self.altered = line.decode()[17:].strip()
        elif found := _KEY.fullmatch(line):
            dump.keys[self.altered] = tuple(found[1].decode().split(", "))
        elif found := _OPEN.match(line):
            self.opened = found[1].decode()
        elif line.startswith(b"SELECT pg_catalog.lowrite("):
            dump.written.add(self.opened)


def read_dump(path: Path) -> Dump:
    """Find the landmarks of a plain dump with LF line ends; of a damaged one, those that are there."""
    dump = Dump()
    reading = _Reading(dump)
    position = 0
    with path.open("rb") as stream:
        for line in stream:
            reading.take(position, line)
            position += len(line)
    ends = [entry.start for entry in dump.entries[1:]] + [position if dump.trailer is None else dump.trailer]
    dump.entries = [
        Entry(entry.kind, entry.name, entry.schema, entry.start, end)
        for entry, end in zip(dump.entries, ends, strict=False)
    ]
    return dump


def read_rows(path: Path, rows: Rows) -> list[bytes]:
    """A table's rows as they stand in the dump, with their line ends."""
    with path.open("rb") as stream:
        stream.seek(rows.start)
        return stream.read(rows.end - rows.start).splitlines(keepends=True)


def write_over(path: Path, start: int, end: int, new: bytes) -> None:
    """Put `new` in the place of the bytes from `start` to `end`."""
    changed = path.with_name(f".{path.name}.changed")
    with path.open("rb") as source, changed.open("wb") as target:
        left = start
        while left:
            chunk = source.read(min(left, 1 << 20))
            left -= len(chunk)
            target.write(chunk)
        target.write(new)
        source.seek(end)
        shutil.copyfileobj(source, target, 1 << 20)
    changed.replace(path)


def write_lines_anew(path: Path, change: Callable[[bytes], bytes]) -> bool:
    """Change every line by itself; whether any was another one afterwards."""
    changed = path.with_name(f".{path.name}.changed")
    differs = False
    with path.open("rb") as source, changed.open("wb") as target:
        for line in source:
            new = change(line)
            differs = differs or new != line
            target.write(new)
    changed.replace(path)
    return differs


def cut_at(path: Path, offset: int) -> None:
    """End the file there."""
    with path.open("r+b") as stream:
        stream.truncate(offset)


def strip_removals(path: Path) -> None:
    """Make of a dump with `--clean` one without: the statements before its first entry go."""
    dump = read_dump(path)
    if dump.removals is not None and dump.entries:
        write_over(path, dump.removals, dump.entries[0].start, b"")


def name_objects(path: Path, dump: Dump, oids: set[str] | None = None) -> str:
    """The first table, in an inventory's order, that refers to one of these large objects (None: to any); "" for none.

    An inventory's first differences are of that table when all of these objects are damaged.
    """
    for rows in dump.filled():
        places = [n for n, column in enumerate(rows.columns) if dump.types.get(rows.table, {}).get(column) == "oid"]
        for line in read_rows(path, rows) if places else ():
            fields = line.rstrip(b"\n").split(b"\t")
            found = {fields[place].decode() for place in places} - {"\\N"}
            if found if oids is None else found & oids:
                return rows.table
    return ""
