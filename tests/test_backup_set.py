"""A backup set is what its manifest says, or the difference is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rehearsal.backup_set import (
    Artefact,
    Manifest,
    measure,
    read_manifest,
    verify_manifest,
    verify_set,
    write_atomically,
    write_manifest,
)
from rehearsal.errors import EnvironmentUnfit


@pytest.fixture
def backup(tmp_path: Path) -> tuple[Path, Manifest]:
    (tmp_path / "session-db.sql").write_bytes(b"SELECT 1;\n")
    tree = tmp_path / "file-storage-0" / "storage" / "ab"
    tree.mkdir(parents=True)
    (tree / "ab1").write_bytes(b"one")
    (tree / "ab2").write_bytes(b"two")
    artefacts = []
    for path, kind in (("session-db.sql", "file"), ("file-storage-0/storage", "tree")):
        size, sha256, files = measure(tmp_path, path, kind)  # type: ignore[arg-type]
        artefacts.append(
            Artefact.model_validate({"path": path, "kind": kind, "size": size, "sha256": sha256, "files": files})
        )
    manifest = Manifest(method="kubectl-copy", run="r", artefacts=tuple(artefacts))
    write_manifest(tmp_path, manifest)
    return tmp_path, manifest


def broken(folder: Path, manifest: Manifest) -> list[str]:
    return [state.path for state in verify_set(folder, manifest.artefacts) if not state.intact]


def test_a_whole_set_is_intact(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    assert read_manifest(folder) == manifest
    assert broken(folder, manifest) == []


def test_one_flipped_byte_is_found(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    (folder / "session-db.sql").write_bytes(b"SELECT 2;\n")
    assert broken(folder, manifest) == ["session-db.sql"]


def test_two_files_of_a_tree_that_swap_contents_are_found(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    tree = folder / "file-storage-0" / "storage" / "ab"
    (tree / "ab1").rename(tree / "x")
    (tree / "ab2").rename(tree / "ab1")
    (tree / "x").rename(tree / "ab2")
    assert broken(folder, manifest) == ["file-storage-0/storage"]


def test_a_missing_artefact_is_found(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    (folder / "session-db.sql").unlink()
    (state, _) = verify_set(folder, manifest.artefacts)
    assert (state.found_size, state.found_sha256, state.intact) == (None, None, False)


def test_a_set_without_manifest_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="not a complete backup set"):
        read_manifest(tmp_path)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema_version": 1, "met')
    with pytest.raises(EnvironmentUnfit, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.json"
    write_atomically(target, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentUnfit, match="No space left on device"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_manifest_made_anew_over_a_damaged_artefact_is_found(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    assert verify_manifest(folder, manifest).intact
    (folder / "session-db.sql").write_bytes(b"SELECT 2;\n")
    size, sha256, files = measure(folder, "session-db.sql", "file")
    damaged = manifest.artefacts[0].model_copy(update={"size": size, "sha256": sha256, "files": files})
    write_manifest(folder, manifest.model_copy(update={"artefacts": (damaged, *manifest.artefacts[1:])}))
    state = verify_manifest(folder, manifest)
    assert (state.path, state.intact) == ("manifest.json", False)


def test_a_manifest_laid_out_otherwise_is_the_same_manifest(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    (folder / "manifest.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    assert verify_manifest(folder, manifest).intact


def test_a_manifest_that_is_cut_or_missing_is_found(backup: tuple[Path, Manifest]) -> None:
    folder, manifest = backup
    (folder / "manifest.json").write_text(manifest.model_dump_json()[:40], encoding="utf-8")
    assert not verify_manifest(folder, manifest).intact
    (folder / "manifest.json").unlink()
    state = verify_manifest(folder, manifest)
    assert (state.found_size, state.intact) == (None, False)
