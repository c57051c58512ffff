"""The docker binary on the pods of one rehearsal: commands and copies, streamed, as kubectl does them on kind.

`docker exec` runs as the container's own user, in its working directory, with its environment, as `kubectl exec` does.
`docker cp` is not used: it writes as root, while `kubectl cp` is a tar that runs inside as the pod's user.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from rehearsal.clusters import local_copying
from rehearsal.clusters.container_engine import RUN
from rehearsal.clusters.kind_tools import engine_environment
from rehearsal.launch import Process
from rehearsal.roles import ByteSource
from rehearsal.shell import Outcome, Shell


@dataclass(frozen=True)
class _Inside:
    """One container as a stage of a pipeline."""

    container: str
    environment: Mapping[str, str]

    def process(self, argv: Sequence[str]) -> Process:
        return Process(("docker", "exec", "-i", self.container, *argv), env=self.environment)

    def show(self, argv: Sequence[str]) -> str:
        return shlex.join(self.process(argv).argv)


@dataclass(frozen=True)
class DockerCli:
    """docker, bound to an engine and a rehearsal; plays `metered_exec.Entrance` and `pod_copies.Copier`.

    Attributes:
        address: of the engine, the same that its API was reached at.
        prefix: a pod's container is called `<prefix>-<pod>`.
    """

    shell: Shell
    address: str
    prefix: str
    nonce: str
    tool: ClassVar[str] = "docker"

    def container(self, pod: str) -> str:
        return f"{self.prefix}-{pod}"

    def enter(self, pod: str, *, with_input: bool) -> tuple[str, ...]:
        """The arguments that come before a command to run in the pod."""
        options = ("-i",) if with_input else ()
        return ("exec", *options, self.container(pod))

    def run(
        self,
        *arguments: str,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        deadline: float = 120.0,
        accept: Collection[int] | None = (0,),
        shown: str | None = None,
    ) -> Outcome:
        """`docker ARGUMENTS`; see `Shell.run`."""
        return self.shell.run(
            Process(("docker", *arguments), env=self._environment()),
            stdin=stdin,
            stdout=stdout,
            deadline=deadline,
            accept=accept,
            shown=shown,
        )

    def show(self, *arguments: str) -> str:
        return shlex.join(("docker", *arguments))

    def show_pods(self) -> str:
        return self.show("ps", "-a", "--filter", f"label={RUN}={self.nonce}")

    def copy_out(self, pod: str, source: str, target: Path) -> Outcome:
        """What `kubectl cp POD:source target` does, any status."""
        return local_copying.copy_out(self.shell, self._inside(pod), source, target)

    def copy_in(self, source: Path, pod: str, target: str) -> Outcome:
        """What `kubectl cp source POD:target` does, any status."""
        return local_copying.copy_in(self.shell, self._inside(pod), source, target)

    def _inside(self, pod: str) -> _Inside:
        return _Inside(self.container(pod), self._environment())

    def _environment(self) -> dict[str, str]:
        """The address is set, so that the binary and the API mean the same engine."""
        kept = engine_environment()
        kept.pop("DOCKER_CONTEXT", None)
        return {**kept, "DOCKER_HOST": self.address}
