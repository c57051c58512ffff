"""Which level of cluster a run uses, and the session that opens one cluster a rehearsal.

A session holds what several rehearsals of a run share (server binaries, a kind cluster); each rehearsal gets a cluster
of its own from it. `auto` takes kind where a container engine and kind answer, else local.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rehearsal.clusters.kind_tools import engine_environment, find_kind_tools
from rehearsal.deployment import Deployment
from rehearsal.errors import CommandFailed, EnvironmentUnfit, UsageError, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.roles import Cluster
from rehearsal.shell import Shell

MakeManifests = Callable[[Deployment, str, str], list[dict[str, Any]]]
"""Kubernetes objects of a deployment, with a stand-in image and the root of its host paths."""

LEVELS = ("auto", "local", "containers", "kind")


@dataclass(frozen=True)
class Wish:
    """What the user asked for.

    Attributes:
        level: one of LEVELS.
        pg_bin: folder of PostgreSQL server binaries, for `local`.
        memory_need: bytes that a local cluster may take in memory; 0: it lies on disk.
        make_manifests: Kubernetes objects of a deployment, for `kind` and `containers`.
        images: the ones that values.yaml names, for `containers`.
        pull: whether an image that is not at hand may be pulled.
        storage_class: that the claims ask for, "" for none, for `kind`.
    """

    level: str
    pg_bin: Path | None
    memory_need: int
    make_manifests: MakeManifests
    images: tuple[str, ...] = ()
    pull: bool = True
    storage_class: str = ""


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

    def prepare(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> None:
        """Make what the rehearsals share before the first of them, in the journal of `folder`; else the first does."""

    def open(self, folder: Path, nonce: str, journal: Journal, shell: Shell) -> Cluster:
        """A cluster for one rehearsal, empty, with this nonce in its marker."""

    def close(self) -> None:
        """End what the rehearsals shared."""


def open_session(wish: Wish) -> ClusterSession:
    """The session for the level that was asked for; its description says which one `auto` took, and why.

    Raises:
        EnvironmentUnfit: what the level needs is missing on this machine.
        UsageError: there is no such level.
    """
    if wish.level == "local":
        return _open_local(wish)
    if wish.level == "kind":
        return _open_kind(wish)
    if wish.level == "containers":
        return _open_containers(wish)
    if wish.level == "auto":
        reason = _why_not_kind(wish)
        return _open_local(wish, f"auto: {reason}") if reason else _open_kind(wish)
    raise UsageError(f"there is no --cluster {wish.level}", hint=f"--cluster {' or '.join(LEVELS)}")


def _open_local(wish: Wish, reason: str = "") -> ClusterSession:
    from rehearsal.clusters.local_session import LocalSession

    return LocalSession(wish.pg_bin, wish.memory_need, reason)


def _open_kind(wish: Wish) -> ClusterSession:
    reason = _why_no_engine()
    if reason:
        raise EnvironmentUnfit(reason, hint="make kind-kit, which installs and starts an engine; or --cluster local")
    try:
        from rehearsal.clusters.kind import KindSession
    except ImportError as error:
        raise EnvironmentUnfit(
            f"the Python package {error.name} is missing", hint="make kind-kit; or pip install -e '.[kind]'"
        ) from error
    return KindSession(find_kind_tools(), wish.make_manifests, wish.storage_class)


def _open_containers(wish: Wish) -> ClusterSession:
    reason = _why_no_engine()
    if reason:
        raise EnvironmentUnfit(reason, hint="make kind-kit, which installs and starts an engine; or --cluster local")
    try:
        from rehearsal.clusters.containers_session import ContainersSession
    except ImportError as error:
        raise EnvironmentUnfit(
            f"the Python package {error.name} is missing", hint="pip install -e '.[containers]'"
        ) from error
    return ContainersSession(wish.make_manifests, wish.images, pull=wish.pull)


def _why_not_kind(wish: Wish) -> str:
    """One clause: why `auto` does not take kind; "" when it can."""
    try:
        _open_kind(wish)
    except EnvironmentUnfit as error:
        return error.what
    return ""


def _why_no_engine() -> str:
    """One clause: why there is no container engine; "" when one answers."""
    shell = Shell(Journal(Path(os.devnull)))
    try:
        shell.run(
            Process(("docker", "info", "--format", "{{.ServerVersion}}"), env=engine_environment()), deadline=20.0
        )
    except (CommandFailed, EnvironmentUnfit, WaitTimeout):
        return "no container engine answers"
    finally:
        shell.journal.close()
    return ""
