import io
import os
import stat
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer

from rehearsal.errors import EnvironmentUnfit, RehearsalError, StreamError
from rehearsal.unpacking import UnpackCount, unpack_tar, unpacking

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def member(name, kind=tarfile.REGTYPE, content=b"", mode=0o644, target="", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, target, len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def pack(*members, form=tarfile.GNU_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def folder(name, mode=0o755):
    return member(name, tarfile.DIRTYPE, mode=mode)


def unpack(data, target, **options):
    return unpack_tar(io.BytesIO(data), target, **options)


@pytest.fixture
def target(tmp_path):
    """An empty directory inside another, so that an escape is seen."""
    inner = tmp_path / "outer" / "target"
    inner.mkdir(parents=True)
    return inner


def outside(target):
    return sorted(path.name for path in target.parent.iterdir() if path != target)


NAMES = [
    "plain",
    "two words",
    "new\nline",
    "tab\tquote\"'",
    "ünïcode-\U0001f9ec",
    "\udcff\udcfe not utf-8",
    "-rf",
    "...",
    "x" * 255,
    "/".join(["d" * 200] * 5) + "/" + "f" * 255,
]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_any_name_passes(target, name, form):
    data = pack(member(name, content=b"content"), form=form)
    assert unpack(data, target) == UnpackCount(files=1, bytes=7)
    assert (target / name).read_bytes() == b"content"


@pytest.mark.parametrize("form", FORMATS, ids=["ustar", "gnu", "pax"])
def test_files_directories_and_modes_are_kept(target, form):
    data = pack(
        folder("closed", 0o500),
        member("closed/a", content=b"A" * 3_000_000, mode=0o640),
        folder("empty", 0o2775),
        member("zero", mode=0o400),
        member("set-id", mode=0o6755),
        form=form,
    )
    assert unpack(data, target) == UnpackCount(files=3, directories=2, bytes=3_000_000)
    assert (target / "closed/a").read_bytes() == b"A" * 3_000_000
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")}
    assert modes == {"closed": 0o500, "a": 0o640, "empty": 0o2775, "zero": 0o400, "set-id": 0o755}


def test_times_are_kept(target):
    unpack(pack(member("old", mtime=1_000_000_000)), target)
    assert (target / "old").stat().st_mtime == 1_000_000_000


def test_directories_without_a_member_are_made(target):
    unpack(pack(member("a/b/c", content=b"x")), target)
    assert (target / "a/b/c").read_bytes() == b"x"


def test_what_gnu_tar_made_of_a_tree(target, tmp_path):
    tree = tmp_path / "tree"
    for number in range(300):
        path = tree / f"{number % 16:02x}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 37))
    data = subprocess.run(["tar", "cf", "-", "."], cwd=tree, stdout=subprocess.PIPE, check=True).stdout
    count = unpack(data, target)
    assert count.files == 300
    for path in tree.rglob("*"):
        if path.is_file():
            assert (target / path.relative_to(tree)).read_bytes() == path.read_bytes()


def test_links_that_stay_inside(target):
    data = pack(
        member("a/file", content=b"x"),
        member("a/soft", tarfile.SYMTYPE, target="../a/file"),
        member("hard", tarfile.LNKTYPE, target="a/file"),
    )
    assert unpack(data, target) == UnpackCount(files=1, links=2, bytes=1)
    assert (target / "a/soft").readlink() == Path("../a/file")
    assert (target / "hard").samefile(target / "a/file")


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/passwd", content=b"x"),
        member("../escaped", content=b"x"),
        member("a/../../escaped", content=b"x"),
        member("a/..", tarfile.DIRTYPE),
        member("soft", tarfile.SYMTYPE, target="/etc"),
        member("soft", tarfile.SYMTYPE, target="../escaped"),
        member("a/soft", tarfile.SYMTYPE, target="b/../../../target/../x"),
        member("hard", tarfile.LNKTYPE, target="../secret"),
        member("hard", tarfile.LNKTYPE, target="/etc/passwd"),
        member("device", tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("disk", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("odd", b"Q"),
    ],
    ids=lambda bad: f"{bad[0].name} {bad[0].type.decode()}",
)
def test_what_leads_out_is_refused_by_name(target, bad):
    (target.parent / "secret").write_text("keep")
    with pytest.raises(RehearsalError, match="refused") as caught:
        unpack(pack(bad), target)
    assert caught.value.where == repr(bad[0].name)
    assert outside(target) == ["secret"]


def test_an_absolute_pax_path_is_refused(target):
    info, content = member("harmless", content=b"x")
    info.pax_headers = {"path": "/etc/harmful"}
    with pytest.raises(RehearsalError, match="refused"):
        unpack(pack((info, content), form=tarfile.PAX_FORMAT), target)


def test_nothing_is_written_through_a_link_that_lies_there(target):
    (target.parent / "elsewhere").mkdir()
    (target / "a").symlink_to("../elsewhere")
    with pytest.raises(RehearsalError, match="cannot be unpacked") as caught:
        unpack(pack(member("a/file", content=b"x")), target)
    assert "a/file" in caught.value.where
    assert list((target.parent / "elsewhere").iterdir()) == []


def test_a_link_that_lies_in_a_files_place_is_replaced_not_followed(target):
    (target.parent / "precious").write_text("keep")
    (target / "file").symlink_to("../precious")
    unpack(pack(member("file", content=b"new")), target)
    assert (target.parent / "precious").read_text() == "keep"
    assert not (target / "file").is_symlink()
    assert (target / "file").read_bytes() == b"new"


def test_a_link_made_by_the_archive_is_not_followed(target):
    (target / "real").mkdir()
    data = pack(member("way", tarfile.SYMTYPE, target="real"), member("way/file", content=b"x"))
    with pytest.raises(RehearsalError, match="cannot be unpacked"):
        unpack(data, target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_owner_is_given_to_everything(target):
    data = pack(folder("d"), member("d/f"), member("made/f"), member("l", tarfile.SYMTYPE, target="d"))
    unpack(data, target, owner=(1234, 5678))
    found = {path.name: (path.lstat().st_uid, path.lstat().st_gid) for path in target.rglob("*")}
    assert set(found.values()) == {(1234, 5678)}
    assert set(found) == {"d", "f", "made", "l"}


# -- cut and damaged streams ------------------------------------------------------------------------------------------

WHOLE = pack(folder("d"), member("d/a", content=b"a" * 700), member("d/b", content=b"b" * 100))
END = len(WHOLE.rstrip(b"\0")) // 512 * 512 + 512  # behind the last block with content


def test_a_cut_at_any_byte_before_the_end_marker_is_an_error(tmp_path):
    for length in [*range(0, END, 97), 512, 1024, END - 512, END, END + 512, END + 1023]:
        target = tmp_path / str(length)
        target.mkdir()
        with pytest.raises(StreamError, match="cut short"):
            unpack(WHOLE[:length], target)


def test_the_two_zero_blocks_are_enough(target):
    assert unpack(WHOLE[: END + 1024], target).files == 2


def test_a_lone_zero_block_is_an_error(target):
    with pytest.raises(StreamError, match="lone zero block"):
        unpack(WHOLE[:END] + bytes(512) + WHOLE, target)


def test_bytes_behind_the_end_are_an_error(target):
    with pytest.raises(StreamError, match="goes on behind its end"):
        unpack(WHOLE + WHOLE, target)


def test_a_damaged_header_is_an_error(target):
    with pytest.raises(StreamError, match="no tar header"):
        unpack(b"x" + WHOLE[1:], target)


def test_words_that_are_no_tar_are_an_error(target):
    with pytest.raises(StreamError):
        unpack(b"tar: storage: Cannot open: Permission denied\n" * 100, target)


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_stream_never_writes_outside_nor_raises_anything_else(tmp_path, data):
    target = Path(tempfile.mkdtemp(dir=tmp_path)) / "t"
    target.mkdir()
    info, content = member("p" * 150, content=b"z")
    info.pax_headers = {"path": "q" * 150, "size": "1"}
    stream = bytearray(pack(folder("d"), (info, content), member("d/x", content=b"1234"), form=tarfile.PAX_FORMAT))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RehearsalError):
        unpack(bytes(stream), target)
    assert outside(target) == []


# -- as kubectl cp ----------------------------------------------------------------------------------------------------


def test_as_kubectl_cp_modes_are_left_to_the_umask_and_links_are_skipped(target):
    data = pack(
        folder("storage", 0o700),
        member("storage/private", content=b"x", mode=0o600),
        member("storage/link", tarfile.SYMTYPE, target="/etc/passwd"),
    )
    before = os.umask(0o022)
    try:
        count = unpack(data, target / "copy", as_kubectl_cp=True, source="storage")
    finally:
        os.umask(before)
    assert count == UnpackCount(files=1, directories=1, skipped=1, bytes=1)
    assert stat.S_IMODE((target / "copy").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "copy/private").stat().st_mode) == 0o644
    assert [path.name for path in target.rglob("*")] == ["copy", "private"]


@pytest.mark.parametrize("source", ["a/b", "./a/b/"])
def test_the_source_is_replaced_by_the_target(target, source):
    data = pack(folder("a/b"), member("a/b/c/d", content=b"x"), member("hard", tarfile.LNKTYPE, target="a/b/c/d"))
    with pytest.raises(RehearsalError, match="lies outside"):
        unpack(data, target / "new", source=source)
    assert (target / "new/c/d").read_bytes() == b"x"


def test_a_single_file_becomes_the_target(target):
    unpack(pack(member("dir/file", content=b"x")), target / "copy", source="dir/file")
    assert (target / "copy").read_bytes() == b"x"


def test_a_hard_link_behind_the_source_is_found_at_the_target(target):
    data = pack(member("s/file", content=b"x"), member("s/hard", tarfile.LNKTYPE, target="s/file"))
    unpack(data, target / "new", source="s")
    assert (target / "new/hard").samefile(target / "new/file")


# -- turned round -----------------------------------------------------------------------------------------------------


def test_a_stream_to_write_into(target):
    with unpacking(target) as (sink, count):
        for start in range(0, len(WHOLE), 1000):
            sink.write(WHOLE[start : start + 1000])
    assert count == UnpackCount(files=2, directories=1, bytes=800)


def test_a_cut_stream_is_raised_when_the_context_is_left(target):
    with pytest.raises(StreamError, match="cut short"), unpacking(target) as (sink, _):
        sink.write(WHOLE[:END])


def test_a_refusal_reaches_the_writer_as_itself(target):
    bad = pack(member("/x"), member("y", content=bytes(4 << 20)))
    with pytest.raises(RehearsalError, match="refused"), unpacking(target) as (sink, _):
        for start in range(0, len(bad), 65536):
            sink.write(bad[start : start + 65536])


def test_the_blocks_own_error_goes_first(target):
    with pytest.raises(KeyError), unpacking(target):
        raise KeyError


def test_a_missing_target_is_unfit(target):
    with pytest.raises(EnvironmentUnfit, match="nowhere"):
        unpack(WHOLE, target / "nowhere")


class Trickle(io.RawIOBase):
    """A stream that gives as many bytes at a time as it likes, as a pipe does."""

    def __init__(self, content: bytes, most: int) -> None:
        self._rest = memoryview(content)
        self._most = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        piece = self._rest[: min(self._most, len(view))]
        view[: len(piece)] = piece
        self._rest = self._rest[len(piece) :]
        return len(piece)


@pytest.mark.parametrize("most", [1, 511, 3001, 70_000])
def test_a_header_may_arrive_in_pieces(tmp_path: Path, most: int) -> None:
    archive = io.BytesIO()
    contents = {f"d/{number:03}": bytes([number]) * (number * 37) for number in range(60)}
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    count = unpack_tar(Trickle(archive.getvalue(), most), tmp_path)
    assert count.files == 60
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
