"""The pipe in memory between a pod's stream and a slow reader."""

from __future__ import annotations

import threading

import pytest

from rehearsal.methods.read_ahead import ReadAhead


def test_everything_comes_in_order_in_pieces_of_any_size() -> None:
    stream = ReadAhead()
    for piece in (b"abc", b"", b"defgh", b"i"):
        assert stream.write(piece) == len(piece)
    stream.end()
    assert [stream.read(2) for _ in range(7)] == [b"ab", b"c", b"de", b"fg", b"h", b"i", b""]


def test_a_writer_does_not_wait_for_the_reader_until_there_is_no_room() -> None:
    stream = ReadAhead(room=10)
    written: list[int] = []
    enough = threading.Event()

    def write() -> None:
        for _ in range(5):
            written.append(stream.write(b"12345"))
            if len(written) == 2:
                enough.set()
        stream.end()

    writer = threading.Thread(target=write)
    writer.start()
    assert enough.wait(30)  # nobody has read yet
    assert stream.readall() == b"12345" * 5
    writer.join()


def test_what_is_written_is_kept_though_the_writers_buffer_changes() -> None:
    stream, buffer = ReadAhead(), bytearray(b"first")
    stream.write(buffer)
    buffer[:] = b"other"
    stream.end()
    assert stream.readall() == b"first"


def test_a_writer_is_told_that_the_reader_has_left() -> None:
    stream = ReadAhead(room=1)
    stream.write(b"full")
    told: list[Exception] = []

    def write() -> None:
        try:
            stream.write(b"more")
        except BrokenPipeError as error:
            told.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    stream.leave()
    writer.join(30)
    assert [str(error) for error in told] == ["[Errno 32] nobody reads on"]
    with pytest.raises(BrokenPipeError):
        stream.write(b"x")
