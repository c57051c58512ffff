"""Waiting for a state with a deadline and the last state in the message; never sleep and hope.

For readiness only: a verification is never put inside a retry loop, it would hide what it should find.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rehearsal.errors import WaitTimeout

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    deadline: float,
    what: str,
    state: Callable[[], object] | None = None,
    longest_pause: float = _LONGEST_PAUSE,
) -> T:
    """Ask until the answer is true, first every 10 ms, then less often, at least every 500 ms; return the answer.

    Args:
        predicate: asked at least once, and once more when the deadline has passed. Its exceptions are not caught.
        deadline: seconds.
        what: what is waited for, as in "`what` did not come within 5 s".
        state: describes the state at the end, for the message; default: the predicate's last answer.
        longest_pause: seconds between two questions, in place of the 500 ms, where a question is dear.

    Raises:
        WaitTimeout: the deadline passed.
    """
    end = time.monotonic() + deadline
    pause = _FIRST_PAUSE
    while True:
        late = time.monotonic() >= end
        answer = predicate()
        if answer:
            return answer
        if late:
            last = answer if state is None else state()
            raise WaitTimeout(f"{what} did not come within {deadline:g} s; last state: {last}")
        time.sleep(max(0.0, min(pause, end - time.monotonic())))
        pause = min(2 * pause, longest_pause)
