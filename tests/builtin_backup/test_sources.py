"""A folder as a source: every regular file but those of a running backup, and nothing through a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.builtin_backup.sources import FolderSource, SourceFile
from rehearsal.errors import EnvironmentUnfit


def test_what_is_listed_and_read(tmp_path: Path) -> None:
    for path, content in {"ab/ab12": b"one", "cd/cd34": b"", "orphan/x": b"o", "backup/t": b"t", "z": b"z"}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "ab/backup").mkdir()
    (tmp_path / "ab/backup/y").write_bytes(b"not the backup's own")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("ab")
    (tmp_path / "ab/file-link").symlink_to("ab12")
    source = FolderSource(tmp_path)
    assert list(source.list_files()) == [
        SourceFile("ab/ab12", 3),
        SourceFile("ab/backup/y", 20),
        SourceFile("cd/cd34", 0),
        SourceFile("orphan/x", 1),
        SourceFile("z", 1),
    ]
    paths = ["z", "gone", "cd/cd34", "link/ab12", "ab/file-link", "ab/ab12"]
    assert {path: b"".join(chunks) for path, chunks in source.read(paths)} == {
        "z": b"z",
        "cd/cd34": b"",
        "ab/ab12": b"one",
    }


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="no such folder to back up"):
        FolderSource(tmp_path / "storage")
