"""How a verification says what it found: many differences as one finding, the first ones by name, the rest counted."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rehearsal.builtin_backup.gpg_words import NO_KEY_PASSPHRASE, NO_PASSPHRASE, NO_SECRET_KEY, WRONG_PASSPHRASE
from rehearsal.verdicts import Finding, Verdict

SHOWN = 20
"""Named differences a finding holds; the others are counted."""

_CLOSED = (NO_SECRET_KEY, WRONG_PASSPHRASE, NO_PASSPHRASE, NO_KEY_PASSPHRASE, "no key", "expired key")


class Tally:
    """Differences of one kind: the first ones in words, all of them counted; memory does not grow."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(printable(sentence))

    def __bool__(self) -> bool:
        return bool(self.count)

    def make(self, check: str, verdict: Verdict, subject: str, what: str = "", hint: str = "") -> Finding:
        """One finding of all of them. `what` introduces them, `hint` is what to type next."""
        intro = f"{what}: " if what else ""
        more = f" (and {self.count - 1:,} more)" if self.count > 1 else ""
        advice = f"; next: {hint}" if hint else ""
        return Finding(
            check=check,
            verdict=verdict,
            subject=subject,
            message=f"{intro}{self.first[0]}{more}{advice}",
            details=tuple(self.first[1:]),
        )


def stays_closed(error: str) -> bool:
    """Whether a package's error is about keys, not about its bytes."""
    return error.startswith(_CLOSED)


def explain_error(error: str, size: int) -> str:
    """Why a package does not open, with what that means."""
    if size == 0 or error.startswith("empty"):
        return f"{error}: the pipe failed when it was packed and nobody looked"
    return error


def printable(text: str) -> str:
    """Text for a terminal and for JSON: what is no character of UTF-8, and control characters, are escaped."""
    escaped = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in escaped)


def say_size(size: int) -> str:
    """`1.2 GB`."""
    for unit, bound in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bound:
            return f"{Decimal(size) / bound:,.1f} {unit}"
    return f"{size} bytes"


def say_age(seconds: float) -> str:
    """`3 days`, `14 hours`, `5 minutes`."""
    for unit, bound in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if abs(seconds) >= 2 * bound or (unit == "minute" and abs(seconds) >= bound):
            count = round(abs(seconds) / bound)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{round(abs(seconds))} s"


def say_some(names: Iterable[str], shown: int = 3) -> str:
    """`a, b, c and 4 more`."""
    every = list(names)
    rest = f" and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + rest


def plural(count: int, word: str) -> str:
    """`1 package`, `2 packages`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
