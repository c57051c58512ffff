"""Operators on one dump of the backup set: it ends too early, is empty or is not there.

psql takes the end of its input for the end of the work, so a cut dump restores with status 0; what is missing depends
on where it was cut. See `damaging_dumps.py` for what is done about the manifest.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from rehearsal.tampering.damaging_dumps import AFTER_DATA, damage_alone, damage_dump, draw_rows, name_in_schema
from rehearsal.tampering.dump_parts import Entry, cut_at, name_objects, read_dump, read_rows


@damage_dump(
    "dump cut in a table's rows",
    why="kubectl exec can end with status 0 after a cut stream (kubernetes/kubernetes#73056); psql takes the end of "
    "its input for the end of the rows",
    checks="rows",
    seen_in_set=True,
)
def cut_in_rows(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001 - a cut has no more or less
    rows = draw_rows(read_dump(path), draw)
    if rows is None:
        return ""
    # before the last row's end: at a row's border psql is content, within a row the whole table stays empty
    lines = read_rows(path, rows)
    kept = sum(map(len, lines[: draw.randrange(rows.count)]))
    cut_at(path, rows.start + kept + draw.choice((0, 1)))
    return rows.table


@damage_dump(
    "dump cut before its large objects",
    why="measured: it restores with status 0, row counts and row digests equal, and every large object empty; kubectl "
    "exec can end with status 0 after a cut stream (kubernetes/kubernetes#73056)",
    checks="large-objects",
)
def cut_before_large_objects(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    dump = read_dump(path)
    contents = dump.of_kind("BLOBS")
    piece = name_objects(path, dump, dump.written) if contents else ""
    if piece:
        cut_at(path, contents[0].start)
    return piece


@damage_dump(
    "dump cut before a sequence's value",
    why="psql -1 with ON_ERROR_STOP accepts a dump that ends between two statements (facts, trap 20); the next insert "
    "then takes a number that is taken",
    checks="sequences",
)
def cut_before_setval(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    # one that was never called is the same without its value
    found = [
        entry
        for entry in read_dump(path).of_kind("SEQUENCE SET")
        if _read_entry(path, entry).rstrip().endswith(b", true);")
    ]
    if not found:
        return ""
    entry = draw.choice(found)
    cut_at(path, entry.start)
    return f"{entry.schema}.{entry.name}"


@damage_dump(
    "dump cut among its constraints and indexes",
    why="they come last: a dump cut there has every row and no longer what keeps rows right or found quickly",
    checks="schema",
)
def cut_in_constraints(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    found = read_dump(path).of_kind(*AFTER_DATA)
    if not found:
        return ""
    entry = draw.choice(found)
    cut_at(path, entry.start)
    return name_in_schema(entry)


@damage_alone(
    "dump without its trailer, seen in the set",
    why="all the content is there, and nobody can know that by the dump: the line `PostgreSQL database dump complete` "
    "is what admins are told to look for",
)
def cut_before_trailer(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    trailer = read_dump(path).trailer
    if trailer is None:
        return ""
    cut_at(path, trailer)
    return path.name


def _read_entry(path: Path, entry: Entry) -> bytes:
    with path.open("rb") as stream:
        stream.seek(entry.start)
        return stream.read(entry.end - entry.start)


@damage_dump(
    "a dump is empty",
    why="after a changed password pg_dump leaves 0 bytes, status 0 when piped (facts, trap 18)",
    checks="tables",
    seen_in_set=True,
)
def empty_dump(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    filled = read_dump(path).filled()
    cut_at(path, 0)
    return draw.choice(filled).table if filled else ""


@damage_dump(
    "a dump is missing",
    why="a loop over databases that ended early; the clean-up deletes an extra backup of the day (facts, trap 13)",
    checks="tables",
    seen_in_set=True,
)
def remove_dump(path: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001
    filled = read_dump(path).filled()
    path.unlink()
    return draw.choice(filled).table if filled else ""
