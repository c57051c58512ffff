"""Which level of cluster a run uses, and the session that opens one cluster a rehearsal.

A session holds what several rehearsals of a run share (server binaries, a kind cluster); each rehearsal gets a cluster
of its own from it. `auto` takes kind where a container engine and kind answer, else local.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rehearsal.errors import UsageError
from rehearsal.journal import Journal
from rehearsal.roles import Cluster
from rehearsal.shell import Shell

LEVELS = ("auto", "local", "containers", "kind")


@dataclass(frozen=True)
class Wish:
    """What the user asked for.

    Attributes:
        level: one of LEVELS.
        pg_bin: folder of PostgreSQL server binaries, for `local`.
        memory_need: bytes that a local cluster may take in memory; 0: it lies on disk.
        say: prints one line for the user: which level was taken and why.
    """

    level: str
    pg_bin: Path | None
    memory_need: int
    say: Callable[[str], None]


class ClusterSession(Protocol):
    """What the rehearsals of one run share."""

    @property
    def level(self) -> str:
        """`local`, `containers` or `kind`."""

    @property
    def description(self) -> str:
        """One line for headers and reports: the level and what it runs on."""

    @property
    def does_not_prove(self) -> tuple[str, ...]:
        """As `Cluster.does_not_prove`."""

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> Cluster:
        """A cluster for one rehearsal, empty, with this nonce in its marker."""

    def close(self) -> None:
        """End what the rehearsals shared."""


def open_session(wish: Wish) -> ClusterSession:
    """The session for the level that was asked for.

    Raises:
        EnvironmentUnfit: what the level needs is missing on this machine.
        UsageError: the level is not there yet.
    """
    if wish.level in ("auto", "local"):
        from rehearsal.clusters.local_session import LocalSession

        return LocalSession(wish.pg_bin, wish.memory_need)
    raise UsageError(f"--cluster {wish.level} is not there yet", hint="--cluster local")
