"""Ctrl-C, held back for the moments in which it would leave something behind that nobody knows of."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def hold_interrupts(patience: float = math.inf) -> Iterator[None]:
    """Hold back SIGINT and SIGTERM handlers until the block is over; then the first that came is called.

    For the blink between a fork and our knowing of it, and while what is left is removed. Only the main thread gets
    signals, so elsewhere nothing is to be done. A signal without a Python handler keeps its default action.

    Args:
        patience: how many are held back; the next one is called at once, for who has waited long enough.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}

    def remember(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))
        if len(came) > patience:
            handlers[signal.Signals(number)](number, frame)

    for number in handlers:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if 0 < len(came) <= patience:
            first, frame = came[0]
            handlers[signal.Signals(first)](first, frame)
