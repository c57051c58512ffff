"""A stream that begins again, as long as little of it has gone."""

from rehearsal.builtin_backup.rewinding import Rewindable


def test_it_begins_again_until_too_much_has_gone():
    source = Rewindable(iter([b"abc", b"de", b"f"]), 5)
    assert [next(source), next(source)] == [b"abc", b"de"]
    assert source.rewind()
    assert list(source) == [b"abc", b"de", b"f"]
    assert not source.rewind()


def test_a_view_of_a_buffer_that_is_filled_again_is_kept_as_it_was():
    buffer = bytearray(b"abc")
    source = Rewindable(iter([memoryview(buffer)]), 5)
    next(source)
    buffer[:] = b"xyz"
    assert source.rewind()
    assert list(source) == [b"abc"]
