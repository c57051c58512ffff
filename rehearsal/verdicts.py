"""Verdicts, findings and what a judgement is: plain values, shared by the checks, the reports and the faces."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """Worst wins; nothing is green by default.

    FAIL: the backup did not restore, and a finding names what was lost. INCONCLUSIVE: we learnt nothing. NOT RUN:
    nobody tried. PASS: content came back, proven.
    """

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    NOT_RUN = "NOT RUN"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"

    @property
    def severity(self) -> int:
        return (Verdict.PASS, Verdict.NOT_RUN, Verdict.INCONCLUSIVE, Verdict.FAIL).index(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; of none, INCONCLUSIVE."""
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.INCONCLUSIVE)


class Finding(BaseModel):
    """One judgement about one subject.

    Attributes:
        check: the check's name, such as `rows`.
        subject: what was judged: a store, a table with a key, a path.
        message: one sentence for a person.
        details: further named differences, one sentence each; the first ones, then a count in `message`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    verdict: Verdict
    subject: str
    message: str
    details: tuple[str, ...] = ()


class ControlOutcome(BaseModel):
    """For a control: the finding that must catch the damage, and whether it did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tampering: str
    why: str
    expects_check: str
    expects_subject: str
    caught: bool


class UserLoss(BaseModel):
    """What one user lost.

    Attributes:
        user: as a rule names them, `jaas/chipster`.
        sessions: their sessions that cannot be opened as before, and those that are no longer shared with them.
        datasets: lost in their own sessions.
        cannot_log_in: auth does not know them any more.
        first: the first losses, a sentence each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    sessions: int = 0
    datasets: int = 0
    cannot_log_in: bool = False
    first: tuple[str, ...] = ()


class UserLosses(BaseModel):
    """What users lost, the one who lost most first; `more_users` are counted and not listed.

    Attributes:
        sessions: that cannot be opened as before, out of `of_sessions` that somebody saw.
        datasets, logins: lost in all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[UserLoss, ...]
    more_users: int = 0
    sessions: int
    of_sessions: int
    datasets: int
    logins: int


class Judgement(BaseModel):
    """What the checks say of one record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    findings: tuple[Finding, ...]
    control: ControlOutcome | None = None
    user_losses: UserLosses | None = None
    """None: nobody lost anything, or nothing can be said."""


CLEAN_UP = "clean up"
"""The phase in which a rehearsal removes what it created; also the subject of the finding that it could not."""


def weigh(verdict: Verdict, control: ControlOutcome | None, findings: Iterable[Finding]) -> Verdict:
    """What a rehearsal means for its run.

    A control that was caught is as it should be. One that was not says nothing about the backup, but that our proof
    does not prove: INCONCLUSIVE. So is one that left something behind, whatever caught it.
    """
    if control is None:
        return verdict
    left = any(one.subject == CLEAN_UP and one.verdict is not Verdict.PASS for one in findings)
    return Verdict.PASS if control.caught and not left else Verdict.INCONCLUSIVE
