"""Any tree comes back equal from its tar, and any single change of it is seen and named.

Names with blanks, line breaks, bytes that are no UTF-8, up to 255 bytes; empty files and folders, links, modes; copied
as the manual does (`tar cf - storage | tar xf -`). What one way of listing a directory saw (Python, or GNU tools) is
compared with what the other sees.
"""

# ruff: noqa: PTH101, PTH103, PTH104, PTH108, PTH120, PTH123, PTH211 - names are bytes

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from examples import few
from hypothesis import event, given, note
from hypothesis import strategies as st
from pod_folder import PodFolder

from rehearsal.differences import compare_files
from rehearsal.inventory import Difference, FilesInventory
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.shell import Shell

AS_ROOT = os.geteuid() == 0
LONGEST = 255

HARD_NAMES = (
    b" ",
    b"a b",
    b"line\nbreak",
    b"\xff\xfe",
    b"\t",
    b"-rf",
    b"*",
    b"\\n",
    b"'\"",
    b".hidden",
    b"x" * LONGEST,
)
NAMES = st.sampled_from(HARD_NAMES) | st.binary(min_size=1, max_size=12).map(
    lambda name: name.translate(None, b"/\0").lstrip(b".") or b"a"
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join).filter(lambda path: not path.startswith(b"lost+found"))


class Long(bytes):
    """One byte many times, told in short where an example fails: Hypothesis warns of long words, which is an error here
    and would stand in the failure's place."""

    def __repr__(self) -> str:
        return f"{self[:1]!r} * {len(self)}"


CONTENTS = st.sampled_from([b"", Long(b"\0" * 70_000), Long(b"x" * 4096)]) | st.binary(max_size=40)
FILE_MODES = st.sampled_from([0o644, 0o600, 0o755, 0o444, 0o4755, *([0o000] if AS_ROOT else [])])
FOLDER_MODES = st.sampled_from([0o755, 0o700, 0o775, 0o1777])


@dataclass(frozen=True)
class Entry:
    """`kind`: `file`, `dir` or `link`; `content`: the bytes, or where a link leads."""

    kind: str
    content: bytes = b""
    mode: int = 0o755


ENTRIES = (
    st.builds(Entry, st.just("file"), CONTENTS, FILE_MODES)
    | st.builds(Entry, st.just("dir"), st.just(b""), FOLDER_MODES)
    | st.builds(Entry, st.just("link"), st.sampled_from([b"..", b"nowhere", b"a b", b"\xff\n", b"/etc/passwd"]))
)


def keep_possible(drawn: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """Only folders have entries below them."""
    return {
        path: entry
        for path, entry in drawn.items()
        if not any(above in drawn and drawn[above].kind != "dir" for above in folders_above(path))
    }


def folders_above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:number]) for number in range(1, len(parts))]


TREES = st.dictionaries(PATHS, ENTRIES, max_size=8).map(keep_possible)


def plant(pod: PodFolder, tree: dict[bytes, Entry]) -> None:
    root = os.fsencode(pod.storage)
    for path, entry in sorted(tree.items()):
        place = root + b"/" + path
        os.makedirs(place if entry.kind == "dir" else os.path.dirname(place), exist_ok=True)
        if entry.kind == "file":
            pod.put(path, entry.content, entry.mode)
        elif entry.kind == "link":
            os.symlink(entry.content, place)
    for path, entry in sorted(tree.items(), reverse=True):
        if entry.kind == "dir":
            os.chmod(root + b"/" + path, entry.mode)


@dataclass(frozen=True)
class Mutation:
    """One change of the entry at `path`; `make` gets its place."""

    name: str
    path: bytes
    make: Callable[[bytes], None]


@st.composite
def mutations(draw: st.DrawFn, tree: dict[bytes, Entry]) -> Mutation:
    """Any single change of a planted tree."""
    path = draw(st.sampled_from([b"", *sorted(tree)]))
    if not path:
        return Mutation("add", b"new one", lambda place: Path(os.fsdecode(place)).touch())
    entry = tree[path]
    possible = {"file": ("append", "mode", "delete", "link", "rename", "owner"), "link": ("delete", "rename", "owner")}
    kinds = possible.get(entry.kind, ("mode", "delete", "rename", "owner"))
    kind = draw(st.sampled_from(kinds + (("content", "truncate") if entry.content and entry.kind == "file" else ())))
    return Mutation(kind, path, lambda place: CHANGES[kind](place, entry))


@contextmanager
def open_for_change(place: bytes, mode: int) -> Iterator[BinaryIO]:
    """A file whose content alone changes: its owner may have to open it first, and writing takes setuid off."""
    os.chmod(place, mode | 0o200)
    with open(place, "r+b") as stream:
        yield stream
    os.chmod(place, mode)


def change_content(place: bytes, entry: Entry) -> None:
    with open_for_change(place, entry.mode) as stream:
        stream.write(bytes([entry.content[0] ^ 1]))


def append(place: bytes, entry: Entry) -> None:
    with open_for_change(place, entry.mode) as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(b"\0")


def truncate(place: bytes, entry: Entry) -> None:
    with open_for_change(place, entry.mode) as stream:
        stream.truncate(len(entry.content) - 1)


def change_mode(place: bytes, entry: Entry) -> None:
    os.chmod(place, entry.mode ^ 0o010)


def delete(place: bytes, entry: Entry) -> None:
    if entry.kind == "dir":
        shutil.rmtree(place)
    else:
        os.unlink(place)


def turn_into_a_link(place: bytes, entry: Entry) -> None:
    os.unlink(place)
    os.symlink(b"elsewhere", place)


def rename(place: bytes, entry: Entry) -> None:
    os.rename(place, os.path.dirname(place) + b"/another " + hashlib.sha256(place).hexdigest().encode())


def change_owner(place: bytes, entry: Entry) -> None:
    if AS_ROOT:
        os.chown(place, 4321, -1, follow_symlinks=False)
    else:
        delete(place, entry)


CHANGES: dict[str, Callable[[bytes, Entry], None]] = {
    "content": change_content,
    "append": append,
    "truncate": truncate,
    "mode": change_mode,
    "delete": delete,
    "link": turn_into_a_link,
    "rename": rename,
    "owner": change_owner,
}


@st.composite
def changed_trees(draw: st.DrawFn) -> tuple[dict[bytes, Entry], list[Mutation]]:
    """A tree, and changes none of which lies below another."""
    tree = draw(TREES)
    drawn = draw(st.lists(mutations(tree), min_size=1, max_size=5, unique_by=lambda change: change.path))
    paths = {change.path for change in drawn}
    return tree, [change for change in drawn if not paths.intersection(folders_above(change.path))]


def differences(before: FilesInventory, after: FilesInventory, folder: Path) -> list[Difference]:
    return list(compare_files(before, after, folder, limit=1000).named)


@few(12)
@given(changed_trees(), st.booleans())
def test_a_tar_restores_equal_and_any_change_is_named(
    drawn: tuple[dict[bytes, Entry], list[Mutation]], listed_by_tools: bool
) -> None:
    tree, changes = drawn
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        journal = Journal(folder / "journal.jsonl")
        pod = PodFolder(folder, journal)
        plant(pod, tree)
        before = pod.look("before")
        copy_tree(pod, journal)
        pod.has_python = not listed_by_tools
        store = pod.store()
        assert differences(before, store.take_inventory("after"), folder) == []
        for change in changes:
            note(f"{change.name} {change.path!r}")
            event(change.name)
            change.make(os.fsencode(pod.storage) + b"/" + change.path)
        found = {one.subject for one in differences(before, store.take_inventory("after"), folder)}
        assert {name_path(change.path) for change in changes} <= found
        journal.close()


def name_path(path: bytes) -> str:
    """A path as a difference names it."""
    name = path.decode("utf-8", "backslashreplace")
    return name if len(name) <= 200 else f"{name[:200]}…"


def copy_tree(pod: PodFolder, journal: Journal) -> None:
    """`tar cf - storage | tar xf -`, into an empty directory that takes the old one's place."""
    restored = pod.folder / "restored"
    restored.mkdir()
    Shell(journal).run(
        Process(("tar", "cf", "-", "storage"), cwd=pod.cwd), Process(("tar", "xpf", "-"), cwd=restored), accept=(0,)
    )
    (pod.cwd / "storage").rename(pod.folder / "old")
    (restored / "storage").rename(pod.storage)
