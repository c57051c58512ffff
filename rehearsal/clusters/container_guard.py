"""Proof, before every call that destroys something, that this run made what is about to be destroyed.

At the start an empty volume is made whose label is the run's nonce, and the engine's own id is noted. Before every
destructive call both are read again from the engine, and so is the label of the very container or volume it is about.
Whatever does not match, or cannot be read, refuses; nothing was done then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from rehearsal.clusters.container_engine import RUN, Engine, Seen
from rehearsal.errors import EnvironmentUnfit, Refused


@dataclass(frozen=True)
class ContainerGuard:
    """Knows what this run made.

    Attributes:
        marker: name of the volume that is the marker.
        identity: of the engine at the start.
    """

    engine: Engine
    marker: str
    nonce: str
    identity: str

    def check(self, doing: str) -> None:
        """Return when the engine is the same and the marker is this run's.

        Args:
            doing: the call that waits, for the message.

        Raises:
            Refused: the engine or the marker is another's, missing or unreadable.
        """
        try:
            if self.engine.identity() != self.identity:
                self._refuse(doing, "another container engine answers there")
            found = self.engine.see_volume(self.marker)
        except EnvironmentUnfit as error:
            self._refuse(doing, f"the marker cannot be read: {error.what}")
        self._compare(doing, f"volume {self.marker}", found)

    def check_container(self, doing: str, name: str) -> None:
        """The same, and the container is this run's; one that is gone needs no proof."""
        self.check(doing)
        self._check_one(doing, f"container {name}", lambda: self.engine.see_container(name))

    def check_volume(self, doing: str, name: str) -> None:
        """The same for a volume."""
        self.check(doing)
        self._check_one(doing, f"volume {name}", lambda: self.engine.see_volume(name))

    def _check_one(self, doing: str, what: str, see: Callable[[], Seen | None]) -> None:
        try:
            found = see()
        except EnvironmentUnfit as error:
            self._refuse(doing, f"{what} cannot be read: {error.what}")
        if found is not None:
            self._compare(doing, what, found)

    def _compare(self, doing: str, what: str, found: Seen | None) -> None:
        if found is None:
            self._refuse(doing, f"there is no {what}")
        if found.labels.get(RUN) != self.nonce:
            self._refuse(doing, f"the label {RUN} of {what} is not this run's")

    def _refuse(self, doing: str, why: str) -> NoReturn:
        raise Refused(
            f"refused to {doing}: {why}; nothing was done",
            where=self.engine.address,
            hint=f"docker volume inspect {self.marker}",
        )
