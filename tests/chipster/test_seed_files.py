"""The tar stream against what the descriptions promise, read back with Python's own tarfile."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from itertools import pairwise

import pytest
from seed_server import describe_all

from rehearsal.chipster.files import COMPLETE, UPLOADING, Contents, StoredFile, describe_file
from rehearsal.chipster.plan import Plan
from rehearsal.chipster.seeding import Seed
from rehearsal.errors import UsageError

# Of the whole stream of seed 1, size s. A change means that every set made from a seed so far is another one: when that
# is wanted, copy the new value from the failing test.
GOLDEN_TAR = "14418f5795b21c6ffe0c70b408e31ae7299955365979da34e57e46c5404cbdd3"


def read_tar(seed: Seed, replica: int) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    stream = io.BytesIO(b"".join(seed.tar_stream(replica)))
    members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            assert member.name not in members
            content = tar.extractfile(member) if member.isfile() else None
            members[member.name] = member, content.read() if content else b""
    return members


@pytest.fixture(scope="module")
def members() -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    return read_tar(Seed(1, "s"), 0)


def test_the_stream_is_golden() -> None:
    digest = hashlib.sha256()
    for chunk in Seed(1, "s").tar_stream(0):
        digest.update(chunk)
    assert digest.hexdigest() == GOLDEN_TAR


def test_another_number_gives_other_files(members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    other = {name for name, (member, _) in read_tar(Seed(2, "s"), 0).items() if member.isfile()}
    assert len(other) == 500
    assert not other & members.keys()


def test_every_file_is_there_with_its_size_and_nothing_else(
    members: dict[str, tuple[tarfile.TarInfo, bytes]],
) -> None:
    promised = {file.path: file.stored for file in describe_all(Plan.of(1, "s", 1))}
    found = {name: len(content) for name, (member, content) in members.items() if member.isfile()}
    assert found == promised
    assert sorted(name for name, (member, _) in members.items() if member.isdir()) == [
        f"storage/{folder:02x}" for folder in range(256)
    ]
    assert len(members) == 256 + 500


def test_folders_come_first_and_some_stay_empty(members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    assert [member.isdir() for member, _ in members.values()] == [True] * 256 + [False] * 500
    used = {name.split("/")[1] for name, (member, _) in members.items() if member.isfile()}
    unused = Plan.of(1, "s", 1).unused_folders
    assert len(unused) == 4
    assert not used & unused
    assert all(name.split("/")[1] == name.split("/")[2][:2] for name, (member, _) in members.items() if member.isfile())


def test_unused_folders_stay_empty_where_chance_would_fill_them() -> None:
    plan = Plan.of(1, "m", 1)
    used = {describe_file(plan, index).file_id[:2] for index in range(8_000)}
    assert len(used) == 252
    assert not used & plan.unused_folders


def test_headers(members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    described = {file.path: file for file in describe_all(Plan.of(1, "s", 1))}
    for name, (member, _) in members.items():
        assert (member.uid, member.gid, member.uname, member.gname) == (1000, 1000, "", "")
        assert member.mode == (0o755 if member.isdir() else 0o644)
        if member.isfile():
            assert member.mtime == 1546300800 + described[name].created // 1_000_000


def test_no_two_files_are_alike(members: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    digests = Counter(hashlib.sha256(content).digest() for member, content in members.values() if member.isfile())
    assert set(digests.values()) == {1}
    assert len(digests) == 500


def test_files_of_one_size_differ_in_every_piece() -> None:
    contents = Contents(Plan.of(1, "s", 1))
    ids = ("11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000")
    size = (3 << 20) + 5
    first, second = (b"".join(contents.pieces(StoredFile(0, id_, size, size, COMPLETE, 0))) for id_ in ids)
    assert len(first) == len(second) == size
    cuts = [*range(0, size, 1 << 20), size]
    pieces = [whole[start:end] for whole in (first, second) for start, end in pairwise(cuts)]
    assert len(set(pieces)) == len(pieces) == 8


def test_the_odd_sizes_are_there() -> None:
    files = describe_all(Plan.of(1, "s", 1))
    sizes = Counter(file.size for file in files)
    assert sizes[0] == 1
    assert {1, 511, 512, 513, 8_192, 65_537, 1 << 20, (1 << 20) + 1, 8 << 20} <= sizes.keys()
    assert sum(file.size < 3_000 for file in files) > 300
    uploads = [file for file in files if file.state == UPLOADING]
    assert len(uploads) == 2
    assert all(0 < file.stored < file.size for file in uploads)
    assert all(file.stored == file.size for file in files if file.state == COMPLETE)


def test_replicas_share_the_files_out() -> None:
    seed = Seed(1, "s", file_replicas=3)
    parts = [
        {name: content for name, (member, content) in read_tar(seed, replica).items() if member.isfile()}
        for replica in range(3)
    ]
    whole = {name: content for name, (member, content) in read_tar(Seed(1, "s"), 0).items() if member.isfile()}
    assert [len(part) for part in parts] == [167, 167, 166]
    assert parts[0] | parts[1] | parts[2] == whole
    for replica, part in enumerate(parts):
        assert seed.file_counts(replica) == {"files": len(part), "bytes": sum(map(len, part.values()))}


@pytest.mark.parametrize(("size", "files", "lowest", "highest"), [("s", 500, 15e6, 35e6), ("m", 20_000, 0.9e9, 1.2e9)])
def test_sizes_are_about_what_they_are_called(size: str, files: int, lowest: float, highest: float) -> None:
    counts = Seed(3, size).file_counts(0)  # type: ignore[arg-type]
    assert counts["files"] == files
    assert lowest < counts["bytes"] < highest


def test_the_stream_ends_as_tar_wants_and_comes_in_bounded_chunks() -> None:
    chunks = list(Seed(1, "s").tar_stream(0))
    assert max(map(len, chunks)) <= (1 << 20) + (256 << 10)
    assert min(map(len, chunks[:-1])) >= 256 << 10
    whole = b"".join(chunks)
    assert len(whole) % 10_240 == 0
    assert whole[-1_024:] == bytes(1_024)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(UsageError, match="no seed of size 'xl'"):
        Seed(1, "xl")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one file-storage replica or more, found 0"):
        Seed(1, "s", file_replicas=0)
    with pytest.raises(UsageError, match="replicas 0 to 0, found 1"):
        Seed(1, "s").tar_stream(1)
