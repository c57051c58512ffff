"""A packed tree is what GNU tar and Python's tarfile read back, and a file that changes underneath is an error."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from rehearsal.errors import EnvironmentUnfit, StreamError
from rehearsal.packing import pack_tree


def pack(parent: Path) -> bytes:
    return b"".join(pack_tree(parent, "storage"))


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    root = tmp_path / "storage"
    root.mkdir()
    return root


def test_every_kind_of_name_and_content_comes_back(tmp_path: Path, storage: Path) -> None:
    contents = {
        "plain": b"x",
        "empty": b"",
        "with space": b"y" * 512,
        "new\nline": b"z" * 513,
        "quote\"'\\": b"q",
        "ünï𝄞": bytes(range(256)) * 5000,
        "a" * 255: b"long",
    }
    for name, content in contents.items():
        (storage / name).write_bytes(content)
    (storage / "empty-directory").mkdir()
    (storage / "link").symlink_to("/etc/passwd")
    (storage / "plain").chmod(0o640)
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path))) as archive:
        members = {member.name: member for member in archive.getmembers()}
        for name, content in contents.items():
            stream = archive.extractfile(members[f"storage/{name}"])
            assert stream is not None
            assert stream.read() == content
    assert members["storage/plain"].mode == 0o640
    assert members["storage/empty-directory"].isdir()
    assert members["storage/link"].linkname == "/etc/passwd"
    assert members["storage/link"].issym()


def test_names_that_are_not_utf8_survive(tmp_path: Path, storage: Path) -> None:
    Path(os.fsdecode(bytes(storage) + b"/\xff\xfe")).write_bytes(b"raw")
    stream = pack(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert os.fsencode(archive.getnames()[1]) == b"storage/\xff\xfe"


def test_the_stream_ends_with_the_end_of_archive_marker(tmp_path: Path, storage: Path) -> None:
    (storage / "one").write_bytes(b"1" * 700)
    assert pack(tmp_path)[-1024:] == b"\0" * 1024


def test_a_file_that_shrinks_while_it_is_packed_is_an_error(tmp_path: Path, storage: Path) -> None:
    big = storage / "big"
    big.write_bytes(b"1" * (3 << 20))
    stream = pack_tree(tmp_path, "storage")
    next(stream)
    os.truncate(big, 2 << 20)
    with pytest.raises(StreamError, match="changed while it was packed: 3145728 bytes expected, 2097152 read"):
        list(stream)


def test_a_socket_is_an_error_and_not_a_gap(tmp_path: Path, storage: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(storage / "s"))
        with pytest.raises(EnvironmentUnfit, match="neither a file, a directory nor a link"):
            pack(tmp_path)


def test_a_missing_tree_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="no such directory"):
        pack(tmp_path)
