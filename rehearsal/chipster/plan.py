"""What a seed consists of, before any of it is made: how many of everything, and the names by which it hangs together.

Session-db, auth, job history and the files are made apart from one another, possibly on different machines; they agree
because identifiers are derived from the seed's number and an index, here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rehearsal.chipster.draws import Draws
from rehearsal.chipster.hard_values import USER_NAMES
from rehearsal.errors import UsageError

Size = Literal["xs", "s", "m", "l"]

_MIB = 1 << 20
UNUSED_FOLDERS = 4
"""Two-digit folders that stay empty whatever the number of files."""
JOB_STATES = (
    "NEW",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "FAILED_USER_ERROR",
    "ERROR",
    "TIMEOUT",
    "CANCELLED",
    "COMP_BUSY",
    "RESCHEDULED",
    "SCHEDULED",
    "WAITING",
    "EXPIRED_WAITING",
)
"""Chipster's job states in the order of their numbers: session-db stores the number, job history the name."""


@dataclass(frozen=True)
class Scale:
    """How much: sessions, files, users; `biggest` the bytes of the one big file."""

    sessions: int
    files: int
    users: int
    biggest: int


SCALES: dict[str, Scale] = {
    "xs": Scale(sessions=12, files=60, users=8, biggest=1 * _MIB),
    "s": Scale(sessions=50, files=500, users=16, biggest=8 * _MIB),
    "m": Scale(sessions=1_000, files=20_000, users=200, biggest=256 * _MIB),
    "l": Scale(sessions=10_000, files=200_000, users=2_000, biggest=2048 * _MIB),
}


@dataclass(frozen=True)
class Plan:
    """One seed.

    Attributes:
        number: the integer that everything is derived from.
        scale: how much of everything.
        replicas: number of file-storage replicas; file `i` lies on replica `i % replicas`.
    """

    number: int
    scale: Scale
    replicas: int

    @classmethod
    def of(cls, number: int, size: str, replicas: int) -> Plan:
        """Raises UsageError for an unknown size or no replica."""
        if size not in SCALES:
            raise UsageError(f"there is no seed of size {size!r}", hint="--size s, --size m or --size l")
        if replicas < 1:
            raise UsageError(f"a seed needs one file-storage replica or more, found {replicas}")
        return cls(number, SCALES[size], replicas)

    @property
    def has_job_history(self) -> bool:
        """False for every fifth number: an empty job history is a healthy one."""
        return self.number % 5 != 0

    @cached_property
    def unused_folders(self) -> frozenset[str]:
        draws = Draws(self.number, "unused folders")
        found: set[str] = set()
        while len(found) < UNUSED_FOLDERS:
            found.add(f"{draws.below(256):02x}")
        return frozenset(found)

    def session_id(self, session: int) -> str:
        return Draws(self.number, "session", session).uuid()

    def job_count(self, session: int) -> int:
        """Every state occurs in the first session; the others have 3 to 18 jobs, a few none."""
        if session == 0:
            return len(JOB_STATES)
        return 0 if session % 17 == 5 else 3 + Draws(self.number, "jobs", session).below(16)

    def job_id(self, session: int, job: int) -> str:
        return Draws(self.number, "job", session, job).uuid()

    def user(self, user: int) -> tuple[str, str]:
        """The parts (auth, username) of a user; joined by `/` they are the owner in a rule."""
        if user < len(USER_NAMES):
            return USER_NAMES[user]
        return ("jaas" if user % 3 else "oidc"), f"user{user:05d}"

    def owner(self, session: int) -> str:
        """Who owns the session, as a rule names them."""
        return "/".join(self.user(session % self.scale.users))
