"""A scenario: a rehearsal described as a frozen value that reads like a sentence.

It names roles (what is lost and how, by which method it comes back, what is tampered with) and never how they work.
The values that scenario files pick from lie in `rehearsal.losses`, `rehearsal.methods` and `rehearsal.tampering`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.roles import Loss, Method, Tampering


@dataclass(frozen=True)
class Objectives:
    """What the restore is held against, in seconds; None: measured and reported, not judged."""

    recovery_seconds: float | None = None
    data_loss_seconds: float | None = None


@dataclass(frozen=True)
class Expectation:
    """The finding by which a control must be caught.

    Attributes:
        check: name of the check, such as `rows`.
        subject: a piece of text that the failing finding's subject must contain; "" for any subject.
    """

    check: str
    subject: str = ""


@dataclass(frozen=True)
class Scenario:
    """One rehearsal.

    Attributes:
        name: as typed on the command line, `lose-session-db`.
        title: one line for a person.
        loses: roles of the stores that are lost: `session-db`, `auth`, `job-history`, `file-storage` (every replica),
            or `*` for every store.
        loss: how they are lost.
        method: how they are backed up and come back.
        tampering: what is damaged on purpose; None in a rehearsal proper.
        expects: for a control, the finding that must catch the damage; None in a rehearsal proper.
    """

    name: str
    title: str
    loses: tuple[str, ...]
    loss: Loss
    method: Method
    tampering: Tampering | None = None
    expects: Expectation | None = None
    objectives: Objectives = Objectives()

    @property
    def is_control(self) -> bool:
        return self.expects is not None
