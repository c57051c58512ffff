"""Listings of a tree at both ends of a copy, made by the pod's own command and by us."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rehearsal.clusters import tree_listing

NAMES = ["plain", "with space", "quo'te\"", "new\nline", "back\\slash", "-dash", "\u00fcml\U0001f600", "x" * 255]


def run(command: tuple[str, ...], cwd: Path, names: bytes = b"") -> dict[bytes, bytes]:
    out = cwd / ".listing"
    with out.open("wb") as stream:
        subprocess.run(command, cwd=cwd, stdout=stream, input=names, check=True)
    return tree_listing.read_listing(out)


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    tree = tmp_path / "storage"
    for folder in ("ab", "c d"):
        (tree / folder).mkdir(parents=True)
        for name in NAMES:
            (tree / folder / name).write_bytes(os.urandom(50))
    (tree / "empty").mkdir()
    (tree / "zero").touch()
    (tree / "link").symlink_to("zero")
    return tmp_path


def test_both_ends_list_alike(pod: Path) -> None:
    ours, size = tree_listing.list_here(pod / "storage")
    assert len(ours) == 2 * len(NAMES) + 1
    assert size == 2 * len(NAMES) * 50
    assert run(tree_listing.list_all("storage"), pod) == ours
    assert run(tree_listing.list_given("storage"), pod, b"".join(name + b"\0" for name in ours)) == ours
    assert tree_listing.name_differences(ours, ours) == ()
    assert run(tree_listing.list_given("storage"), pod) == {}


def test_a_single_file_is_listed_too(pod: Path) -> None:
    (pod / "one").write_bytes(b"1")
    for name in ("one", "storage/ab/with space"):
        ours, _ = tree_listing.list_here(pod / name)
        assert run(tree_listing.list_all(name), pod) == ours
        assert len(ours) == 1


def test_differences_are_named(pod: Path) -> None:
    theirs = run(tree_listing.list_all("storage"), pod)
    (pod / "storage" / "zero").write_bytes(b"x")
    (pod / "storage" / "ab" / "plain").unlink()
    (pod / "storage" / "more").touch()
    ours, _ = tree_listing.list_here(pod / "storage")
    assert tree_listing.name_differences(theirs, ours) == (
        "'./ab/plain' is not here",
        "'./more' is not in the pod",
        "'./zero' differs",
    )
    assert tree_listing.name_differences(theirs, {})[-1] == f"and {len(theirs) - 5} more"
    assert tree_listing.summarise(theirs, 1) != tree_listing.summarise(ours, 1)
