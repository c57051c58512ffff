"""Nothing is read, written, moved or removed outside the folder, and a file is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.builtin_backup.safe_folder import SafeFolder
from rehearsal.errors import EnvironmentUnfit, RehearsalError

UNSAFE = ["/etc/passwd", "../x", "a/../../x", "a//b", "", "a/./b", "a\0b", ".."]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[SafeFolder]:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(b"outside")
    before = set(os.listdir("/proc/self/fd"))
    with SafeFolder(tmp_path / "inside") as made:
        yield made
    assert set(os.listdir("/proc/self/fd")) == before  # nothing stays open


def test_a_file_is_written_measured_read_moved_and_removed(tmp_path: Path, folder: SafeFolder) -> None:
    big = os.urandom(3 << 20)
    assert folder.write("a/b/c", iter([big, b"end"])) == len(big) + 3
    assert folder.size("a/b/c") == len(big) + 3
    assert b"".join(folder.read("a/b/c")) == big + b"end"
    folder.move("a/b/c", "d/e")
    assert folder.size("a/b/c") is None
    assert (tmp_path / "inside/d/e").read_bytes() == big + b"end"
    folder.move("d/e", "top")
    assert folder.names() == ("a", "d", "top")
    folder.remove("a")
    folder.remove("top")
    folder.remove("top")
    assert folder.names() == ("d",)
    assert not folder.exists("a/b")
    assert folder.exists("d")
    assert folder.size("d") is None


def test_a_directory_that_was_removed_can_be_filled_again(folder: SafeFolder) -> None:
    folder.write("a/x", [b"1"])
    folder.remove("a")
    folder.write("a/x", [b"2"])
    assert b"".join(folder.read("a/x")) == b"2"


@pytest.mark.parametrize("path", UNSAFE)
def test_unsafe_paths_are_refused(tmp_path: Path, folder: SafeFolder, path: str) -> None:
    folder.write("ok", [b"1"])
    for call in (
        lambda: folder.write(path, [b"x"]),
        lambda: folder.size(path),
        lambda: folder.exists(path),
        lambda: list(folder.read(path)),
        lambda: folder.remove(path),
        lambda: folder.move("ok", path),
        lambda: folder.move(path, "ok2"),
    ):
        with pytest.raises(RehearsalError, match="unsafe path"):
            call()
    assert folder.names() == ("ok",)


def test_no_link_is_followed(tmp_path: Path, folder: SafeFolder) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "inside/link").symlink_to(outside)
    (tmp_path / "inside/file").symlink_to(outside / "f")
    folder.write("ok", [b"1"])
    assert folder.size("link/f") is None
    assert folder.size("file") is None
    assert not folder.exists("link/f")
    for call in (
        lambda: folder.write("link/new", [b"x"]),
        lambda: list(folder.read("link/f")),
        lambda: list(folder.read("file")),
        lambda: folder.move("ok", "link/ok"),
        lambda: folder.move("file", "elsewhere"),
        lambda: folder.remove("link/f"),
    ):
        with pytest.raises(RehearsalError):
            call()
    assert folder.write("file", [b"mine"]) == 4  # the link itself is replaced
    folder.remove("link")
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"f": b"outside"}
    assert folder.names() == ("file", "ok")


def test_a_folder_removed_is_removed_without_what_its_links_lead_to(tmp_path: Path, folder: SafeFolder) -> None:
    folder.write("a/x", [b"1"])
    (tmp_path / "inside/a/link").symlink_to(tmp_path / "outside")
    folder.remove("a")
    assert folder.names() == ()
    assert (tmp_path / "outside/f").exists()


def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path: Path, folder: SafeFolder) -> None:
    os.mkfifo(tmp_path / "inside/pipe")
    assert folder.size("pipe") is None
    with pytest.raises(RehearsalError, match="no regular file"):
        list(folder.read("pipe"))


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, folder: SafeFolder) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise RehearsalError("the source failed")

    folder.write("a/old", [b"old"])
    with pytest.raises(RehearsalError, match="the source failed"):
        folder.write("a/old", chunks())
    assert os.listdir(tmp_path / "inside/a") == ["old"]
    assert b"".join(folder.read("a/old")) == b"old"


def test_a_new_file_may_be_closed_by_whom_it_was_lent_to(tmp_path: Path, folder: SafeFolder) -> None:
    kept, dropped = folder.create("kept"), folder.create("dropped")
    for file in (kept, dropped):
        file.write(b"x")
        file.close()
    assert folder.size("kept") is None
    kept.keep()
    kept.discard()
    dropped.discard()
    assert os.listdir(tmp_path / "inside") == ["kept"]


def test_a_full_disk_is_the_environments_fault(folder: SafeFolder) -> None:
    with folder.create("x") as file:
        os.dup2(full := os.open("/dev/full", os.O_WRONLY), file.fileno())
        os.close(full)
        with pytest.raises(EnvironmentUnfit, match="No space left") as caught:
            file.write(b"x" * (1 << 20))
        assert "df -h" in caught.value.hint
    assert folder.names() == ()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentUnfit, match="cannot open the folder"):
        SafeFolder(tmp_path / "file/below")
    with pytest.raises(EnvironmentUnfit, match="cannot open the folder"):
        SafeFolder(tmp_path / "absent", make=False)
    assert not (tmp_path / "absent").exists()
