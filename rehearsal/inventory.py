"""Fingerprints of a store at a moment, and where two of them differ.

A database inventory is one JSON value plus line files beside it (a line per row of a keyed table, a line per large
object reference); a file inventory is one line file and its summary. Line files are sorted by key, bytewise, so two
of them are compared in one pass, in flat memory, on any machine, without a cluster.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

SHOWN = 200
"""Characters of a key or a value that a finding shows."""
BLOCKS = 16_384
"""Blocks of `TableInventory.block_lines`."""


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

    @field_validator("path")
    @classmethod
    def _stay_below(cls, path: str) -> str:
        """Evidence moves with its rehearsal's folder; a path that leads out of it was edited."""
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise ValueError("leads out of the rehearsal's folder")
        return path


class TableInventory(_Fact):
    """One table.

    Attributes:
        rows: `count(*)`.
        digest: sum of the rows' 64-bit hashes, decimal; a row's is the exclusive or of its columns', each seeded with
            its name, mixed once more. Columns whose type has values that are equal but not identical (numeric, float,
            jsonb, interval, …) enter as their text under pinned session settings; large object columns enter only as
            NULL or not NULL (their content is in `large_object_lines`).
        key: the primary key's columns in order; empty: the table is judged as a multiset.
        columns: in order, as `row_lines`, `block_lines` and `value_lines` have them; empty in an older release's.
        row_lines: for a keyed table, a line per row, `KEY<TAB>DIGEST<TAB>COLUMNS`: KEY a JSON array of the key columns'
            texts, DIGEST the row's hash as a decimal, COLUMNS 8 hex digits a column (31 bits of its hash; an older
            release had none); sorted bytewise by KEY. None: not kept (no key, or too many rows).
        value_lines: beside `row_lines`, only where the user asked for it: `KEY<TAB>VALUES`, a JSON array of the
            columns' texts (null: NULL), 201 characters at most, secrets taken out.
        block_lines: for a keyed table with too many rows, a line per block of rows with equal bits of their key's hash,
            `BLOCK<TAB>COUNT<TAB>SUM<TAB>WEIGHTED<TAB>KEYS<TAB>COLUMNS`: SUM adds up 31 bits of the rows' digests,
            WEIGHTED the same times 31 bits of the key's hash, KEYS is the exclusive or of each key column (a JSON
            array of integers' and uuids' texts; empty where a key is not of these alone), COLUMNS that of each column's
            hash. So one row that changed, came or went in a block is told exactly. KEYS and COLUMNS are empty in the
            inventories after the first.
        block_row_lines: rows of the first blocks that differed from the inventory before this one,
            `BLOCK<TAB>WEIGHT<TAB>KEY<TAB>DIGEST<TAB>COLUMNS`.
        steady_lines: for a keyed table with columns that a running service rewrites by itself
            (`chipster/rewritten.py`), like `row_lines`, with these columns left out of DIGEST.
        large_object_lines: for a table with large object columns, a line per non-NULL reference,
            `KEY<TAB>COLUMN<TAB>SIZE<TAB>SHA256<TAB>OWNER<TAB>GRANTS`; SIZE -1 and SHA256 `dangling` where the object is
            missing; GRANTS such as `grant postgres: SELECT, UPDATE`, joined by `; `. An older release had neither.
    """

    rows: int
    digest: str
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    row_lines: LineFile | None = None
    value_lines: LineFile | None = None
    block_lines: LineFile | None = None
    block_row_lines: LineFile | None = None
    steady_lines: LineFile | None = None
    large_object_lines: LineFile | None = None


class DatabaseInventory(_Fact):
    """One database in one REPEATABLE READ, READ ONLY snapshot.

    In the one taken after the services were started, rows are hashed over the columns that the inventory before it saw,
    so that a column which a migration added does not make every row another.

    Attributes:
        tables: by qualified name, `public.session`; every ordinary table outside the system schemas but the one that
            holds the nonce and the marker.
        sequences: qualified name → `last_value is_called`.
        schema_objects: canonical catalogue text by object, such as `column public.session.name` →
            `type character varying(255)` and a line per further property; keys are `<kind> <qualified name>`.
        migrations: Flyway's history, the row's key → `18 Add labels`, with ` (failed)` where it says so.
        unreferenced_large_objects: a count, never a measure of loss (facts, trap 19).
        link_lines: what binds sessions, files and users, by name (`chipster/session_links.py`): `sessions`, `datasets`,
            `users`; one that lacks had no tables to be read from. None: the inventory is of an older release.
    """

    kind: Literal["database"] = "database"
    store: str
    taken_at: str
    server_version: str
    tables: dict[str, TableInventory]
    sequences: dict[str, str] = Field(default_factory=dict)
    schema_objects: dict[str, str] = Field(default_factory=dict)
    migrations: dict[str, str] = Field(default_factory=dict)
    unreferenced_large_objects: int = 0
    link_lines: dict[str, LineFile] | None = None
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
        detail: expected and found: `size 12 → 0`, `sha256 differs`, `mode 0644 → 0600`; values of rows only where the
            user asked for them.
    """

    kind: Literal["missing", "extra", "changed"]
    aspect: str
    subject: str
    detail: str = ""


class Differences(_Fact):
    """All differences of one aspect group: the first ones named, the rest counted.

    Attributes:
        explained: extra files that the backup set itself held, the first ones; `explained_total` of them. They came to
            the store between the inventory and the backup, and are no part of `named` and `total`.
    """

    named: tuple[Difference, ...] = ()
    total: int = 0
    compared: int = 0
    explained: tuple[Difference, ...] = ()
    explained_total: int = 0
