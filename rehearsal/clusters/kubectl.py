"""The kubectl binary on one cluster and one namespace, told everything, finding nothing out for itself.

The private kubeconfig is part of every command line and its environment is built from nothing: no ambient KUBECONFIG,
no `~/.kube` with its cache and preferences, no proxy between us and a server on loopback. What is shown and journalled
is the manual's own command with these two options, so that it can be pasted.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from rehearsal.launch import Process
from rehearsal.roles import ByteSource
from rehearsal.shell import Outcome, Shell

_COPY_DEADLINE = 24 * 3600.0
_FEW_COLLECTIONS = {"GOGC": "off", "GOMEMLIMIT": "96MiB"}
"""Most calls end before they need this much, and a fifth of what an exec cost all in all went to collecting garbage."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl, bound to a cluster and a namespace.

    Attributes:
        binary: absolute path.
        kubeconfig: the private one.
        namespace: of this rehearsal.
        home: an own folder that stands for HOME, for kubectl's cache.
        websockets: KUBECTL_REMOTE_COMMAND_WEBSOCKETS; None leaves kubectl its default.
    """

    shell: Shell
    binary: Path
    kubeconfig: Path
    namespace: str
    home: Path
    websockets: bool | None = None
    tool: ClassVar[str] = "kubectl"

    def run(
        self,
        *arguments: str,
        stdin: ByteSource | None = None,
        stdout: Path | IO[bytes] | None = None,
        deadline: float = 120.0,
        accept: Collection[int] | None = (0,),
        shown: str | None = None,
    ) -> Outcome:
        """`kubectl ARGUMENTS`; see `Shell.run`."""
        return self.shell.run(
            self.process(*arguments),
            stdin=stdin,
            stdout=stdout,
            deadline=deadline,
            accept=accept,
            shown=shown or self.show(*arguments),
        )

    def process(self, *arguments: str) -> Process:
        return Process((str(self.binary), *self._where(), *arguments), env=self.environment())

    def show(self, *arguments: str) -> str:
        """The command to paste; `kubectl` alone where the PATH leads to this very binary."""
        name = "kubectl" if shutil.which("kubectl") == str(self.binary) else str(self.binary)
        return shlex.join((name, *self._where(), *arguments))

    def enter(self, pod: str, *, with_input: bool) -> tuple[str, ...]:
        """The arguments that come before a command to run in the pod."""
        return ("exec", "-i", pod, "--") if with_input else ("exec", pod, "--")

    def show_pods(self) -> str:
        return self.show("get", "pods")

    def copy_out(self, pod: str, source: str, target: Path) -> Outcome:
        """`kubectl cp POD:source target`, any status."""
        return self.run("cp", f"{pod}:{source}", str(target), deadline=_COPY_DEADLINE, accept=None)

    def copy_in(self, source: Path, pod: str, target: str) -> Outcome:
        """`kubectl cp source POD:target`, any status."""
        return self.run("cp", str(source), f"{pod}:{target}", deadline=_COPY_DEADLINE, accept=None)

    def environment(self) -> Mapping[str, str]:
        chosen = {} if self.websockets is None else {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": str(self.websockets).lower()}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "LANG": "C.UTF-8",
            **_FEW_COLLECTIONS,
            **chosen,
        }

    def _where(self) -> tuple[str, ...]:
        return ("--kubeconfig", str(self.kubeconfig), "-n", self.namespace)
