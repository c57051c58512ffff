"""Lines in their temporary database: none twice, who gives which, and what became of each, also while they are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rehearsal.builtin_backup.listing import ListedFile
from rehearsal.builtin_backup.wanted_lines import WantedLines

OLD, NEW = "file-storage-0_2026-01-15T01:10:00.123456789Z", "file-storage-0_2026-01-16T01:10:00.123456789Z"


def make_line(number: int, backup_name: str = NEW) -> ListedFile:
    path = f"aa/{number}"
    return ListedFile(path, number, f"{number:0128x}", f"{path}.lz4", number + 9, f"{number + 1:0128x}", backup_name)


@pytest.fixture
def lines() -> WantedLines:
    """2,500 lines, every fifth packed by the older backup."""
    wanted = WantedLines()
    for number in range(2500):
        assert wanted.add(make_line(number, NEW if number % 5 else OLD))
    return wanted


def test_a_line_comes_back_as_it_was() -> None:
    wanted = WantedLines()
    line = ListedFile("ä b/\udcff", 1 << 62, "a" * 128, "ä b/\udcff.lz4.gpg", 0, "0" * 128, OLD)
    wanted.add(line)
    assert list(wanted.missing()) == [line]


def test_no_path_and_no_package_twice(lines: WantedLines) -> None:
    assert not lines.add(replace(make_line(7), package_path="other.lz4"))
    assert not lines.add(replace(make_line(7), path="other"))
    assert (lines.has_path("aa/7"), lines.has_path("other")) == (True, False)
    assert lines.backup_names() == [OLD, NEW]


def test_a_holder_gives_what_is_pending_and_fits(lines: WantedLines) -> None:
    pending = lines.pending(OLD)
    packages = [("aa/5.lz4", 14), ("aa/10.lz4", 1), ("aa/6.lz4", 15), ("aa/none.lz4", 1)]
    assert pending.give_by_size(0, packages) == 1  # another size, another backup's, nobody's
    pending.give_by_digest(1, [make_line(5, OLD), make_line(10, OLD), replace(make_line(15), package_sha512="f" * 128)])
    assert (list(lines.held(0)), list(lines.held(1))) == (["aa/5.lz4"], ["aa/10.lz4"])
    pending.take_back(1, [make_line(10, OLD), replace(make_line(5), package_sha512="f" * 128)])
    assert list(lines.held(1)) == ["aa/10.lz4"]
    pending.take_back(1, [replace(make_line(10), package_sha512="f" * 128)])
    assert not lines.held(1)
    assert len(list(lines.missing())) == 2499
    pending.give_all(1)
    assert not pending
    assert lines.pending(NEW)
    assert (len(lines.held(0)), len(lines.held(1))) == (1, 499)
    assert {line.backup_name for line in lines.missing()} == {NEW}


def test_lines_may_be_marked_while_they_are_read(lines: WantedLines) -> None:
    lines.pending(NEW).give_all(3)
    held = lines.held(3)
    sizes = []
    for number, (path, line) in enumerate(held.items()):
        assert held.see(path) == 0
        if number % 2:
            sizes.append(line.size)
            held.mark_kept(path, line.size)
            held.mark_read(path, "")
    assert (len(held), len(sizes)) == (2000, 1000)
    assert held.count_kept() == (1000, sum(sizes))
    assert [held.is_good(f"aa/{number}.lz4") for number in (sizes[0], 1, 0)] == [True, False, False]
    held.mark_read("aa/1.lz4", "cut")
    assert list(held.faults()) == [("aa/1", "cut")]
    left = [line.path for line in held.not_given()]
    assert (len(left), "aa/1" in left) == (999, False)
    held.mark_read("aa/1.lz4", "")
    assert (list(held.faults()), held.is_good("aa/1.lz4")) == ([], True)


def test_how_often_a_package_was_seen_counts_by_turn(lines: WantedLines) -> None:
    lines.pending(NEW).give_all(3)
    held = lines.held(3)
    assert [held.see("aa/1.lz4") for _ in range(3)] == [0, 1, 2]
    held.forget_seen()
    assert held.see("aa/1.lz4") == 0
    assert ("aa/1.lz4" in held, "aa/0.lz4" in held) == (True, False)
    with pytest.raises(KeyError):
        held["aa/0.lz4"]
