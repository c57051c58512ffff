"""Differences being gathered, and the words that every kind of difference shares."""

from __future__ import annotations

from rehearsal.inventory import SHOWN, Difference, Differences


class Collected:
    """Differences being gathered: the first `limit` named, all counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._named: list[Difference] = []
        self._total = 0
        self._explained: list[Difference] = []
        self._explained_total = 0
        self.compared = 0

    def add(self, kind: str, aspect: str, subject: str, detail: str = "") -> None:
        self._total += 1
        if self.room > 0:
            self._named.append(
                Difference.model_validate({"kind": kind, "aspect": aspect, "subject": subject, "detail": detail})
            )

    def explain(self, aspect: str, subject: str, detail: str, kind: str = "extra") -> None:
        """An extra entry of which the evidence says where it came from, or a missing one that this way of backing up
        does not carry."""
        self._explained_total += 1
        if len(self._explained) < self._limit:
            self._explained.append(
                Difference.model_validate({"kind": kind, "aspect": aspect, "subject": subject, "detail": detail})
            )

    def count_more(self, number: int) -> None:
        """Count differences that will not be named."""
        self._total += number

    @property
    def room(self) -> int:
        """How many more will be named."""
        return self._limit - len(self._named)

    @property
    def total(self) -> int:
        return self._total

    def result(self) -> Differences:
        return Differences(
            named=tuple(self._named),
            total=self._total,
            compared=self.compared,
            explained=tuple(self._explained),
            explained_total=self._explained_total,
        )


def count(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shorten(text: str) -> str:
    """The text, cut where a finding ends it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
