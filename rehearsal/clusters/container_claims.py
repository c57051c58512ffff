"""Claims on the containers level: each a named volume of the engine, with an identity of its own in its label.

The engine is asked every time, but for one thing: a volume's labels cannot be changed, so that a claim was deleted
while its pod still used it is remembered here, until the pod is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from rehearsal.clusters.container_engine import CLAIM, RUN, UID, Engine
from rehearsal.clusters.container_guard import ContainerGuard
from rehearsal.errors import RehearsalError
from rehearsal.journal import Journal
from rehearsal.roles import ClaimIdentity


class ContainerClaims:
    """The claims of one rehearsal.

    Args:
        prefix: a claim's volume is called `<prefix>-<claim>-<8 digits of its uid>`.
    """

    def __init__(self, engine: Engine, guard: ContainerGuard, prefix: str, journal: Journal) -> None:
        self._engine = engine
        self._guard = guard
        self._prefix = prefix
        self._journal = journal
        self._volumes: dict[str, str] = {}
        self._terminating: set[str] = set()

    def ensure(self, claim: str) -> bool:
        """Make the claim where there is none; whether it is new."""
        name = self._volumes.get(claim)
        if name is not None and self._engine.see_volume(name) is not None:
            return False
        uid = str(uuid.uuid4())
        name = f"{self._prefix}-{claim}-{uid[:8]}"
        self._engine.make_volume(name, {RUN: self._guard.nonce, CLAIM: claim, UID: uid}, self._journal)
        self._volumes[claim] = name
        return True

    def volume(self, claim: str) -> str:
        """The engine's name for it."""
        return self._volumes[claim]

    def find(self, claim: str) -> ClaimIdentity | None:
        """The claim now, as the engine's labels say."""
        name = self._volumes.get(claim)
        found = None if name is None else self._engine.see_volume(name)
        if found is None:
            return None
        return ClaimIdentity(claim, found.labels.get(UID, ""), found.created, terminating=claim in self._terminating)

    def delete(self, claim: str, in_use: Callable[[], bool]) -> None:
        """Remove it and its content, or only mark it while a pod uses it.

        Raises:
            Refused: it is not this run's; nothing was done.
        """
        name = self._volumes.get(claim)
        if name is None:
            self._guard.check(f"delete claim {claim}")
            raise RehearsalError(f'persistentvolumeclaims "{claim}" not found')
        self._guard.check_volume(f"delete claim {claim}", name)
        if in_use():
            self._terminating.add(claim)
        else:
            self._remove(claim, name)

    def let_go(self, claim: str) -> None:
        """Its pod is gone: remove it if it was only waiting for that."""
        if claim in self._terminating:
            self._guard.check_volume(f"remove claim {claim}", self._volumes[claim])
            self._remove(claim, self._volumes[claim])

    def _remove(self, claim: str, name: str) -> None:
        self._engine.remove_volume(name)
        self._journal.disown("volume", name)
        del self._volumes[claim]
        self._terminating.discard(claim)
