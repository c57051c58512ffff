"""Fingerprints of a store at a moment, and where two of them differ.

A database inventory is one JSON value plus line files beside it (a line per row of a keyed table, a line per large
object reference); a file inventory is one line file and its summary. Line files are sorted by key, bytewise, so two
of them are compared in one pass, in flat memory, on any machine, without a cluster.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LineFile(_Fact):
    """A sorted line file of an inventory.

    Attributes:
        path: relative to the rehearsal's folder, with `/`.
        lines: number of lines.
        sha256: of the whole file, hex.
    """

    path: str
    lines: int
    sha256: str


class TableInventory(_Fact):
    """One table.

    Attributes:
        rows: `count(*)`.
        digest: sum of the rows' 64-bit hashes, decimal: `hash_record_extended`, mixed once more because it is linear (a
            plain sum misses two rows that swap a value). Columns whose type has values that are equal but not
            identical (numeric, float, jsonb, interval, …) enter as their text under pinned session settings; large
            object columns enter only as NULL or not NULL (their content is in `large_objects`).
        key: the primary key's columns in order; empty: the table is judged as a multiset.
        row_lines: for a keyed table, a line per row, `KEY<TAB>DIGEST`: KEY a JSON array of the key columns' texts,
            DIGEST the row's hash as a decimal; sorted bytewise by KEY. None: not kept (no key, or too many rows).
        large_object_lines: for a table with large object columns, a line per non-NULL reference,
            `KEY<TAB>COLUMN<TAB>SIZE<TAB>SHA256`; SIZE -1 and SHA256 `dangling` where the object is missing.
    """

    rows: int
    digest: str
    key: tuple[str, ...] = ()
    row_lines: LineFile | None = None
    large_object_lines: LineFile | None = None


class DatabaseInventory(_Fact):
    """One database in one REPEATABLE READ, READ ONLY snapshot.

    Attributes:
        tables: by qualified name, `public.session`; every ordinary table outside the system schemas but the one that
            holds the nonce and the marker.
        sequences: qualified name → `last_value is_called`.
        schema_objects: canonical catalogue text by object, such as `column public.session.name` →
            `type character varying(255)` and a line per further property; keys are `<kind> <qualified name>`.
        unreferenced_large_objects: a count, never a measure of loss (facts, trap 19).
    """

    kind: Literal["database"] = "database"
    store: str
    taken_at: str
    server_version: str
    tables: dict[str, TableInventory]
    sequences: dict[str, str] = Field(default_factory=dict)
    schema_objects: dict[str, str] = Field(default_factory=dict)
    unreferenced_large_objects: int = 0
    seconds: float = 0.0


class FilesInventory(_Fact):
    """One file-storage directory.

    Attributes:
        entry_lines: a line per entry below `storage` (the directory itself excluded), a JSON array
            `[path, type, size, sha256, mode, uid, gid, target]`: type one of `file`, `dir`, `link`, `other`; mode an
            octal string such as `0644`; size and sha256 of regular files only (else 0 and ""; a file that may not be
            read has sha256 `unreadable`, a directory that may not be read no entries); target of links only.
            Non-UTF-8 bytes of a path are surrogate-escaped. Sorted bytewise by path.
    """

    kind: Literal["files"] = "files"
    store: str
    taken_at: str
    entry_lines: LineFile
    files: int
    directories: int
    bytes: int
    seconds: float = 0.0


Inventory = DatabaseInventory | FilesInventory


class Difference(_Fact):
    """One missing, extra or changed entry between two inventories.

    Attributes:
        kind: `missing` (expected, not found), `extra` (found, not expected), `changed`.
        aspect: what differs: `table`, `rows`, `large object`, `sequence`, `schema`, `file`, `directory`.
        subject: what it is, named so that a person finds it: `public.session ["6f…"]`, `ab/ab12…`,
            `function rehearsal_extras.f(integer)`.
        detail: expected and found, without values: `size 12 → 0`, `sha256 differs`, `mode 0644 → 0600`.
    """

    kind: Literal["missing", "extra", "changed"]
    aspect: str
    subject: str
    detail: str = ""


class Differences(_Fact):
    """All differences of one aspect group: the first ones named, the rest counted."""

    named: tuple[Difference, ...] = ()
    total: int = 0
    compared: int = 0
