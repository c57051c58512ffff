"""Operators on the trees of files in the backup set: one file, one folder or one replica's tree.

The manifest is made anew over the damaged tree, so that only the restored files can tell; the finding must name the
path. Where the name says "seen in the set" the manifest is left alone and the set's own check must name the tree.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from rehearsal.tampering.operators import Strike, operator
from rehearsal.tampering.sets import find_artefact, lost_files, name_artefact, remake_manifest

Damage = Callable[[Path, Random, int], str]
"""Damages a tree; the path within it that a finding must name, "" when there was nothing to damage."""

# Chipster's identifiers are random (UUID version 4); a mark's name follows from its value (version 5).
_UPLOADED = re.compile(r"[0-9a-f]{2}/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}")


def is_upload(path: str) -> bool:
    """Whether a path below `storage` is a user's file; the nonce lies among them and is none."""
    return _UPLOADED.fullmatch(path) is not None


def list_uploads(tree: Path, least: int = 1) -> list[str]:
    """Paths of the users' files of `least` bytes or more, sorted; the nonce lies among them and is left out."""
    return [
        path.relative_to(tree).as_posix()
        for path in sorted(tree.glob("??/*"))
        if is_upload(path.relative_to(tree).as_posix()) and not path.is_symlink() and path.stat().st_size >= least
    ]


def damage_tree(name: str, *, why: str, seen_in_set: bool = False) -> Callable[[Damage], Damage]:
    """Register a damage to one lost replica's tree; `seen_in_set`: once more with the manifest left alone."""

    def register(damage: Damage) -> Damage:
        loses = ("file-storage",)

        @operator(name, why=why, moment="after backup", area="backup set", checks="files", loses=loses)
        def strike_both(strike: Strike) -> str:
            store = strike.draw.choice(lost_files(strike.stage))
            piece = damage(find_artefact(strike.stage, store), strike.draw, strike.intensity)
            remake_manifest(strike.stage)
            return f"{store.name}: {piece}" if piece else ""

        if seen_in_set:

            @operator(
                f"{name}, seen in the set",
                why=why,
                moment="after backup",
                area="backup set",
                checks="backup-set",
                loses=loses,
                differs="set",
            )
            def strike_tree(strike: Strike) -> str:
                store = strike.draw.choice(lost_files(strike.stage))
                tree = find_artefact(strike.stage, store)
                return name_artefact(strike.stage, store) if damage(tree, strike.draw, strike.intensity) else ""

        return damage

    return register


def _draw_files(tree: Path, draw: Random, count: int, least: int = 1) -> list[str]:
    found = list_uploads(tree, least)
    return draw.sample(found, min(count, len(found)))


@damage_tree(
    "a file missing from the set",
    why="a copy that skipped what it could not read, and said so among thousands of lines",
)
def remove_file(tree: Path, draw: Random, intensity: int) -> str:
    files = _draw_files(tree, draw, intensity)
    for path in files:
        (tree / path).unlink()
    return files[0] if files else ""


@damage_tree(
    "a file of the set truncated",
    why="kubectl cp can end early (kubernetes/kubernetes#60140): the file is there, its end is not",
)
def truncate_file(tree: Path, draw: Random, intensity: int) -> str:
    files = _draw_files(tree, draw, intensity)
    for path in files:
        os.truncate(tree / path, draw.randrange((tree / path).stat().st_size))
    return files[0] if files else ""


@damage_tree(
    "a file of the set with other bytes, of equal size",
    why="BackupArchive checks packages by size alone, Chipster's own check names and sizes (facts, trap 11, and 5)",
    seen_in_set=True,
)
def change_file(tree: Path, draw: Random, intensity: int) -> str:
    files = _draw_files(tree, draw, intensity)
    for path in files:
        with (tree / path).open("r+b") as stream:
            stream.seek(draw.randrange((tree / path).stat().st_size))
            byte = stream.read(1)
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ (1 << draw.randrange(8))]))
    return files[0] if files else ""


@damage_tree(
    "a link in the place of a file of the set",
    why="a tool that saves space by linking files it takes for equal; kubectl cp skips links without a word "
    "(kubernetes/kubernetes#40869)",
)
def link_file(tree: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001 - one link
    files = _draw_files(tree, draw, 2)
    if len(files) < 2:
        return ""
    linked, target = files
    (tree / linked).unlink()
    (tree / linked).symlink_to(Path("..", target))
    return linked


@damage_tree(
    "a name of the set in upper case",
    why="a set that lay on a file system without case (SMB, macOS, exFAT) comes back under other names",
)
def change_case(tree: Path, draw: Random, intensity: int) -> str:
    files = [path for path in _draw_files(tree, draw, intensity + 8) if path.upper() != path][:intensity]
    for path in files:
        (tree / path).rename((tree / path).with_name(Path(path).name.upper()))
    return files[0] if files else ""


@damage_tree(
    "two files of the set swapped",
    why="a copy in parallel that mixed up two streams: as many files, the same bytes in all, each under a wrong name",
)
def swap_files(tree: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001 - one pair
    files = _draw_files(tree, draw, 2)
    if len(files) < 2 or (tree / files[0]).read_bytes() == (tree / files[1]).read_bytes():
        return ""
    one, other = (tree / path for path in files)
    aside = tree / ".aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return files[0]


@damage_tree(
    "a folder missing from the set",
    why="one of 256 two-digit folders that a copy by folder left out; 255 came back",
)
def remove_folder(tree: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001 - one folder
    files = _draw_files(tree, draw, 1)
    if not files:
        return ""
    shutil.rmtree((tree / files[0]).parent)
    return files[0]


@damage_tree(
    "an empty folder missing from the set",
    why="S3 and git know no empty folders; digests over files cannot tell, and the set's own are such",
)
def remove_empty_folder(tree: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001 - one folder
    empty = [path for path in sorted(tree.iterdir()) if path.is_dir() and not any(path.iterdir())]
    if not empty:
        return ""
    folder = draw.choice(empty)
    folder.rmdir()
    return folder.name


@damage_tree(
    "a replica's tree missing from the set",
    why="the manual's command copies file-storage-0; a second replica is nobody's command",
    seen_in_set=True,
)
def remove_tree(tree: Path, draw: Random, intensity: int) -> str:  # noqa: ARG001 - one tree
    entries = sorted(os.listdir(os.fsencode(tree)))
    if not entries:
        return ""
    shutil.rmtree(tree)
    return os.fsdecode(entries[0])
