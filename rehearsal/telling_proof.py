"""What a person reads while a proof is made, and at its end: counts, an ETA, and where to look.

On a terminal one line is written over and over; elsewhere a line every so often. What was not as wanted is told at
once, on a line of its own.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TextIO

from rehearsal.proof.page import word_figure
from rehearsal.proof.proving import Proven
from rehearsal.proof.trials import Outcome, TrialResult

_EVERY = 25
_KEPT_SHOWN = 20


class LiveTrials:
    """Plays `proof.proving.Tell`."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._counts: Counter[str] = Counter()

    def __call__(self, done: int, total: int, result: TrialResult, seconds: float) -> None:
        self._counts[str(result.outcome)] += 1
        clear = "\r\x1b[K" if self._live else ""
        if not result.as_wanted:
            self._print(f"{clear}  {tell_unwanted(result)}")
        if self._live or done % _EVERY == 0 or done == total:
            left = seconds / done * (total - done)
            counts = ", ".join(f"{self._counts[one]} {one}" for one in Outcome if self._counts[one])
            text = f"{clear}  {done} of {total}: {counts}; {_clock(seconds)} gone, {_clock(left)} to go"
            self._print(text, end="" if self._live and done < total else "\n")

    def _print(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._out, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def tell_unwanted(result: TrialResult) -> str:
    """One line: the trial, what it came to, the first thing that was found."""
    named = ", NOT NAMED" if result.outcome is Outcome.KILLED and not result.named else ""
    first = f": {result.told[0]}" if result.told else ""
    return f"{result.outcome.upper()}{named}  {result.trial.title}, seed {result.trial.seed}{first}"


def tell_proof(proven: Proven) -> list[str]:
    """The figure, what hangs by a thread, where to look."""
    proof = proven.proof
    lines = [f"{word_figure(proof)}, in {_clock(proof.seconds)}"]
    if proof.weak:
        lines.append(f"weak, too many equivalent mutants: {', '.join(one.name for one in proof.weak)}")
    lines.append(f"proof: {proven.page}")
    lines += [f"look at: {folder}" for folder in proven.kept[:_KEPT_SHOWN]]
    if len(proven.kept) > _KEPT_SHOWN:
        lines.append(f"… and {len(proven.kept) - _KEPT_SHOWN} more in {proven.folder}")
    return lines
