"""What a dead run left of a kind cluster, removed by `rehearsal clean`: its nodes, and with them every namespace.

A cluster is taken for ours only when everything agrees: the name in the journal has the form that we give, its private
folder is named by the same nonce and carries it, and the engine labels the containers with that very name. The engine
is asked itself: a journal names binaries, and nothing that a journal names is ever started. The network `kind` stays,
other clusters share it.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.clusters.kind_tools import engine_environment, name_engine
from rehearsal.clusters.local_places import read_nonce
from rehearsal.errors import CommandFailed, EnvironmentUnfit, Refused, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.processes import Identity, find_tagged
from rehearsal.shell import Outcome, Shell
from rehearsal.waiting import wait_until

if TYPE_CHECKING:
    from rehearsal.cleaning import Owned

_NAME = re.compile(r"rehearsal-([0-9a-f]{12})")
_FOLDER = re.compile(r"rehearsal-kind-([0-9a-f]{12})")
_LABEL = "io.x-k8s.kind.cluster"
_SETTLE = 2.0
"""Seconds without a node before there is none: the engine ends a `docker run` that it has begun, also when whoever
asked for it was killed."""
_DEADLINE = 120.0


def remove_kind_cluster(owned: Owned) -> bool:
    """Remove the nodes of a cluster that a run made, with their volumes.

    Raises:
        Refused: it is not certain that the cluster is that run's, or the engine does not answer; nothing was removed.
        EnvironmentUnfit: nodes are left.
    """
    found = _NAME.fullmatch(owned.name)
    folder = Path(str(owned.marks.get("kubeconfig", ""))).parent
    if found is None or folder.name != f"rehearsal-kind-{found[1]}":
        raise Refused("its name and its private folder are not of the form that a run gives")
    # Another engine has no such node and would be believed; then nobody knew any more of the one that has.
    made_by = owned.marks.get("engine")
    if made_by is not None and made_by != name_engine():
        there, here = made_by or "this machine's own engine, without DOCKER_HOST", name_engine() or "this machine's own"
        raise Refused(f"it was made with {there}, and {here} is asked now", hint=f"{made_by} rehearsal clean".strip())
    with _asking() as shell:
        nodes = _list_nodes(shell, owned.name)
        if nodes:
            _recognise(owned.name, found[1], folder, nodes)
        ended = _end_commands(owned.name)
        return _remove_nodes(shell, owned.name) or ended


def remove_namespace(owned: Owned) -> bool:
    """A namespace goes with its cluster: False when that is gone.

    Raises:
        Refused: the cluster is still there, or the engine does not answer.
    """
    kubeconfig = Path(str(owned.marks.get("kubeconfig", "")))
    found = _FOLDER.fullmatch(kubeconfig.parent.name)
    if found is None:
        raise Refused("the journal does not say in which cluster of ours it was made")
    with _asking() as shell:
        if not _list_nodes(shell, f"rehearsal-{found[1]}"):
            return False
    raise Refused(
        f"its cluster rehearsal-{found[1]} is still there, and goes with the run that made it",
        hint=f"kubectl --kubeconfig {kubeconfig} get all,pvc -n {owned.name}",
    )


@contextmanager
def _asking() -> Iterator[Shell]:
    journal = Journal(Path(os.devnull))
    try:
        yield Shell(journal)
    finally:
        journal.close()


def _docker(shell: Shell, *arguments: str, accept: tuple[int, ...] | None = (0,), deadline: float = 30.0) -> Outcome:
    return shell.run(Process(("docker", *arguments), env=engine_environment()), accept=accept, deadline=deadline)


def _list_nodes(shell: Shell, name: str) -> list[str]:
    """Names of the containers, running or not, that the engine labels as that cluster's."""
    try:
        listed = _docker(shell, "ps", "--all", "--filter", f"label={_LABEL}={name}", "--format", "{{.Names}}")
    except (CommandFailed, EnvironmentUnfit, WaitTimeout) as error:
        raise Refused(
            f"the container engine does not answer: {error.what}",
            hint="start it (ci/kit/engine start, or systemctl start docker), then: rehearsal clean",
        ) from error
    return listed.stdout.decode().split()


def _recognise(name: str, token: str, folder: Path, nodes: list[str]) -> None:
    hint = f"docker ps --all --filter label={_LABEL}={name}"
    nonce = read_nonce(folder)
    if nonce is None:
        raise Refused(f"its private folder {folder} has no marker", hint=hint)
    if nonce[: len(token)] != token:
        raise Refused(f"the marker in {folder} names another run", hint=hint)
    if strange := [node for node in nodes if not node.startswith(f"{name}-")]:
        raise Refused(f"containers with its label have other names: {', '.join(strange)}", hint=hint)


def _end_commands(name: str) -> bool:
    """End what the run still had at work on the cluster (`kind delete`, `docker exec` in a node), by group.

    Those carry a run's tag in their environment and the cluster, or a node of it, in their arguments.
    """
    at_work = [command for command in chain(*find_tagged().values()) if _names(command, name)]
    for command in at_work:
        with suppress(ProcessLookupError):
            if os.getpgid(command.pid) == command.pid:
                os.killpg(command.pid, signal.SIGKILL)
            else:
                os.kill(command.pid, signal.SIGKILL)
    for command in at_work:
        wait_until(lambda command=command: not command.is_alive(), 10.0, f"the end of process {command.pid}")  # type: ignore[misc]
    return bool(at_work)


def _names(command: Identity, name: str) -> bool:
    try:
        words = (Path("/proc") / str(command.pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word == name or word.startswith(f"{name}-") for word in map(os.fsdecode, words))


def _remove_nodes(shell: Shell, name: str) -> bool:
    """Remove until none was there for `_SETTLE` seconds; whether there was any."""
    removed, said = False, ""
    end = time.monotonic() + _DEADLINE
    empty_since: float | None = None
    while time.monotonic() < end:
        nodes = _list_nodes(shell, name)
        if nodes:
            removed, empty_since = True, None
            # Any status: somebody else may be removing it right now, and the next look tells.
            outcome = _docker(shell, "rm", "--force", "--volumes", *nodes, accept=None, deadline=_DEADLINE)
            said = outcome.stderr.decode(errors="replace").strip()[-300:] or said
        elif empty_since is None:
            empty_since = time.monotonic()
        elif time.monotonic() - empty_since >= _SETTLE:
            return removed
        time.sleep(0.25)
    raise EnvironmentUnfit(
        f"nodes are left: {said or 'the engine said nothing'}",
        where=name,
        hint=f"docker ps --all --filter label={_LABEL}={name}",
    )
