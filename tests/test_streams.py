"""The pump: a source whose last byte was taken is at its end, however late its thread gets on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rehearsal.streams import Meter, Pump


class Source:
    """Chunks, and whether they were asked for beyond the last one."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.exhausted = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.chunks:
            self.exhausted = True
            raise StopIteration
        return self.chunks.pop(0)


@pytest.mark.parametrize(
    ("chunks", "exhausted"),
    [
        pytest.param([b"all of it"], True, id="the reader took everything and left"),
        pytest.param([b"all of it", b"more"], False, id="there was more"),
    ],
)
def test_a_pump_that_is_cancelled_right_after_a_write(
    chunks: list[bytes], exhausted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    source = Source(*chunks)
    pump = Pump(source, writing)
    add = Meter.add

    def cancel_meanwhile(meter: Meter, data: memoryview) -> None:
        add(meter, data)
        pump._cancelled.set()

    monkeypatch.setattr(Meter, "add", cancel_meanwhile)
    pump.run()
    pump.close()
    assert os.read(reading, 100) == b"all of it"
    os.close(reading)
    assert source.exhausted is exhausted
