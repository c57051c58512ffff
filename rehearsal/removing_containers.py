"""What a dead run left of a containers cluster, removed by `rehearsal clean`: its containers and its volumes.

One is taken for ours only when its name has the form that we give, made from the nonce in the journal, and the engine
itself says that it carries that nonce as a label. The engine is asked by its own binary, so that cleaning needs no
extra of ours; the journal may name an engine of this machine, nothing else.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.clusters.kind_tools import engine_environment
from rehearsal.errors import CommandFailed, EnvironmentUnfit, Refused, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.launch import Process
from rehearsal.shell import Outcome, Shell
from rehearsal.waiting import wait_until

if TYPE_CHECKING:
    from rehearsal.cleaning import Owned

_LABEL = "chipster-rehearsal.run"
_SETTLE = 1.0
"""Seconds without it before it is not there: the engine ends what it was asked for, also when the asker was killed."""
_ABSENT = ("no such container", "no such volume")


def remove_container(owned: Owned) -> bool:
    """Remove a container that a run made, running or not.

    Raises:
        Refused: it is not certain that it is that run's, or the engine does not answer; nothing was removed.
        EnvironmentUnfit: it is left.
    """
    return _remove(owned, "container", "{{json .Config.Labels}}", ("rm", "--force", "--volumes"))


def remove_volume(owned: Owned) -> bool:
    """The same for a volume and its content."""
    return _remove(owned, "volume", "{{json .Labels}}", ("volume", "rm"))


def _remove(owned: Owned, kind: str, labels: str, command: tuple[str, ...]) -> bool:
    nonce = str(owned.marks.get("nonce", ""))
    if len(nonce) < 12 or not owned.name.startswith(f"rehearsal-{nonce[:12].lower()}-"):
        raise Refused("its name is not of the form that a run gives")
    address = str(owned.marks.get("engine", ""))
    if not address.startswith("unix://"):
        raise Refused("the journal does not name an engine of this machine")
    journal = Journal(Path(os.devnull))
    try:
        docker = _Docker(Shell(journal), address)
        found = None
        with suppress(WaitTimeout):
            found = wait_until(lambda: docker.read_labels(kind, owned.name, labels), _SETTLE, owned.name)
        if found is None:
            return False
        if found.get(_LABEL) != nonce:
            raise Refused(f"its label {_LABEL} is not that run's", hint=f"docker {kind} inspect {owned.name}")
        said = docker.run(*command, owned.name).stderr.decode(errors="replace").strip()
        if docker.read_labels(kind, owned.name, labels) is not None:
            raise EnvironmentUnfit(
                f"it is still there: {said}", where=owned.name, hint=f"docker {kind} inspect {owned.name}"
            )
    finally:
        journal.close()
    return True


class _Docker:
    """The docker binary on the engine at that address."""

    def __init__(self, shell: Shell, address: str) -> None:
        self._shell = shell
        self._environment = {**engine_environment(), "DOCKER_HOST": address}
        self._environment.pop("DOCKER_CONTEXT", None)

    def run(self, *arguments: str) -> Outcome:
        """Any status."""
        process = Process(("docker", *arguments), env=self._environment)
        return self._shell.run(process, accept=None, deadline=120.0)

    def read_labels(self, kind: str, name: str, labels: str) -> dict[str, str] | None:
        """Its labels; None where there is no such thing.

        Raises:
            Refused: the engine does not answer.
        """
        try:
            outcome = self.run(kind, "inspect", "--format", labels, name)
        except (CommandFailed, EnvironmentUnfit, WaitTimeout) as error:
            raise _unanswered(error.what) from error
        if outcome.statuses == (0,):
            return {"": "", **(json.loads(outcome.stdout) or {})}
        said = outcome.stderr.decode(errors="replace").strip()
        if any(words in said.lower() for words in _ABSENT):
            return None
        raise _unanswered(said)


def _unanswered(said: str) -> Refused:
    return Refused(
        f"the container engine does not answer: {said}",
        hint="start it (ci/kit/engine start, or systemctl start docker), then: rehearsal clean",
    )
