"""Where two inventories of a store differ, every difference named: pure comparison of values and sorted line files.

Line files are merged in one pass and flat memory, so that a whole store is compared on any machine, without a cluster.
They are evidence: each is counted and hashed against its inventory first, and one that was cut or edited is an error
(we learnt nothing), not a difference. A digest and its lines are never trusted one without the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path

from rehearsal.collected import Collected, count, shorten
from rehearsal.evidence import Companion, merge_lines
from rehearsal.inventory import DatabaseInventory, Differences, FilesInventory, LineFile, TableInventory
from rehearsal.row_differences import compare_rows

ASPECTS = ("table", "rows", "large object", "sequence", "schema")
"""What `compare_databases` tells apart."""

_DANGLING = "dangling"
_HISTORY = "public.flyway_schema_history"


def compare_databases(
    before: DatabaseInventory, after: DatabaseInventory, folder: Path, limit: int = 20
) -> dict[str, Differences]:
    """Differences by aspect, each of `ASPECTS` present.

    Args:
        before: what is expected. after: what was found.
        folder: the rehearsal's folder, which the line files' paths are relative to.
        limit: differences named per aspect; the rest are counted.

    Raises:
        EnvironmentUnfit: a line file is missing, was cut or edited, or is not sorted; `where` names it.
    """
    found = {aspect: Collected(limit) for aspect in ASPECTS}
    for name in sorted(before.tables.keys() | after.tables.keys()):
        found["table"].compared += 1
        if name not in after.tables:
            found["table"].add("missing", "table", name, f"{count(before.tables[name].rows, 'row')} expected")
        elif name not in before.tables:
            found["table"].add("extra", "table", name, f"{count(after.tables[name].rows, 'row')} found")
        else:
            compare_rows(name, before.tables[name], after.tables[name], folder, found["rows"])
            _compare_objects(name, before.tables[name], after.tables[name], folder, found["large object"])
    _compare_migrations(before, after, found["rows"])
    _compare_texts("sequence", before.sequences, after.sequences, found["sequence"], _name_sequence_change)
    _compare_texts("schema", before.schema_objects, after.schema_objects, found["schema"], name_text_change)
    return {aspect: collected.result() for aspect, collected in found.items()}


def compare_files(
    before: FilesInventory,
    after: FilesInventory,
    folder: Path,
    limit: int = 20,
    set_lines: LineFile | None = None,
    *,
    folders_carried: bool = True,
) -> Differences:
    """Differences between two file-storage directories; aspect `directory` for directories, `file` for the rest.

    Args:
        set_lines: what the intact backup set held. An extra entry that is in it, with the same size and SHA-256, came
            to the store between the inventory and the backup: it is explained, and no difference.
        folders_carried: False: a backup of this kind holds files alone; a missing directory is explained, and whatever
            it held is missing by its own name.

    Raises:
        EnvironmentUnfit: a line file is missing, was cut or edited, or is not sorted; `where` names it.
    """
    found = Collected(limit)
    in_set = Companion(set_lines, folder, _path_of_entry)

    def judge(path: bytes, expected: bytes | None, present: bytes | None) -> None:
        subject = shorten(path.decode("utf-8", "backslashreplace"))
        lines = [json.loads(line) for line in (expected, present) if line is not None]
        aspect = "directory" if all(entry[1] == "dir" for entry in lines) else "file"
        if len(lines) == 2:
            found.add("changed", aspect, subject, _name_entry_change(*lines))
        elif present is None and aspect == "directory" and not folders_carried:
            found.explain(aspect, subject, _describe_entry(lines[0]), "missing")
        elif present is None:
            found.add("missing", aspect, subject, _describe_entry(lines[0]))
        elif (held := in_set.find(path)) is not None and json.loads(held)[1:] == lines[0][1:4]:
            found.explain(aspect, subject, _describe_entry(lines[0]))
        else:
            found.add("extra", aspect, subject, _describe_entry(lines[0]))

    found.compared = merge_lines(before.entry_lines, after.entry_lines, folder, _path_of_entry, judge)
    return found.result()


def _compare_migrations(before: DatabaseInventory, after: DatabaseInventory, found: Collected) -> None:
    """Those that are gone by their names, beside their rows: a service would run them again, on what they made."""
    gone = [text for rank, text in before.migrations.items() if rank not in after.migrations]
    if gone and _HISTORY in after.tables:
        left = len(before.migrations) - len(gone)
        more = f" (and {len(gone) - 3} more)" if len(gone) > 3 else ""
        detail = f"{left} of {count(len(before.migrations), 'migration')}: {', '.join(gone[:3])}{more} gone"
        found.add("missing", "rows", _HISTORY, detail)


def _compare_objects(name: str, before: TableInventory, after: TableInventory, folder: Path, found: Collected) -> None:
    keyed = bool(before.key) and before.key == after.key

    def judge(identity: bytes, expected: bytes | None, present: bytes | None) -> None:
        key, column, *_ = identity.decode("utf-8", "backslashreplace").split("\t")
        subject = f"{name} {shorten(key)} {column}" if key else f"{name} {column}"
        if expected is not None and present is not None:
            found.add("changed", "large object", subject, _name_object_change(expected, present))
        elif expected is not None:
            found.add("missing", "large object", subject, f"{_describe_object(expected)} expected, no reference found")
        elif present is not None:
            found.add("extra", "large object", subject, f"{_describe_object(present)} found, no reference expected")

    found.compared += merge_lines(
        before.large_object_lines,
        after.large_object_lines,
        folder,
        # without a key only whole lines can be told apart: a multiset
        _until_second_tab if keyed else _whole_line,
        judge,
    )


def _describe_object(line: bytes) -> str:
    size, sha256, _ = _object_of(line)
    return "a dangling reference" if sha256 == _DANGLING else f"{size} bytes"


def _name_object_change(expected: bytes, present: bytes) -> str:
    size, sha256, holder = _object_of(expected)
    size_found, sha256_found, holder_found = _object_of(present)
    if sha256_found == _DANGLING:
        return f"{size} bytes expected, the object is gone: a dangling reference"
    if sha256 == _DANGLING:
        return f"a dangling reference expected, {size_found} bytes found"
    changes = [f"size {size} → {size_found}"] if size != size_found else []
    if sha256 != sha256_found:
        changes.append("sha256 differs")
    if holder and holder_found and holder != holder_found:
        changes.append(name_text_change(_lay_out(holder), _lay_out(holder_found)))
    return ", ".join(changes) or "the line differs"


def _object_of(line: bytes) -> tuple[int, str, tuple[str, ...]]:
    """Size, SHA-256, and owner and grants where the line has them."""
    _, _, size, sha256, *holder = line.rstrip(b"\n").split(b"\t")
    return int(size), sha256.decode("ascii"), tuple(text.decode("utf-8", "backslashreplace") for text in holder)


def _lay_out(holder: tuple[str, ...]) -> str:
    owner, grants = holder
    return "\n".join([f"owner {owner}", *grants.split("; ")])


def _whole_before_parts(name: str) -> tuple[bool, str]:
    """A lost function or view is named before the columns and comments that went with it."""
    return name.startswith(("column ", "comment ")), name


def _compare_texts(
    aspect: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    found: Collected,
    name_change: Callable[[str, str], str],
) -> None:
    for subject in sorted(before.keys() | after.keys(), key=_whole_before_parts):
        found.compared += 1
        if subject not in after:
            found.add("missing", aspect, subject, "it is gone")
        elif subject not in before:
            found.add("extra", aspect, subject, "it was not there")
        elif before[subject] != after[subject]:
            found.add("changed", aspect, subject, name_change(before[subject], after[subject]))


def _name_sequence_change(before: str, after: str) -> str:
    return f"last_value is_called: {before} → {after}"


def name_text_change(before: str, after: str) -> str:
    """The lines in which two catalogue texts differ, line ends made visible: `grant x: SELECT → (nothing)`."""
    expected, found = before.split("\n"), after.split("\n")
    pairs: list[tuple[str, str]] = []
    for operation, start, end, found_start, found_end in SequenceMatcher(None, expected, found, False).get_opcodes():
        if operation != "equal":
            pairs += zip_longest(expected[start:end], found[found_start:found_end], fillvalue="")
    first, rest = pairs[0], len(pairs) - 1
    more = f" (and {count(rest, 'more line')})" if rest else ""
    return f"{_show(first[0])} → {_show(first[1])}{more}"


def _show(line: str) -> str:
    shown = line if len(line) <= 100 else f"{line[:100]}…"
    return shown.replace("\r", "\\r").replace("\t", "\\t") or "(nothing)"


Entry = tuple[str, str, int, str, str, int, int, str]


def _name_entry_change(before: Entry, after: Entry) -> str:
    changes = [
        f"{label} {old} → {new}"
        for label, old, new in (
            ("type", before[1], after[1]),
            ("size", before[2], after[2]),
            ("mode", before[4], after[4]),
            ("owner", f"{before[5]}:{before[6]}", f"{after[5]}:{after[6]}"),
        )
        if old != new
    ]
    if before[3] != after[3]:
        changes.insert(0, "unreadable" if after[3] == "unreadable" else "sha256 differs")
    if before[7] != after[7]:
        changes.append("link target differs")
    return ", ".join(changes) or "the line differs"


def _describe_entry(entry: Entry) -> str:
    return f"{entry[1]}, {entry[2]} bytes" if entry[1] == "file" else entry[1]


def _until_second_tab(line: bytes) -> bytes:
    return line[: line.index(b"\t", line.index(b"\t") + 1)]


def _whole_line(line: bytes) -> bytes:
    return line


def _path_of_entry(line: bytes) -> bytes:
    path = json.loads(line)[0]
    return path.encode("utf-8", "surrogateescape") if isinstance(path, str) else b""
