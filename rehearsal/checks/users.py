"""Checks in users' words: which sessions can be opened as before, and who can still log in.

They join what the stores say of one another: session-db's rows to file-storage's bytes, rules to users of auth. Only
what was whole before counts, so that a healthy server's old gaps are no damage. A record of a release that did not yet
keep the link lines has no finding here, neither good nor bad: `name_unasked` gives the report the words for it, because
a NOT RUN would turn a proven PASS of old into a NOT RUN, and a PASS would claim what nobody looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.checks.gathering import NAMED_LIMIT, Evidence, not_looked_at
from rehearsal.inventory import DatabaseInventory, FilesInventory
from rehearsal.lost_datasets import Names
from rehearsal.lost_sessions import (
    SessionLoss,
    SessionLosses,
    count_sessions,
    find_login_losses,
    find_session_losses,
    tabulate_losses,
)
from rehearsal.record import Record, StoreRecord
from rehearsal.verdicts import Finding, UserLosses, Verdict


def check_sessions(evidence: Evidence) -> Iterator[Finding]:
    """Every session that somebody saw can still be opened, with every dataset that was whole."""
    store = _holder(evidence.record, "sessions")
    if store is None:
        return
    concerned = store.lost or any(other.lost for other in _file_stores(evidence.record))
    losses = _find_sessions(evidence)
    if losses is None and concerned:
        unseen = [other.name for other in (store, *_file_stores(evidence.record)) if not (other.before and other.after)]
        yield not_looked_at("sessions", "sessions", f"no inventory before or after of {', '.join(unseen)}")
    if losses is None or not (concerned or losses.lost):
        return
    if not losses.sessions:
        yield not_looked_at("sessions", "sessions", "the inventory before holds none that anybody saw")
        return
    yield _sum_up(losses)
    for loss in losses.lost[:NAMED_LIMIT]:
        yield _name_loss(loss)
    if len(losses.lost) > NAMED_LIMIT:
        yield Finding(
            check="sessions",
            verdict=Verdict.FAIL,
            subject="sessions",
            message=f"… and {len(losses.lost) - NAMED_LIMIT} more sessions",
        )


def check_logins(evidence: Evidence) -> Iterator[Finding]:
    """Every user of auth is still there; without the row nobody can log in."""
    store = _holder(evidence.record, "users")
    if store is None:
        return
    found = _find_logins(evidence)
    if found is None:
        if store.lost:
            yield not_looked_at("logins", store.name, "no inventory after")
        return
    users, gone = found
    if gone:
        yield from _name_gone(evidence, store, users, gone)
    elif store.lost and not users:
        yield not_looked_at("logins", store.name, "the inventory before holds no user")
    elif store.lost:
        yield Finding(
            check="logins", verdict=Verdict.PASS, subject=store.name, message=f"{users} of {users} users can log in"
        )


def find_user_losses(evidence: Evidence) -> UserLosses | None:
    """The table of what each user lost; None when nothing was, or nothing can be said.

    Raises:
        EnvironmentUnfit: evidence is missing or was edited.
    """
    logins = _find_logins(evidence)
    return tabulate_losses(_find_sessions(evidence), logins[1] if logins else ())


def name_unasked(record: Record) -> tuple[str, ...]:
    """What these checks could not be asked, a sentence each, for the report of an older record."""
    inventories = [store.before for store in record.stores if isinstance(store.before, DatabaseInventory)]
    if not inventories or any(inventory.link_lines is not None for inventory in inventories):
        return ()
    return ("nothing about sessions and logins in users' words: not looked at, the record is older than these checks",)


def _holder(record: Record, name: str) -> StoreRecord | None:
    """The database that had these link lines before."""
    for store in record.stores:
        if isinstance(store.before, DatabaseInventory) and name in (store.before.link_lines or {}):
            return store
    return None


def _file_stores(record: Record) -> list[StoreRecord]:
    return [store for store in record.stores if store.kind == "files"]


def _find_sessions(evidence: Evidence) -> SessionLosses | None:
    """None where session-db or a replica was not looked at, or not for what binds them, before and after."""
    pair = _pair(_holder(evidence.record, "sessions"))
    files: dict[str, tuple[FilesInventory, FilesInventory]] = {}
    for replica in _file_stores(evidence.record):
        if not isinstance(replica.before, FilesInventory) or not isinstance(replica.after, FilesInventory):
            return None
        files[replica.name] = (replica.before, replica.after)
    if pair is None:
        return None
    return evidence.once("sessions", lambda: find_session_losses(*pair, files, evidence.folder, NAMED_LIMIT))


def _find_logins(evidence: Evidence) -> tuple[int, tuple[str, ...]] | None:
    pair = _pair(_holder(evidence.record, "users"))
    return pair and evidence.once("logins", lambda: find_login_losses(*pair, evidence.folder))


def _pair(store: StoreRecord | None) -> tuple[DatabaseInventory, DatabaseInventory] | None:
    if store and isinstance(store.before, DatabaseInventory) and isinstance(store.after, DatabaseInventory):
        return None if store.after.link_lines is None else (store.before, store.after)
    return None


def _sum_up(losses: SessionLosses) -> Finding:
    opened = losses.sessions - len(losses.lost)
    message = f"{opened} of {losses.sessions} sessions can be opened"
    if losses.lost:
        first = losses.lost[0]
        message += f"; {first.name} {_as_verb(first.reasons[0])}"
    for names, what in ((losses.dangling, "new rows without a file"), (losses.orphans, "new files without a row")):
        message += f"; {what}: {names.total}" if names.total else ""
    if losses.elsewhere:
        message += f"; datasets on a storage that is not rehearsed: {losses.elsewhere}"
    return Finding(
        check="sessions",
        verdict=Verdict.FAIL if losses.lost else Verdict.PASS,
        subject="sessions",
        message=message,
        details=(*_list_names("dangling: a row, no file", losses.dangling), *_list_names("orphan", losses.orphans)),
    )


def _as_verb(reason: str) -> str:
    return reason if reason.startswith("lost ") else f"cannot be opened as before: {reason}"


def _list_names(what: str, names: Names) -> Iterator[str]:
    for name in names.named:
        yield f"{what}: {name}"
    if names.total > len(names.named):
        yield f"{what}: … and {names.total - len(names.named)} more"


def _name_loss(loss: SessionLoss) -> Finding:
    told, *others = loss.reasons
    untold = loss.datasets - sum(reason.startswith("lost dataset ") for reason in loss.reasons)
    if untold:
        others.append(f"… and {untold} more datasets")
    return Finding(check="sessions", verdict=Verdict.FAIL, subject=loss.name, message=told, details=tuple(others))


def _name_gone(evidence: Evidence, store: StoreRecord, users: int, gone: tuple[str, ...]) -> Iterator[Finding]:
    named = gone[:NAMED_LIMIT]
    holder = _holder(evidence.record, "sessions")
    before = holder.before if holder else None
    owned = count_sessions(before, named, evidence.folder) if isinstance(before, DatabaseInventory) else {}
    for user in named:
        owns = f"; sessions of this user: {owned[user]}" if owned.get(user) else ""
        yield Finding(
            check="logins",
            verdict=Verdict.FAIL,
            subject=f"{store.name}: user {user}",
            message=f"cannot log in: the row in user_table is gone{owns}",
        )
    if len(gone) > len(named):
        yield Finding(
            check="logins",
            verdict=Verdict.FAIL,
            subject=store.name,
            message=f"… and {len(gone) - len(named)} more of {users} users cannot log in",
        )
