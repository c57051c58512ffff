"""The backup set: a directory of artefacts and the `manifest.json` that lists them.

The manifest is written last, to a temporary name and renamed: a directory without it is not a backup set. Sizes and
SHA-256 are those of the bytes as they left the source and as they lie on disk, compared when they were written.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rehearsal.errors import EnvironmentUnfit

MANIFEST = "manifest.json"
_CHUNK = 1 << 20


class Artefact(BaseModel):
    """One file or directory of the set.

    Attributes:
        path: relative to the set, with `/`.
        kind: `file`, or `tree`: then size, sha256 and files speak of all regular files below it: sha256 is that of the
            sorted lines `SHA256  SIZE  PATH`.
        store: name of the store it came from; "" for values.yaml.
        source: pod and path or database, as the manual names it.
        command: the copy-pastable command that made it.
        started, finished: ISO 8601 instants, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    kind: Literal["file", "tree"] = "file"
    size: int
    sha256: str
    files: int = 1
    store: str = ""
    source: str = ""
    command: str = ""
    started: str = ""
    finished: str = ""


class Manifest(BaseModel):
    """Contents of `manifest.json`: schema, method, tool versions, artefacts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    method: str
    run: str
    artefacts: tuple[Artefact, ...]
    tool_versions: dict[str, str] = {}


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to a temporary name beside `path`, flush it to disk, rename it.

    Raises:
        EnvironmentUnfit: the disk is full or the folder cannot be written; `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise EnvironmentUnfit(
            f"cannot write it: {error.strerror}",
            where=str(path),
            hint=f"df -h {path.parent}; or give --runs DIR on another disk",
        ) from error


def measure_file(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file, read once."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _regular_files(tree: Path, folders: list[Path] | None = None) -> Iterator[Path]:
    """Every regular file below `tree`; its directories are added to `folders`."""
    for folder, directories, names in os.walk(tree):
        directories.sort()
        if folders is not None:
            folders += (Path(folder, name) for name in directories if not Path(folder, name).is_symlink())
        for name in names:
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def measure_tree(tree: Path, listing: list[bytes] | None = None) -> tuple[int, str, int]:
    """Total size, SHA-256 of the sorted lines `SHA256  SIZE  PATH`, and number of the regular files below `tree`.

    Links are not followed and not counted.

    Args:
        listing: gets a line per directory and regular file, a JSON array `[path, type, size, sha256]` as in a
            `FilesInventory`, sorted bytewise by path.
    """
    lines: list[bytes] = []
    total = 0
    folders: list[Path] = []
    entries: list[tuple[bytes, bytes]] = []
    for path in _regular_files(tree, folders):
        size, sha256 = measure_file(path)
        total += size
        entries.append(_list_entry(path.relative_to(tree), "file", size, sha256))
        lines.append(f"{sha256}  {size}  ".encode() + os.fsencode(path.relative_to(tree).as_posix()))
    if listing is not None:
        entries += (_list_entry(path.relative_to(tree), "dir", 0, "") for path in folders)
        listing += (line for _, line in sorted(entries))
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line + b"\0")
    return total, digest.hexdigest(), len(lines)


def _list_entry(path: Path, kind: str, size: int, sha256: str) -> tuple[bytes, bytes]:
    name = path.as_posix()
    return os.fsencode(name), f"{json.dumps([name, kind, size, sha256])}\n".encode("ascii")


def measure(
    folder: Path, artefact_path: str, kind: Literal["file", "tree"], listing: list[bytes] | None = None
) -> tuple[int, str, int]:
    """Size, SHA-256 and file count of an artefact as it lies on disk; `listing` as in `measure_tree`.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = folder / artefact_path
    if kind == "tree":
        if not path.is_dir():
            raise FileNotFoundError(path)
        return measure_tree(path, listing)
    size, sha256 = measure_file(path)
    return size, sha256, 1


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Complete a backup set: write its manifest."""
    write_atomically(folder / MANIFEST, _render(manifest))


def _render(manifest: Manifest) -> str:
    return manifest.model_dump_json(indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read a set's manifest.

    Raises:
        EnvironmentUnfit: there is none, or it cannot be read as one.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EnvironmentUnfit("no manifest: this is not a complete backup set", where=str(folder)) from error
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EnvironmentUnfit(f"the manifest cannot be read: {str(error).splitlines()[0]}", where=str(path)) from error


class ArtefactState(BaseModel):
    """An artefact as found just before the restore, beside what the manifest says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    expected_size: int
    found_size: int | None
    expected_sha256: str
    found_sha256: str | None

    @property
    def intact(self) -> bool:
        return self.found_sha256 == self.expected_sha256 and self.found_size == self.expected_size


def verify_set(
    folder: Path, artefacts: Sequence[Artefact], keep: Callable[[Artefact, list[bytes]], None] | None = None
) -> tuple[ArtefactState, ...]:
    """Measure every listed artefact again, one state each; a missing one has None for what was found.

    Args:
        keep: gets the listing of each tree that is, byte for byte, what the backup wrote.
    """
    states = []
    for artefact in artefacts:
        listing: list[bytes] = []
        try:
            size, sha256, _ = measure(folder, artefact.path, artefact.kind, listing)
        except FileNotFoundError:
            found: tuple[int | None, str | None] = (None, None)
        else:
            found = (size, sha256)
        state = ArtefactState(
            path=artefact.path,
            expected_size=artefact.size,
            found_size=found[0],
            expected_sha256=artefact.sha256,
            found_sha256=found[1],
        )
        if keep is not None and artefact.kind == "tree" and state.intact:
            keep(artefact, listing)
        states.append(state)
    return tuple(states)


def verify_manifest(folder: Path, manifest: Manifest) -> ArtefactState:
    """The manifest in a set beside the one that the backup wrote, as if it were an artefact.

    Whoever repairs a manifest after a digest failed makes the set agree with itself. What it says is compared, not how
    it is laid out; one that cannot be read is compared as it lies there.
    """
    expected = _render(manifest).encode()
    found: bytes | None
    try:
        found = (folder / MANIFEST).read_bytes()
        found = _render(read_manifest(folder)).encode()
    except FileNotFoundError:
        found = None
    except EnvironmentUnfit:
        pass  # found holds the bytes
    return ArtefactState(
        path=MANIFEST,
        expected_size=len(expected),
        found_size=None if found is None else len(found),
        expected_sha256=hashlib.sha256(expected).hexdigest(),
        found_sha256=None if found is None else hashlib.sha256(found).hexdigest(),
    )
