"""What each user lost: sessions that can no longer be opened, sessions nobody sees any more, logins that are gone.

Pure comparison of the link lines (`DatabaseInventory.link_lines`) and the file inventories of two moments; memory grows
with what was lost, not with what is there. A session counts when somebody saw it before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.evidence import merge_lines, read_lines
from rehearsal.inventory import DatabaseInventory, FilesInventory
from rehearsal.lost_datasets import DatasetSearch, Names
from rehearsal.verdicts import UserLoss, UserLosses

_FIRST = 5
"""Reasons kept per session and per user; the rest are counted."""
_USERS_TOLD = 200
_DELETED = 3
"""`session.state` of a session that is being deleted (facts, section 4)."""


@dataclass
class SessionLoss:
    """A session that somebody cannot open as before.

    Attributes:
        owners: users whose own it was, as rules name them; where it had no owner, everyone who saw it.
        reasons: the first ones, a sentence each; datasets: how many were lost.
        unseen_by: users other than its owners who no longer see it.
    """

    session: str
    owners: tuple[str, ...] = ()
    reasons: list[str] = field(default_factory=list)
    datasets: int = 0
    unseen_by: tuple[str, ...] = ()

    def lose_dataset(self, dataset: str, why: str) -> None:
        self.datasets += 1
        if len(self.reasons) < _FIRST:
            self.reasons.append(f"lost dataset {dataset}: {why}")

    @property
    def name(self) -> str:
        return f"session {self.session}" + (f" of {', '.join(self.owners)}" if self.owners else "")


@dataclass(frozen=True)
class SessionLosses:
    """What became of all sessions.

    Attributes:
        sessions: how many somebody saw before.
        lost: those that somebody cannot open as before, by identifier.
        dangling, orphans: paths of files that have become so: a row without bytes, bytes without a row.
        elsewhere: datasets whose bytes lie on a storage that was not looked at; nothing is said about them.
    """

    sessions: int
    lost: tuple[SessionLoss, ...]
    dangling: Names
    orphans: Names
    elsewhere: int


@dataclass(frozen=True)
class _Seen:
    """VALUES of a line of `sessions`."""

    state: int | None
    owners: frozenset[str]
    others: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.owners | self.others

    @property
    def victims(self) -> tuple[str, ...]:
        return tuple(sorted(self.owners or self.others))


def find_session_losses(
    before: DatabaseInventory,
    after: DatabaseInventory,
    files: Mapping[str, tuple[FilesInventory, FilesInventory]],
    folder: Path,
    limit: int = 20,
) -> SessionLosses:
    """Hold every session against what it was.

    Args:
        before, after: session-db's; both with link lines.
        files: every replica's, before and after, by the replica's name.
        folder: the rehearsal's folder.
        limit: dangling and orphan paths named.

    Raises:
        EnvironmentUnfit: a line file is missing, was cut or edited, or is not sorted; `where` names it.
    """
    were, are = before.link_lines or {}, after.link_lines or {}
    lost: dict[str, SessionLoss] = {}

    def judge(key: bytes, expected: bytes | None, found: bytes | None) -> None:
        if expected is not None:
            loss = _judge_session(_session_of(key), _read_seen(expected), None if found is None else _read_seen(found))
            if loss is not None:
                lost[loss.session] = loss

    merge_lines(were.get("sessions"), are.get("sessions"), folder, _until_tab, judge)
    search = DatasetSearch(
        (were.get("datasets"), are.get("datasets")), files, folder, dangling=Names(limit), orphans=Names(limit)
    )
    for dataset in search.find():
        lost.setdefault(dataset.session, SessionLoss(dataset.session)).lose_dataset(dataset.dataset, dataset.why)
    sessions = 0
    told: list[SessionLoss] = []
    for line in read_lines(were.get("sessions"), folder):
        seen = _read_seen(line)
        sessions += bool(seen.all)
        loss = lost.get(_session_of(_until_tab(line))) if seen.all else None
        if loss is not None:
            loss.owners = seen.victims
            told.append(loss)
    return SessionLosses(sessions, tuple(told), search.dangling, search.orphans, search.elsewhere)


def _judge_session(session: str, was: _Seen, found: _Seen | None) -> SessionLoss | None:
    loss = SessionLoss(session)
    if not was.all:
        return None
    if found is None:
        loss.reasons.append("its row is gone")
        loss.unseen_by = tuple(sorted(was.others)) if was.owners else ()
        return loss
    if found.state == _DELETED != was.state:
        loss.reasons.append(f"it is marked for deletion: state {was.state} → {_DELETED}")
    gone = was.all - found.all
    if gone & was.owners and not found.all:
        loss.reasons.append("its owner's rule is gone: nobody sees it")
    elif not found.all and gone:
        loss.reasons.append("every rule of it is gone: nobody sees it")
    elif gone & was.owners:
        loss.reasons.append(f"its owner's rule is gone: {', '.join(sorted(gone & was.owners))} no longer sees it")
    strangers = gone - was.owners if was.owners else frozenset()
    loss.unseen_by = tuple(sorted(strangers))
    if strangers and found.all:
        loss.reasons.append(f"no longer shared with {', '.join(sorted(strangers))}")
    return loss if loss.reasons else None


def find_login_losses(before: DatabaseInventory, after: DatabaseInventory, folder: Path) -> tuple[int, tuple[str, ...]]:
    """How many users auth knew before, and those it does not know any more, as rules name them (`jaas/chipster`).

    Raises:
        EnvironmentUnfit: a line file is missing, was cut or edited, or is not sorted; `where` names it.
    """
    were, are = (before.link_lines or {}).get("users"), (after.link_lines or {}).get("users")
    gone: list[str] = []

    def judge(key: bytes, expected: bytes | None, found: bytes | None) -> None:
        if expected is not None and found is None:
            gone.append("/".join(json.loads(key)))

    merge_lines(were, are, folder, _until_tab, judge)
    return (were.lines if were else 0), tuple(gone)


def tabulate_losses(losses: SessionLosses | None, gone: Iterable[str]) -> UserLosses | None:
    """A row a user, the one who lost most first; None when nobody lost anything.

    Args:
        losses: of sessions; None where they could not be looked at.
        gone: users who cannot log in any more.
    """
    rows: dict[str, UserLoss] = {}

    def add(user: str, loss: SessionLoss, datasets: int, reasons: Iterable[str]) -> None:
        row = rows.get(user) or UserLoss(user=user)
        first = (*row.first, *(f"session {loss.session}: {why}" for why in reasons))[:_FIRST]
        rows[user] = row.model_copy(
            update={"sessions": row.sessions + 1, "datasets": row.datasets + datasets, "first": first}
        )

    for loss in losses.lost if losses else ():
        for owner in loss.owners:
            add(owner, loss, loss.datasets, loss.reasons)
        for user in loss.unseen_by:
            add(user, loss, 0, ["no longer shared with this user"])
    for user in gone:
        rows[user] = (rows.get(user) or UserLoss(user=user)).model_copy(update={"cannot_log_in": True})
    if not rows:
        return None
    ordered = sorted(rows.values(), key=lambda r: (-r.datasets, -r.sessions, not r.cannot_log_in, r.user))
    return UserLosses(
        users=tuple(ordered[:_USERS_TOLD]),
        more_users=max(0, len(ordered) - _USERS_TOLD),
        sessions=len(losses.lost) if losses else 0,
        of_sessions=losses.sessions if losses else 0,
        datasets=sum(loss.datasets for loss in losses.lost) if losses else 0,
        logins=sum(row.cannot_log_in for row in ordered),
    )


def count_sessions(before: DatabaseInventory, users: Iterable[str], folder: Path) -> dict[str, int]:
    """How many sessions each of these users owned."""
    owned = dict.fromkeys(users, 0)
    for line in read_lines((before.link_lines or {}).get("sessions"), folder):
        for owner in _owned_by(_read_seen(line), owned):
            owned[owner] += 1
    return owned


def _owned_by(seen: _Seen, users: Mapping[str, int]) -> Iterator[str]:
    return (owner for owner in seen.owners if owner in users)


def _read_seen(line: bytes) -> _Seen:
    state, owners, others = json.loads(line[line.index(b"\t") + 1 :])
    return _Seen(state, frozenset(owners), frozenset(others))


def _session_of(key: bytes) -> str:
    return str(json.loads(key)[0])


def _until_tab(line: bytes) -> bytes:
    return line[: line.index(b"\t")]
