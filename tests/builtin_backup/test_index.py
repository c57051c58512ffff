"""The index keeps memory flat, whatever the number of lines, and tells the same whatever the order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal.builtin_backup.index import FoundPackage, Index
from rehearsal.builtin_backup.listing import ListedFile

NAME = "file-storage-0_2026-01-15T01:10:00Z"
DIGEST = "ab" * 64

PROGRAMME = """
import resource, sys, tempfile
from pathlib import Path
from rehearsal.builtin_backup.index import FoundPackage, Index
from rehearsal.builtin_backup.listing import ListedFile

count = int(sys.argv[1])
name, digest = "file-storage-0_2026-01-15T01:10:00Z", "ab" * 64
paths = (f"{n & 255:02x}/{n:032x}" for n in range(count))
with tempfile.TemporaryDirectory() as folder:
    index = Index(Path(folder))
    index.add_packages(0, (FoundPackage(f"{n & 255:02x}/{n:032x}.lz4", 7, digest, 5, digest) for n in range(count)))
    index.finish_packages()
    index.load("lines", (ListedFile(p, 5, digest, p + ".lz4", 7, digest, name) for p in paths))
    index.match({name: [0]})
    assert next(index.find_mismatches(), None) is None
    assert next(index.find_unlisted(), None) is None
    assert next(index.find_repeated_lines(), None) is None
    assert index.count(0).read == count
    index.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def line(path: str, name: str = NAME, sha512: str = DIGEST) -> ListedFile:
    return ListedFile(path, 5, DIGEST, f"{path}.lz4", 7, sha512, name)


def package(path: str, sha512: str | None = DIGEST) -> FoundPackage:
    return FoundPackage(f"{path}.lz4", 7, sha512, 5, DIGEST)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


def measure(count: int) -> int:
    """The most memory, kB, that this many packages and lines took."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMME, str(count)], capture_output=True, text=True, check=True, timeout=300
    )
    return int(done.stdout)


def test_memory_does_not_grow_with_lines() -> None:
    few, many = measure(30_000), measure(240_000)
    assert many - few < 60_000, (few, many)  # the cache of 32 MB; the rows alone would take 240 MB more


def test_the_first_holder_that_has_it_is_taken(index: Index) -> None:
    index.add_packages(3, [package("a", "cd" * 64)])
    index.add_packages(5, [package("a")])
    index.finish_packages()
    for allowed, wrong in (([3, 5], 3), ([5, 3], None), ([9, 5, 3], None), ([9], 0)):
        index.load("lines", [line("a")])
        index.match({NAME: allowed})
        found = [mismatch.holder for mismatch in index.find_mismatches()]
        assert found == ([] if wrong is None else [wrong])


def test_a_package_that_was_not_read_is_no_mismatch_unless_its_size_is_wrong(index: Index) -> None:
    index.add_packages(0, [FoundPackage("a.lz4", 7), FoundPackage("b.lz4", 8)])
    index.finish_packages()
    index.load("lines", [line("a"), line("b")])
    index.match({NAME: [0]})
    assert [mismatch.line.path for mismatch in index.find_mismatches()] == ["b"]
    assert (index.count(0).found, index.count(0).read) == (2, 0)


def test_digests_are_compared_whatever_their_case(index: Index) -> None:
    index.add_packages(0, [package("a", DIGEST.upper())])
    index.finish_packages()
    index.load("lines", [line("a")])
    index.match({NAME: [0]})
    assert list(index.find_mismatches()) == []


def test_repeats_left_out_and_unlisted(index: Index) -> None:
    index.add_packages(0, [package("a"), package("a"), package("b"), package("b", "cd" * 64), package("c")])
    index.finish_packages()
    index.load("lines", [line("a"), line("a"), line("b"), line("b", sha512="cd" * 64)])
    index.load("others", [line("b")])
    index.match({NAME: [0]})
    assert list(index.find_repeated_lines()) == [("a", 2, True), ("b", 2, False)]
    assert list(index.find_repeated_packages()) == [(0, "a.lz4", 2, True), (0, "b.lz4", 2, False)]
    assert list(index.find_left_out("lines", "others")) == ["a", "a"]
    assert list(index.find_unlisted()) == [(0, "c.lz4")]


def test_names_that_are_no_utf8_are_told_escaped(index: Index) -> None:
    index.add_packages(0, [package("a\udcff")])
    index.finish_packages()
    index.load("lines", [])
    index.match({})
    assert list(index.find_unlisted()) == [(0, "a\\xff.lz4")]
