"""Ports of pods on loopback, one a pod, kept up for the next caller.

A forward that leads to a pod which is gone is opened anew; where none can be held, each connection goes through exec.
"""

from __future__ import annotations

from pathlib import Path

from rehearsal.clusters.exec_forward import ExecForward
from rehearsal.clusters.forward import Forward
from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.errors import EnvironmentUnfit, WaitTimeout


class PodPorts:
    """The ways to one namespace's pods.

    Args:
        scratch: a folder of ours for their logs.
    """

    def __init__(self, kubectl: Kubectl, reads: KubeReads, scratch: Path) -> None:
        self._kubectl = kubectl
        self._reads = reads
        self._scratch = scratch
        self.ways: dict[str, Forward | ExecForward] = {}
        self._led_to: dict[str, str] = {}  # the UID of the pod that each way leads to

    def open(self, pod: str, remote_port: int) -> int:
        """The port on 127.0.0.1, a way to the pod's behind it.

        Raises:
            EnvironmentUnfit, WaitTimeout: there is neither a forward nor a pod.
        """
        state = self._reads.read_pod(pod)
        if state is not None and self._led_to.get(pod) != state.uid:
            self.close(pod)  # it leads to a pod that is gone, and would say so only to the next caller
            self._led_to[pod] = state.uid
        way = self.ways.get(pod) or Forward(self._kubectl, pod, remote_port, self._scratch / f"forward-{pod}.log")
        try:
            port = way.open()
        except (EnvironmentUnfit, WaitTimeout) as error:
            if isinstance(way, ExecForward) or state is None:
                raise
            said = f"no forward to {pod} can be held, each connection goes through exec: {error.what}"
            self._kubectl.shell.journal.note(said)
            way.close()
            way = ExecForward(self._kubectl, pod, remote_port, self._scratch / f"way-{pod}.log")
            port = way.open()
        self.ways[pod] = way
        return port

    def close(self, pod: str) -> None:
        """End the way to that pod; nothing happens where there is none."""
        way = self.ways.pop(pod, None)
        if way is not None:
            way.close()

    def close_all(self) -> None:
        for pod in tuple(self.ways):
            self.close(pod)
