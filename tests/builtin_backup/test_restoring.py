"""What comes out of a backup, and that everything else is named: missing, broken, or barred."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import lz4.frame
import pytest
from archived_storage import Archived, flip, make_tar, read_tar
from quick_seals import QuickOpener, QuickSealer, moment, read_tree

from rehearsal.builtin_backup import wanted_lines
from rehearsal.builtin_backup.folder_places import ArchiveFolder
from rehearsal.builtin_backup.names import BackupName
from rehearsal.builtin_backup.opened import Opened
from rehearsal.builtin_backup.reading import Package
from rehearsal.builtin_backup.restoring import open_dump, restore_files
from rehearsal.builtin_backup.writer import write_database_backup
from rehearsal.errors import EnvironmentUnfit, StreamError

A, B, C = {"aa/a": b"1" * 50}, {"bb/b": b"2" * 60}, {"cc/c": b"3" * 70}


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path)


def rewrite(archived: Archived, name: BackupName, change: Callable[[dict[str, bytes]], object]) -> None:
    """Change the members of a backup's tar."""
    members = read_tar(archived.tar(name))
    change(members)
    archived.tar(name).write_bytes(make_tar(*members.items()))


def test_each_broken_file_is_named_and_the_others_come_back(archived: Archived) -> None:
    files = {f"aa/{word}": word.encode() * 30 for word in ("good", "flipped", "cut", "gone", "empty", "other", "junk")}
    name = archived.back_up(1, files)

    def damage(members: dict[str, bytes]) -> None:
        members["aa/flipped.lz4.gpg"] = flip(members["aa/flipped.lz4.gpg"])
        members["aa/cut.lz4.gpg"] = members["aa/cut.lz4.gpg"][:-9]
        members["aa/empty.lz4.gpg"] = b""
        members["aa/other.lz4.gpg"] = lz4.frame.compress(b"OTHER" * 30)
        members["aa/junk.lz4.gpg"] = b"x" * len(members["aa/junk.lz4.gpg"])
        del members["aa/gone.lz4.gpg"]

    rewrite(archived, name, damage)
    out = archived.folder / "out"
    restored = restore_files([archived.bucket], name, QuickOpener(), out)
    assert restored.missing == ("aa/gone",)
    assert restored.reasons == (f"{archived.folder}/bucket/{name} should hold it, and does not",)
    assert dict(restored.broken) == {
        "aa/flipped": "not lz4",
        "aa/cut": "not lz4",
        "aa/empty": "not lz4",
        "aa/other": "its package has another SHA-512 than listed",
        "aa/junk": "not lz4",
    }
    tree = read_tree(out)
    assert set(tree) == {"aa/good", "aa/other"}  # those that could be opened
    assert tree["aa/good"] == files["aa/good"]
    assert tree["aa/other"] == b"OTHER" * 30
    assert (restored.files, restored.bytes) == (2, sum(map(len, tree.values())))
    assert not restored.whole


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (1, "49", "it has 50 bytes, 49 are listed"),
        (2, "0" * 128, "it has another SHA-512 than listed"),
        (4, "7", "bytes, 7 are listed"),
        (5, "0" * 128, "its package has another SHA-512 than listed"),
    ],
)
def test_every_figure_of_a_line_is_held_against_the_file(
    archived: Archived, column: int, value: str, what: str
) -> None:
    name = archived.back_up(1, A)
    info = archived.folder / f"bucket/{name}/backup-info"
    columns = info.read_text().rstrip("\n").split("\t")
    columns[column] = value
    info.write_text("\t".join(columns) + "\n")
    restored = restore_files([archived.bucket], name, QuickOpener(), archived.folder / "out")
    ((path, told),) = restored.broken
    assert (path, restored.missing, restored.files) == ("aa/a", (), 1)
    assert told.endswith(what)


def test_of_two_packages_of_one_name_the_right_one_is_written(archived: Archived) -> None:
    name = archived.back_up(1, A | B)
    members = read_tar(archived.tar(name))
    wrong = ("aa/a.lz4.gpg", lz4.frame.compress(b"wrong"))
    for members_in_order in ([wrong, *members.items()], [*members.items(), wrong]):
        archived.tar(name).write_bytes(make_tar(*members_in_order))
        shutil.rmtree(archived.folder / "out", ignore_errors=True)
        restored = restore_files([archived.bucket], name, QuickOpener(), archived.folder / "out")
        assert restored.whole, restored
        assert restored.files == 2
        assert read_tree(archived.folder / "out") == A | B


def test_a_cut_tar_gives_what_it_has(archived: Archived) -> None:
    name = archived.back_up(1, A | B | C)
    archived.tar(name).write_bytes(archived.tar(name).read_bytes()[:1100])
    restored = restore_files([archived.bucket], name, QuickOpener(), archived.folder / "out")
    assert read_tree(archived.folder / "out") == A
    assert set(restored.missing) | {path for path, _ in restored.broken} == {"bb/b", "cc/c"}


def test_nothing_is_written_through_a_link_or_over_a_directory(archived: Archived) -> None:
    name = archived.back_up(1, A | B | C | {"d": b"4"})
    outside, out = archived.folder / "outside", archived.folder / "out"
    outside.mkdir()
    out.mkdir()
    (outside / "c").write_bytes(b"mine")
    (out / "aa").symlink_to(outside)
    (out / "cc").mkdir()
    (out / "cc/c").symlink_to(outside / "c")
    (out / "d").mkdir()
    restored = restore_files([archived.bucket], name, QuickOpener(), out)
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"c": b"mine"}
    broken = dict(restored.broken)
    assert broken.keys() == {"aa/a", "d"}
    assert "nothing is written through it" in broken["aa/a"]
    assert "a directory is in the way" in broken["d"]
    assert (out / "cc/c").read_bytes() == C["cc/c"]
    assert not (out / "cc/c").is_symlink()
    assert sorted(path.name for path in out.iterdir()) == ["aa", "bb", "cc", "d"]  # nothing half written stays


def test_a_file_that_is_there_is_replaced(archived: Archived) -> None:
    name = archived.back_up(1, A)
    (archived.folder / "out/aa").mkdir(parents=True)
    (archived.folder / "out/aa/a").write_bytes(b"an older and longer one" * 9)
    assert restore_files([archived.bucket], name, QuickOpener(), archived.folder / "out").whole
    assert read_tree(archived.folder / "out") == A


def test_what_is_wrong_with_the_list_is_broken_even_where_the_file_comes_back(archived: Archived) -> None:
    name = archived.back_up(1, A)
    info = archived.folder / f"bucket/{name}/backup-info"
    info.write_text(info.read_text() * 2 + "x\n")
    restored = restore_files([archived.bucket], name, QuickOpener(), archived.folder / "out")
    assert restored.broken == (("aa/a", "listed twice; the first line is taken"), ("line 3", "1 columns, not 7"))
    assert (restored.files, restored.whole) == (1, False)


def test_a_file_of_an_archive_that_cannot_be_read_is_broken_alone(archived: Archived) -> None:
    name = archived.back_up(1, A | B)
    archived.run(1)

    class BadDisk(ArchiveFolder):
        def read(self, key: str) -> Iterator[bytes]:
            if key.endswith("aa/a.lz4.gpg"):
                raise EnvironmentUnfit("cannot read it: Input/output error", where=key)
            return super().read(key)

    class Careful(QuickOpener):  # a cut package is told, as the real one does
        def open_all(
            self, packages: Iterable[Package], sink: Callable[[Package], IO[bytes] | None] = lambda _: None
        ) -> Iterator[Opened]:
            for package in packages:
                try:
                    data = b"".join(package.chunks())
                except StreamError as error:
                    yield Opened(package.path, 0, "", 0, "", f"cut: {error.what}")
                else:
                    whole = replace(package, chunks=lambda data=data: iter([data]))  # type: ignore[misc]
                    yield from super().open_all([whole], sink)

    restored = restore_files([BadDisk(archived.archive.path)], name, Careful(), archived.folder / "out")
    ((path, what),) = restored.broken
    assert path == "aa/a"
    assert "Input/output error" in what
    assert read_tree(archived.folder / "out") == B


def test_a_full_disk_stops_it_and_leaves_nothing_half_written(archived: Archived) -> None:
    name = archived.back_up(1, A | B)

    class Full(QuickOpener):
        def open_all(
            self, packages: Iterable[Package], sink: Callable[[Package], IO[bytes] | None] = lambda _: None
        ) -> Iterator[Opened]:
            for package in packages:
                sink(package)
                raise EnvironmentUnfit("cannot write it: No space left on device")
            yield from ()

    with pytest.raises(EnvironmentUnfit, match="No space left"):
        restore_files([archived.bucket], name, Full(), archived.folder / "out")
    assert read_tree(archived.folder / "out") == {}


def test_a_dump(archived: Archived) -> None:
    dump = b"-- PostgreSQL database dump\n" * 5000
    name = write_database_backup(
        archived.bucket, QuickSealer(), role="session-db", dump=[dump[:9], dump[9:]], nanoseconds=moment(1)
    )
    target = archived.folder / "new/session-db.sql"
    restored = open_dump([archived.bucket], name, QuickOpener(), target)
    assert (restored.whole, restored.files, restored.bytes) == (True, 1, len(dump))
    assert target.read_bytes() == dump
    archived.run(1)
    assert open_dump([archived.archive], name, QuickOpener(), target).whole
    info = archived.folder / f"bucket/{name}/backup-info"
    info.write_text(info.read_text().replace(f"{name}.sql\t", "other.sql\t", 1))
    target.unlink()
    restored = open_dump([archived.bucket], name, QuickOpener(), target)
    assert restored.missing == (f"{name}.sql",)
    ((path, what),) = restored.broken
    assert path == "other.sql"
    assert f"not the dump of this backup, which is {name}.sql" in what
    assert not target.exists()
    info.write_text("")
    assert open_dump([archived.bucket], name, QuickOpener(), target).missing == (f"{name}.sql",)


@pytest.mark.parametrize("seed", range(8))
def test_no_damage_goes_unnamed(archived: Archived, seed: int) -> None:
    """Whatever is done to an archive, a file either comes out as it was or is named."""
    chance = random.Random(seed)  # noqa: S311
    files = {f"{n % 3}{n % 5}/{n}": chance.randbytes(chance.choice((0, 3, 900))) for n in range(40)}
    name = archived.back_up(1, files)
    archived.run(1)
    packages = sorted((archived.folder / f"backup-archive/{name}").rglob("*.gpg"))
    hurt = chance.sample(packages, 8)
    for package in hurt:
        data = package.read_bytes()
        kind = chance.randrange(5)
        if kind == 0:
            package.unlink()
        elif kind == 1:
            package.write_bytes(data[: chance.randrange(len(data))])
        elif kind == 2:
            package.write_bytes(data + b"more")
        elif kind == 3:
            at = chance.randrange(len(data))
            package.write_bytes(data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :])
        else:
            package.unlink()
            package.symlink_to("/etc/hostname")
    out = archived.folder / "out"
    restored = restore_files([archived.archive], name, QuickOpener(), out)
    named = {*restored.missing, *dict(restored.broken)}
    start = archived.folder / f"backup-archive/{name}"
    assert named == {package.relative_to(start).as_posix().removesuffix(".lz4.gpg") for package in hurt}
    tree = read_tree(out)
    assert {path: tree[path] for path in files if path not in named} == {
        path: content for path, content in files.items() if path not in named
    }


def test_a_full_disk_under_the_list_is_one_clear_error(archived: Archived, monkeypatch: pytest.MonkeyPatch) -> None:
    name = archived.back_up(1, A)
    monkeypatch.setattr(wanted_lines, "_SCHEMA", f"PRAGMA max_page_count = 2;{wanted_lines._SCHEMA}")
    with pytest.raises(EnvironmentUnfit, match=r"(?s)temporary database cannot be written: .*full.*next: df -h"):
        restore_files([archived.bucket], name, QuickOpener(), archived.folder / "out")
