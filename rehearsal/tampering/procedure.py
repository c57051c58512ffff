"""Operators on the procedure: a step of the runbook that was not done, or done to nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from rehearsal.deployment import StoreSpec
from rehearsal.roles import Cluster, Loss, Method, Stage
from rehearsal.tampering import Harmless


@dataclass(frozen=True)
class _RestoreNothing:
    """A method that backs up like another and restores nothing."""

    inner: Method

    @property
    def name(self) -> str:
        return f"{self.inner.name}, restore skipped"

    @property
    def runbook(self) -> str:
        return self.inner.runbook

    def back_up(self, stage: Stage) -> None:
        self.inner.back_up(stage)

    def restore(self, stage: Stage) -> None:
        stage.journal.note("tampering: the restore is skipped")


@dataclass(frozen=True)
class SkipRestore(Harmless):
    """The restore is never run."""

    name: str = "restore skipped"
    why: str = "a cron job that died between loss and restore left every exit status of the night at 0"

    def method(self, method: Method) -> Method:
        return _RestoreNothing(method)


class _NothingDeleted:
    """A cluster on which deleting a claim, or emptying a hostPath, does nothing."""

    def __init__(self, inner: Cluster) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def delete_claim(self, claim: str) -> None:
        """Keep it."""

    def empty_host_path(self, store: StoreSpec) -> None:
        """Keep what is in it."""


@dataclass(frozen=True)
class _LoseNothing:
    """A loss that goes through its steps and deletes nothing."""

    inner: Loss

    @property
    def name(self) -> str:
        return f"{self.inner.name}, but nothing is deleted"

    def lose(self, stage: Stage) -> None:
        self.inner.lose(replace(stage, cluster=cast(Cluster, _NothingDeleted(stage.cluster))))


@dataclass(frozen=True)
class KeepClaim(Harmless):
    """The claim is never deleted: the "restored" data are the old ones."""

    name: str = "claim not deleted"
    why: str = "with reclaimPolicy Retain, a hostPath or a forgotten step the lost data are still there (facts, trap 8)"

    def loss(self, loss: Loss) -> Loss:
        return _LoseNothing(loss)
