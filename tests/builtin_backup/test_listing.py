import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.builtin_backup.listing import BadLine, ListedFile, format_line, is_safe_path, read_listing
from rehearsal.errors import RehearsalError

FILE = ListedFile(
    "ab/ab12", 5, "0a" * 64, "ab/ab12.lz4.gpg", 77, "f1" * 64, "file-storage-0_2026-04-30T01:10:00.123456789Z"
)
LINE = format_line(FILE)


def columns(**changes):
    """The line of FILE with whole columns replaced, by their number."""
    parts = LINE[:-1].split(b"\t")
    for key, value in changes.items():
        parts[int(key[1:])] = value
    return b"\t".join(parts) + b"\n"


def bad(*lines):
    return [(found.number, found.what) for found in read_listing(lines) if isinstance(found, BadLine)]


def test_the_columns_to_the_letter():
    assert LINE == (
        b"ab/ab12\t5\t" + b"0a" * 64 + b"\tab/ab12.lz4.gpg\t77\t" + b"f1" * 64 + b"\t"
        b"file-storage-0_2026-04-30T01:10:00.123456789Z\n"
    )
    assert list(read_listing([LINE])) == [FILE]


@given(st.lists(st.integers(0, 700), max_size=5), st.integers(0, 5))
def test_however_the_bytes_come_in(cuts, count):
    files = [replace(FILE, path=f"ab/ä{number}") for number in range(count)]
    text = b"".join(map(format_line, files))
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[start:end] for start, end in pairwise(edges)]
    assert list(read_listing(chunks)) == files


def test_an_empty_list():
    assert list(read_listing([])) == list(read_listing([b""])) == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"\n", "1 columns"),
        (b"a\tb\n", "2 columns"),
        (LINE[:-1] + b"\textra\n", "8 columns"),
        (columns(_0=b""), "unsafe path"),
        (columns(_0=b"/etc/passwd"), "unsafe path"),
        (columns(_0=b"a/../../b"), "unsafe path"),
        (columns(_3=b"../x.lz4"), "unsafe path of a package"),
        (columns(_3=b"a//b"), "unsafe path of a package"),
        (columns(_0=b"a" * 300), "unsafe path"),
        (columns(_1=b""), "no number"),
        (columns(_1=b"-1"), "no number"),
        (columns(_1=b"1_0"), "no number"),
        (columns(_4=b" 5"), "no number"),
        (columns(_4=b"9" * 30), "no number"),
        (columns(_1=b"9223372036854775808"), "no file has"),
        (columns(_4=b"9" * 19), "no file has"),
        (columns(_1="٣".encode()), "no number"),
        (columns(_2=b"0a" * 63), "128 hex"),
        (columns(_5=b"0g" * 64), "128 hex"),
        (columns(_5=b"0a" * 64 + b"00"), "128 hex"),
        (columns(_6=b"file-storage-0"), "no name of a backup"),
        (LINE[:-1] + b"\r\n", r"no name of a backup: 'file-storage-0_2026-04-30T01:10:00.123456789Z\r'"),
        (columns(_0=b"\xff"), "not UTF-8"),
        (columns(_0=b"a\0b"), "unsafe path"),
        (columns(_0=b"a" * 70_000), "longer than 65536"),
    ],
)
def test_a_bad_line_is_named_and_hides_no_other(line, word):
    found = list(read_listing([LINE + line + LINE]))
    assert found[0] == found[2] == FILE
    assert len(found) == 3
    assert found[1].number == 2
    assert word in found[1].what


@pytest.mark.parametrize("kept", [1, 100, len(LINE) - 2])
def test_a_cut_list(kept):
    found = list(read_listing([LINE, LINE[:kept]]))
    assert found == [FILE, BadLine(2, "the last line has no newline: the list is cut")]


def test_a_list_cut_right_before_a_newline_keeps_its_last_file():
    assert list(read_listing([LINE[:-1]])) == [FILE, BadLine(1, "the last line has no newline: the list is cut")]


def test_digests_in_capitals_are_the_same_digests():
    assert list(read_listing([columns(_2=b"0A" * 64)])) == [FILE]


@pytest.mark.parametrize("path", ["a", "ab/ab12", "a b", "ä", "a..b", "...", "x" * 255, "/".join(["x" * 200] * 20)])
def test_a_safe_path(path):
    assert is_safe_path(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/..", "a/../b", "a\0", "ä" * 128, "/".join(["x" * 200] * 21)],
)
def test_an_unsafe_path(path):
    assert not is_safe_path(path)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb"])
@pytest.mark.parametrize("field", ["path", "package_path", "backup_name"])
def test_a_name_that_would_break_the_list_is_refused(name, field):
    with pytest.raises(RehearsalError, match="a tab or a line break"):
        format_line(replace(FILE, **{field: name}))


def test_a_name_that_is_not_utf8_is_refused():
    with pytest.raises(RehearsalError, match="not UTF-8"):
        format_line(replace(FILE, path="a\udcff"))


def test_memory_does_not_grow_with_the_list():
    def peak(lines):
        tracemalloc.start()
        count = sum(1 for _ in read_listing(LINE * 100 for _ in range(lines // 100)))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == lines
        return top

    assert peak(20_000) < 2 * peak(2_000)


def test_an_endless_line_is_not_held():
    tracemalloc.start()
    found = list(read_listing(b"x" * 65_536 for _ in range(500)))
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(line) for line in found] == [BadLine]
    assert top < 2 << 20
