"""The file store: what its inventory tells apart, both ways of taking it, its marks, its leftovers."""

# ruff: noqa: E501, PTH101, PTH103, PTH104, PTH106, PTH108, PTH109, PTH112, PTH113, PTH114, PTH118, PTH211
# a damage is a line; names are bytes

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_folder import PodFolder

from rehearsal.differences import compare_files
from rehearsal.errors import CommandFailed, EnvironmentUnfit, StreamError
from rehearsal.evidence import verify_lines
from rehearsal.inventory import Differences
from rehearsal.journal import Journal
from rehearsal.stores import tree_lister

ODD_NAMES = [
    b"plain", b"with space", b"tab\there", b"line\nbreak", b'"quoted"', b"back\\slash", b"'single'", b"-dash", b"*",
    "žółć 𝄞".encode(), b"not \xff utf-8", b"\xed\xb3\xbf", b"cr\r", b"bell\x07", b"del\x7f", b"x" * 255, b".hidden", b"a", b"a b",
    b"a-b", b"a.b", b"a0",
]  # fmt: skip


@pytest.fixture(params=[True, False], ids=["python", "tools"])
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PodFolder]:
    journal = Journal(tmp_path / "journal.jsonl")
    yield PodFolder(tmp_path, journal, has_python=request.param)
    journal.close()


def fill(pod: PodFolder) -> None:
    for name in ODD_NAMES:
        pod.put(name, b"content of " + name)
        pod.put(b"ab/" + name, name * 100)
        pod.put(b"deep " + name[:200] + b"/" + name + b"/" + name[:50], b"")
    pod.put("big", os.urandom(3_000_001))
    pod.put("cd/private", b"x", 0o600)
    pod.put("cd/odd", b"x", 0o4755)
    (pod.storage / "empty").mkdir()
    (pod.storage / "link").symlink_to("ab/plain")
    (pod.storage / "broken link").symlink_to("no\nwhere/at all")
    (pod.storage / "loop").symlink_to(".")
    os.mkfifo(pod.storage / "pipe")


def read_lines(pod: PodFolder, moment: str) -> list[list[object]]:
    inventory = pod.look(moment)
    verify_lines(inventory.entry_lines, pod.folder)
    return [json.loads(line) for line in (pod.folder / inventory.entry_lines.path).read_bytes().splitlines()]


def test_every_entry_has_its_line(pod: PodFolder) -> None:
    fill(pod)
    lines = {line[0]: line[1:] for line in read_lines(pod, "before")}
    me = [os.getuid(), os.getgid()]
    expected = {}
    for folder, directories, names in os.walk(os.fsencode(pod.storage)):
        for name in [*directories, *names]:
            path = os.path.join(folder, name)
            key = os.fsdecode(os.path.relpath(path, os.fsencode(pod.storage)))
            if os.path.islink(path):
                expected[key] = ["link", 0, "", "0777", *me, os.fsdecode(os.readlink(path))]
            elif os.path.isdir(path):
                expected[key] = ["dir", 0, "", "0755", *me, ""]
            elif os.path.isfile(path):
                content = Path(os.fsdecode(path)).read_bytes()
                mode = f"{os.lstat(path).st_mode & 0o7777:04o}"
                expected[key] = ["file", len(content), hashlib.sha256(content).hexdigest(), mode, *me, ""]
            else:
                expected[key] = ["other", 0, "", "0644", *me, ""]
    assert lines == expected
    assert len(lines) > 100


def test_lines_are_sorted_by_the_bytes_of_the_path_and_counted(pod: PodFolder) -> None:
    fill(pod)
    inventory = pod.look("before")
    lines = (pod.folder / inventory.entry_lines.path).read_bytes().splitlines()
    paths = [os.fsencode(json.loads(line)[0]) for line in lines]
    assert paths == sorted(paths)
    assert inventory.entry_lines.lines == len(lines)
    kinds = [json.loads(line)[1] for line in lines]
    assert (inventory.files, inventory.directories) == (kinds.count("file"), kinds.count("dir"))
    assert inventory.bytes == sum(json.loads(line)[2] for line in lines)
    assert (inventory.store, inventory.entry_lines.path) == (
        "file-storage-0",
        "inventory/before/file-storage-0/entries",
    )


def test_both_ways_give_the_same_file(tmp_path: Path) -> None:
    pod = PodFolder(tmp_path, Journal(tmp_path / "journal.jsonl"))
    fill(pod)
    (pod.storage / "lost+found").mkdir()
    store = pod.store()
    store.write_mark("nonce", "n")
    with_python = store.take_inventory("python")
    pod.has_python = False
    other = pod.store()  # a store asks once whether its pod has Python
    other.write_mark("nonce", "n")
    with_tools = other.take_inventory("tools")
    assert pod.commands[-1][0] == "sh"
    assert with_python.entry_lines.sha256 == with_tools.entry_lines.sha256
    assert (with_python.files, with_python.directories, with_python.bytes) == (
        with_tools.files, with_tools.directories, with_tools.bytes,
    )  # fmt: skip
    pod.journal.close()


def test_an_empty_directory_has_no_lines(pod: PodFolder) -> None:
    inventory = pod.look("before")
    assert (inventory.entry_lines.lines, inventory.files, inventory.bytes) == (0, 0, 0)
    assert inventory.entry_lines.sha256 == hashlib.sha256(b"").hexdigest()


def test_no_process_a_file(pod: PodFolder) -> None:
    for number in range(300):
        pod.put(f"{number % 16:02x}/{number}", b"x")
    pod.look("before")
    assert len(pod.commands) == 2


DAMAGES: dict[str, tuple[Callable[[PodFolder], object], str, str, str, str]] = {
    "missing": (lambda pod: os.unlink(pod.storage / "ab/1"), "missing", "file", "ab/1", "file, 3 bytes"),
    "extra": (lambda pod: pod.put("ab/3", b"x"), "extra", "file", "ab/3", "file, 1 bytes"),
    "hidden": (lambda pod: pod.put(".hidden", b"x"), "extra", "file", ".hidden", "file, 1 bytes"),
    "flipped": (lambda pod: pod.put("ab/1", b"onE"), "changed", "file", "ab/1", "sha256 differs"),
    "cut": (lambda pod: pod.put("ab/1", b"on"), "changed", "file", "ab/1", "sha256 differs, size 3 → 2"),
    "emptied": (lambda pod: pod.put("ab/1", b""), "changed", "file", "ab/1", "sha256 differs, size 3 → 0"),
    "mode": (lambda pod: os.chmod(pod.storage / "ab/1", 0o600), "changed", "file", "ab/1", "mode 0644 → 0600"),
    "folder's mode": (lambda pod: os.chmod(pod.storage / "cd", 0o700), "changed", "directory", "cd", "mode 0755 → 0700"),
    "folder lost": (lambda pod: os.rmdir(pod.storage / "cd"), "missing", "directory", "cd", "dir"),
    "other target": (lambda pod: (os.unlink(pod.storage / "to"), os.symlink("ab/2", pod.storage / "to")), "changed", "file", "to", "link target differs"),
    "link for file": (lambda pod: (os.rename(pod.storage / "ab/2", pod.folder / "away"), os.symlink(pod.folder / "away", pod.storage / "ab/2")), "changed", "file", "ab/2", "type file → link"),
}  # fmt: skip


if os.getuid() == 0:  # nobody else can give a file away
    DAMAGES["owner"] = (
        lambda pod: os.chown(pod.storage / "ab/1", 4711, 4712),
        "changed",
        "file",
        "ab/1",
        "→ 4711:4712",
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(pod: PodFolder, damage: str) -> None:
    pod.put("ab/1", b"one")
    pod.put("ab/2", b"two")
    (pod.storage / "cd").mkdir()
    (pod.storage / "to").symlink_to("ab/1")
    before = pod.look("before")
    act, kind, aspect, subject, detail = DAMAGES[damage]
    act(pod)
    found = compare_files(before, pod.look("after"), pod.folder)
    assert found.total == 1
    assert (found.named[0].kind, found.named[0].aspect, found.named[0].subject) == (kind, aspect, subject)
    assert detail in found.named[0].detail


def test_other_times_and_holes_are_no_difference(pod: PodFolder) -> None:
    pod.put("ab/1", b"\0" * 300_000 + b"end")
    before = pod.look("before")
    os.truncate(pod.storage / "ab/1", 0)
    with (pod.storage / "ab/1").open("wb") as stream:
        stream.seek(300_000)
        stream.write(b"end")
    os.utime(pod.storage / "ab/1", (1, 1))
    (pod.storage / "lost+found").mkdir(mode=0o700)
    assert compare_files(before, pod.look("after"), pod.folder) == Differences(compared=2)


def test_two_files_that_swap_their_content_are_both_named(pod: PodFolder) -> None:
    pod.put("ab/1", b"one")
    pod.put("ab/2", b"two")
    before = pod.look("before")
    pod.put("ab/1", b"two")
    pod.put("ab/2", b"one")
    found = compare_files(before, pod.look("after"), pod.folder)
    assert [one.subject for one in found.named] == ["ab/1", "ab/2"]


def test_what_lost_and_found_holds_is_listed(pod: PodFolder) -> None:
    pod.put("lost+found/found", b"x")
    assert [line[0] for line in read_lines(pod, "before")] == ["lost+found", "lost+found/found"]


def test_a_file_that_may_not_be_read_is_a_difference_not_an_error(pod: PodFolder, tmp_path: Path) -> None:
    pod.put("ab/1", b"one")
    pod.put("cd/2", b"two")
    if os.getuid() == 0:  # root may read everything
        ours = [folder for folder in tmp_path.parents if folder.name.startswith(("pytest-", "popen-"))]
        for folder in (*ours, tmp_path, pod.cwd):
            folder.chmod(0o755)
        pod.user = (65534, 65534)
    before = pod.look("before")
    (pod.storage / "ab/1").chmod(0)
    (pod.storage / "cd").chmod(0)
    after = pod.look("after")
    (pod.storage / "cd").chmod(0o755)
    found = compare_files(before, after, pod.folder)
    assert [(one.kind, one.subject, one.detail) for one in found.named] == [
        ("changed", "ab/1", "unreadable, mode 0644 → 0000"),
        ("changed", "cd", "mode 0755 → 0000"),
        ("missing", "cd/2", "file, 3 bytes"),
    ]


SPOILS: dict[str, Callable[[bytes], bytes]] = {
    "cut by a byte": lambda output: output[:-1],
    "cut in the trailer": lambda output: output[:-3],
    "cut by lines": lambda output: output[:-5000],
    "a part lost": lambda output: output[:1000] + output[1200:],
    "a byte changed": lambda output: output.replace(b"a", b"b", 1),
    "nothing arrived": lambda output: output[:0],
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_listing_that_arrives_changed_is_an_error(pod: PodFolder, spoil: str) -> None:
    fill(pod)
    pod.spoil = SPOILS[spoil]
    with pytest.raises(StreamError, match="arrived"):
        pod.look("spoiled")
    assert not list(pod.folder.glob("inventory/spoiled/file-storage-0/*"))


def test_a_directory_that_is_not_there_is_an_error(pod: PodFolder) -> None:
    pod.storage.rmdir()
    for ask in (lambda: pod.look("before"), pod.store().leftovers, lambda: pod.store().write_mark("nonce", "n")):
        with pytest.raises(CommandFailed, match="storage"):
            ask()


def test_a_file_that_vanishes_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    buffer = bytearray(tree_lister.CHUNK)
    for size in (2, 4, tree_lister.CHUNK):
        with pytest.raises(tree_lister.Failed, match="changed while it was read"):
            tree_lister.hash_file(b"here", size, buffer, memoryview(buffer))
    with pytest.raises(FileNotFoundError):
        tree_lister.hash_file(b"gone", 3, buffer, memoryview(buffer))
    (tmp_path / "link").symlink_to("here")
    with pytest.raises(OSError, match="symbolic links"):
        tree_lister.hash_file(b"link", 3, buffer, memoryview(buffer))


def test_marks_change_nothing_but_themselves(pod: PodFolder) -> None:
    pod.put("ab/1", b"one")
    pod.put("0f/1", b"one")
    before = pod.look("before")
    store = pod.store()
    nonce = store.write_mark("nonce", "the nonce")
    store.write_mark("marker", "the marker")
    assert nonce.place.split("/")[1] in ("ab", "0f") and nonce.place.count("/") == 2
    assert (pod.cwd / nonce.place).read_bytes() == b"the nonce"
    assert (pod.cwd / nonce.place).stat().st_mode & 0o777 == 0o644
    assert store.take_inventory("after").entry_lines.sha256 == before.entry_lines.sha256
    assert (store.read_mark("nonce"), store.read_mark("marker")) == ("the nonce", "the marker")
    assert pod.store().write_mark("nonce", "the nonce").place == nonce.place
    assert compare_files(before, pod.look("all"), pod.folder).total == 2


def test_a_mark_that_is_repeated_is_one_whole_file_that_no_inventory_sees(pod: PodFolder) -> None:
    for folder in (f"{number:02x}" for number in range(0, 0xF1, 0x10)):
        pod.put(f"{folder}/1", b"one")
    before = pod.look("before")
    store = pod.store()
    with store.repeat_mark("heartbeat") as write:
        place = write("0000000001 now").place
        listings = len([argv for argv in pod.commands if "find" in " ".join(argv)])
        assert write("0000000002 now").place == place
        assert len([argv for argv in pod.commands if "find" in " ".join(argv)]) == listings, "its place is picked once"
    assert place.startswith("storage/f0/"), "in the last folder"
    assert (pod.cwd / place).stat().st_mode & 0o777 == 0o644
    assert store.read_mark("heartbeat") == "0000000002 now"
    assert compare_files(before, pod.look("all"), pod.folder).total == 1
    (pod.cwd / f"{place}.part").write_bytes(b"00000")  # a rename that never came
    assert store.take_inventory("after").entry_lines.sha256 == before.entry_lines.sha256


def test_a_mark_that_is_repeated_in_an_empty_storage_changes_no_inventory(pod: PodFolder) -> None:
    store = pod.store()
    with store.repeat_mark("heartbeat") as write:
        write("1")
    assert store.take_inventory("before").entry_lines.lines == 0
    assert store.read_mark("heartbeat") == "1"


def test_a_mark_in_an_empty_storage_makes_a_folder_that_is_left_out(pod: PodFolder) -> None:
    store = pod.store()
    store.write_mark("nonce", "n")
    assert store.take_inventory("before").entry_lines.lines == 0
    folder = store.write_mark("nonce", "n").place.split("/")[1]
    pod.put(f"{folder}/other", b"x")
    assert store.take_inventory("after").entry_lines.lines == 2


def test_a_mark_that_is_gone_is_none(pod: PodFolder) -> None:
    store = pod.store()
    place = store.write_mark("nonce", "n").place
    (pod.cwd / place).unlink()
    assert store.read_mark("nonce") is None
    (pod.cwd / place).mkdir()
    assert store.read_mark("nonce") is None
    with pytest.raises(EnvironmentUnfit, match="no marker was written"):
        store.read_mark("marker")


def test_the_value_of_a_mark_is_in_no_command(pod: PodFolder) -> None:
    pod.store().write_mark("nonce", "s3cret-nonce")
    assert not any("s3cret" in word for command in pod.commands for word in command)


def test_leftovers(pod: PodFolder) -> None:
    store = pod.store()
    assert store.leftovers() == ()
    (pod.storage / "lost+found").mkdir()
    assert store.leftovers() == ()
    pod.put(".hidden")
    assert store.leftovers() == ("storage/.hidden",)
    pod.put("lost+found/x")
    assert sorted(store.leftovers()) == ["storage/.hidden", "storage/lost+found/x"]
    for number in range(3000):
        (pod.storage / f"{number:0200}").touch()
    assert len(store.leftovers()) == 20


def test_the_seed_is_unpacked(pod: PodFolder) -> None:
    class OneFile:
        def tar_stream(self, replica: int) -> Iterator[bytes]:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as archive:
                member = tarfile.TarInfo("storage/ab/1")
                member.size = 3
                archive.addfile(member, io.BytesIO(b"one"))
            yield out.getvalue()

        def file_counts(self, replica: int) -> dict[str, int]:
            return {"files": 1, "bytes": 3}

    assert pod.store(OneFile()).seed() == {"files": 1, "bytes": 3}
    assert (pod.storage / "ab/1").read_bytes() == b"one"


names = st.binary(min_size=1, max_size=6).filter(lambda name: b"/" not in name and b"\0" not in name)
paths = st.lists(names.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=3).map(b"/".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(paths, max_size=12))
def test_a_walk_is_in_the_order_of_paths(tmp_path_factory: pytest.TempPathFactory, paths: set[bytes]) -> None:
    root = os.fsencode(tmp_path_factory.mktemp("tree"))
    for path in paths:
        os.makedirs(os.path.join(root, path), exist_ok=True)
    expected = {path[:end] for path in paths for end in [*[n for n, c in enumerate(path) if c == ord("/")], len(path)]}
    here = os.getcwd()
    os.chdir(root)
    try:
        assert [path for path, _ in tree_lister.walk(frozenset(), frozenset())] == sorted(expected)
    finally:
        os.chdir(here)
