"""The stand-in writes what the real service would: keys, groups, lines, and its known holes."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from quick_seals import QuickOpener, QuickSealer, moment, read_tree

from rehearsal.builtin_backup import writer
from rehearsal.builtin_backup.folder_places import FolderBucket
from rehearsal.builtin_backup.listing import ListedFile, read_listing
from rehearsal.builtin_backup.names import BackupName, make_name
from rehearsal.builtin_backup.restoring import restore_files
from rehearsal.builtin_backup.sources import FolderSource, SourceFile
from rehearsal.builtin_backup.writer import latest_archived, write_database_backup, write_files_backup
from rehearsal.errors import RehearsalError

FILES = "file-storage-0"
NAME = f"{FILES}_2026-01-15T01:10:00.123456789Z"
MIB = 1 << 20


class Memory:
    """A source in memory: what each reading in turn finds; the last one stays."""

    def __init__(self, *readings: dict[str, bytes], listed: dict[str, int] | None = None) -> None:
        self.readings = list(readings)
        self.listed = listed or {path: len(content) for path, content in readings[0].items()}

    def list_files(self) -> Iterable[SourceFile]:
        return [SourceFile(path, size) for path, size in self.listed.items()]

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        files = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        for path in paths:
            if path in files:
                yield path, iter([files[path]])


class Loud(FolderBucket):
    """Remembers in what order objects were written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.written: list[str] = []

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        self.written.append(key)
        return super().write(key, chunks)


@pytest.fixture
def bucket(tmp_path: Path) -> Loud:
    (tmp_path / "bucket").mkdir()
    return Loud(tmp_path / "bucket")


def back_up(bucket: Loud, source: Memory, sealer: QuickSealer | None = None, **more: object) -> BackupName:
    return write_files_backup(
        bucket,
        source,
        sealer or QuickSealer(),
        storage_id=FILES,
        nanoseconds=moment(1),
        **more,  # type: ignore[arg-type]
    )


def read_lines(bucket: Loud, name: object) -> dict[str, ListedFile]:
    lines = {}
    for line in read_listing(bucket.read(f"{name}/backup-info")):
        assert isinstance(line, ListedFile)
        lines[line.path] = line
    return lines


def read_tar(bucket: Loud, key: str) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(bucket.read(key)))) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
    return found


def test_keys_members_and_lines(bucket: Loud) -> None:
    noise = random.Random(1).randbytes(MIB)  # noqa: S311
    files = {"ab/ab12": b"one" * 700, "cd/cd34": b"", "ef/ef56": noise[:-1], "ef/ef78": noise}
    name = back_up(bucket, Memory(files))
    assert str(name) == NAME
    assert bucket.written == [
        f"{NAME}/storage/backup/_medium_files.tar",
        f"{NAME}/storage/backup/_small_files.tar",
        f"{NAME}/backup-info",
    ]
    small = read_tar(bucket, f"{NAME}/storage/backup/_small_files.tar")
    medium = read_tar(bucket, f"{NAME}/storage/backup/_medium_files.tar")
    assert set(small) == {"ab/ab12.lz4.gpg", "cd/cd34.lz4.gpg", "ef/ef56.lz4.gpg"}
    assert set(medium) == {"ef/ef78.lz4.gpg"}
    lines = read_lines(bucket, name)
    for path, content in files.items():
        package = (small | medium)[f"{path}.lz4.gpg"]
        assert lines[path] == ListedFile(
            path,
            len(content),
            hashlib.sha512(content).hexdigest(),
            f"{path}.lz4.gpg",
            len(package),
            hashlib.sha512(package).hexdigest(),
            NAME,
        )


def test_groups_go_by_the_number_of_files_that_are_packed(bucket: Loud) -> None:
    files = {f"{n % 16:x}0/{n % 16:x}{n:05d}": b"%d" % n for n in range(501)}
    name = back_up(bucket, Memory(files))
    assert bucket.written == [f"{NAME}/storage/backup/{digit:x}_small_files.tar" for digit in range(16)] + [
        f"{NAME}/backup-info"
    ]
    archived = [line for path, line in read_lines(bucket, name).items() if path != "00/000000"]
    bucket.written.clear()
    back_up(bucket, Memory(files), archived=archived)
    assert bucket.written == [f"{NAME}/storage/backup/_small_files.tar", f"{NAME}/backup-info"]


def test_a_large_file_has_a_tar_of_its_own(bucket: Loud) -> None:
    back_up(bucket, Memory({"ab/ab12": b"x", "cd/cd34": b"y"}, listed={"ab/ab12": 1 << 30, "cd/cd34": (1 << 30) - 1}))
    assert bucket.written[:2] == [
        f"{NAME}/storage/backup/_medium_files.tar",
        f"{NAME}/storage/backup/ab12.tar",
    ]


def test_an_incremental_goes_by_path_and_size_alone(bucket: Loud) -> None:
    old = {"aa/same": b"same", "aa/swapped": b"abcd", "aa/grown": b"1", "aa/deleted": b"d"}
    archived = list(read_lines(bucket, back_up(bucket, Memory(old))).values())
    new = {"aa/same": b"same", "aa/swapped": b"dcba", "aa/grown": b"12", "aa/new": b"n"}
    sealer = QuickSealer()
    name = write_files_backup(bucket, Memory(new), sealer, storage_id=FILES, nanoseconds=moment(2), archived=archived)
    assert sorted(sealer.packed) == ["aa/grown", "aa/new"]
    lines = read_lines(bucket, name)
    assert {path: line.backup_name for path, line in lines.items()} == {
        "aa/same": NAME,
        "aa/swapped": NAME,  # another content of the same size: the real one does not notice either
        "aa/grown": str(name),
        "aa/new": str(name),
    }
    assert lines["aa/same"] in archived
    assert lines["aa/swapped"] in archived


def test_an_unchanged_storage_makes_a_list_and_no_tar(bucket: Loud) -> None:
    archived = read_lines(bucket, back_up(bucket, Memory({"aa/a": b"1"}))).values()
    bucket.written.clear()
    name = write_files_backup(
        bucket, Memory({"aa/a": b"1"}), QuickSealer(), storage_id=FILES, nanoseconds=moment(2), archived=archived
    )
    assert bucket.written == [f"{name}/backup-info"]
    empty = write_files_backup(bucket, Memory({}), QuickSealer(), storage_id=FILES, nanoseconds=moment(3))
    assert b"".join(bucket.read(f"{empty}/backup-info")) == b""


@pytest.mark.parametrize(
    ("before", "after", "packed"), [(".lz4", ".lz4", 1), (".lz4", ".lz4.gpg", 1), (".lz4.gpg", ".lz4", 0)]
)
def test_without_encryption_an_archived_file_is_never_recognised(
    bucket: Loud, before: str, after: str, packed: int
) -> None:
    archived = read_lines(bucket, back_up(bucket, Memory({"aa/a": b"1"}), QuickSealer(before))).values()
    assert [line.package_path for line in archived] == [f"aa/a{before}"]
    sealer = QuickSealer(after)
    back_up(bucket, Memory({"aa/a": b"1"}), sealer, archived=archived)
    assert len(sealer.packed) == packed


def test_a_file_that_grows_between_hash_and_pack_is_listed_as_it_was_hashed(tmp_path: Path, bucket: Loud) -> None:
    name = back_up(bucket, Memory({"aa/log": b"old", "aa/x": b"x"}, {"aa/log": b"old and new", "aa/x": b"x"}))
    line = read_lines(bucket, name)["aa/log"]
    assert (line.size, line.sha512) == (3, hashlib.sha512(b"old").hexdigest())
    restored = restore_files([bucket], name, QuickOpener(), tmp_path / "out")
    assert restored.broken == (("aa/log", "it has 11 bytes, 3 are listed"),)
    assert restored.missing == ()
    assert read_tree(tmp_path / "out") == {"aa/log": b"old and new", "aa/x": b"x"}


def test_files_deleted_meanwhile_are_left_out_and_told(bucket: Loud) -> None:
    told: list[str] = []
    listed = {"aa/a": 1, "aa/b": 1, "aa/c": 1}
    name = back_up(bucket, Memory({"aa/a": b"1", "aa/b": b"2"}, {"aa/a": b"1"}, listed=listed), tell=told.append)
    assert list(read_lines(bucket, name)) == ["aa/a"]
    assert told == [f"'aa/{gone}' is left out: it was deleted during the backup" for gone in "bc"]


def test_names_that_no_list_can_hold_are_left_out_and_told(bucket: Loud) -> None:
    told: list[str] = []
    files = {"aa/tab\t": b"1", "aa/line\n": b"1", "aa/cr\r": b"1", "aa/\udcff": b"1", "../out": b"1", "aa/ünï": b"1"}
    name = back_up(bucket, Memory(files), tell=told.append)
    assert list(read_lines(bucket, name)) == ["aa/ünï"]
    assert len(told) == 5
    assert "'aa/tab\\t' is left out: the list has no way to write its name" in told


def test_a_source_that_hands_over_something_else_is_an_error(bucket: Loud) -> None:
    class Wrong(Memory):
        def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
            yield "aa/a", iter([b"1"])
            yield "aa/a", iter([b"1"])

    with pytest.raises(RehearsalError, match="not asked for"):
        back_up(bucket, Wrong({"aa/a": b"1"}))
    assert f"{NAME}/backup-info" not in bucket.written  # never complete


def test_a_source_that_mixes_the_groups_is_an_error(bucket: Loud) -> None:
    class Mixed(Memory):
        def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
            yield from reversed(list(super().read(paths)))

    with pytest.raises(RehearsalError, match="in another order"):
        back_up(bucket, Mixed({"aa/a": b"1", "bb/b": bytes(MIB)}))
    assert f"{NAME}/backup-info" not in bucket.written


@pytest.mark.parametrize(("limit", "most"), [("_FILES_TOGETHER", 200), ("_BYTES_TOGETHER", 600)])
def test_groups_are_read_together_up_to_a_number_of_files_and_bytes(
    limit: str, most: int, bucket: Loud, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted(Memory):
        def read(self, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
            asked.append(len(paths))
            return super().read(paths)

    asked: list[int] = []
    files = {f"{n % 16:x}0/{n % 16:x}{n:035x}": b"xyz" for n in range(640)}  # 16 groups of 40
    monkeypatch.setattr(writer, limit, most)
    name = back_up(bucket, Counted(files))
    assert set(read_lines(bucket, name)) == set(files)
    assert len(bucket.written) == 16 + 1
    assert asked == [200, 200, 200, 200, 200, 200, 40, 40]  # to hash, and again to pack


def test_a_dump(bucket: Loud) -> None:
    name = write_database_backup(
        bucket, QuickSealer(), role="session-db", dump=iter([b"-- dump\n", b"-- end\n"]), nanoseconds=moment(1)
    )
    text = "session-db-db-backup_2026-01-15T01:10:00.123456789Z"
    assert str(name) == text
    assert bucket.written == [f"{text}/db-backups/{text}/{text}.tar", f"{text}/backup-info"]
    (line,) = read_lines(bucket, name).values()
    assert (line.path, line.package_path, line.size) == (f"{text}.sql", f"{text}.sql.lz4.gpg", 15)
    assert line.sha512 == hashlib.sha512(b"-- dump\n-- end\n").hexdigest()
    assert set(read_tar(bucket, bucket.written[0])) == {f"{text}.sql.lz4.gpg"}


def test_without_encryption_there_is_no_database_backup(bucket: Loud) -> None:
    with pytest.raises(RehearsalError, match="no backup of any database") as caught:
        write_database_backup(bucket, QuickSealer(".lz4"), role="auth", dump=[b"x"], nanoseconds=moment(1))
    assert "backup-gpg-public-key" in caught.value.hint
    assert bucket.written == []


def test_the_latest_archive_info_counts_by_time_and_storage(bucket: Loud) -> None:
    digest = "0" * 128

    def put(name: BackupName, path: str) -> None:
        bucket.write(f"{name}/archive-info", [f"{path}\t1\t{digest}\t{path}.lz4.gpg\t9\t{digest}\t{name}\n".encode()])

    assert latest_archived(bucket, FILES) == ()
    put(make_name(FILES, 1_777_511_400_000_000_000), "aa/old")
    put(make_name(FILES, 1_777_511_400_500_000_000), "aa/new")  # as text it sorts before the other
    put(make_name("file-storage-1", moment(300)), "aa/other")
    back_up(bucket, Memory({"aa/not-archived": b"1"}))
    assert [line.path for line in latest_archived(bucket, FILES)] == ["aa/new"]
    bucket.write(f"{make_name(FILES, moment(300))}/archive-info", [b"aa/x\t1\n"])
    with pytest.raises(RehearsalError, match="line 1: 2 columns"):
        latest_archived(bucket, FILES)


@pytest.mark.parametrize("seed", range(6))
def test_any_tree_comes_back(tmp_path: Path, bucket: Loud, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    storage = tmp_path / "storage"
    for number in range(chance.randint(0, 60)):
        folder = storage / "/".join(chance.choice(("ab", "ünï", "with space", "..x", "-")) for _ in range(seed % 4))
        folder.mkdir(parents=True, exist_ok=True)
        content = chance.randbytes(chance.choice((0, 1, 511, 512, 513, 70_000)))
        (folder / f"{number}{chance.choice(('', ' ', '#', '𝄞', 'x' * 200))}").write_bytes(content)
    storage.mkdir(exist_ok=True)
    name = write_files_backup(
        bucket, FolderSource(storage), QuickSealer(), storage_id=FILES, nanoseconds=chance.getrandbits(60)
    )
    restored = restore_files([bucket], name, QuickOpener(), tmp_path / "out")
    assert restored.whole
    assert read_tree(tmp_path / "out") == read_tree(storage)
