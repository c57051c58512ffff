"""Waiting for pods by watching them, with a deadline, and saying at its end what they were doing.

A change of a pod in the namespace wakes the waiting, and so does a second without one; a starting pod has a dozen of
changes in a second, so those of a quarter of one are looked at together. The error names the pod, its state, the
cluster's last events about it, the end of its log, and the kubectl command to type next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.pod_complaints import complain
from rehearsal.clusters.pod_states import PodState
from rehearsal.clusters.pod_troubles import NODE_PATIENCE, PATIENCE, TroubleClock
from rehearsal.errors import WaitTimeout

_PAUSE = 0.25
"""Seconds between two looks, at least: each is a list, and a watch with a connection of its own."""


@dataclass(frozen=True)
class PodWaits:
    """Waits in one namespace.

    Attributes:
        kubectl: shows the command to type next.
        patience, node_patience: seconds, see `pod_troubles`.
    """

    reads: KubeReads
    kubectl: Kubectl
    patience: float = PATIENCE
    node_patience: float = NODE_PATIENCE

    def wait_ready(self, pods: Collection[str], deadline: float, workloads: Collection[str] = ()) -> None:
        """Return when all these pods are ready, and as the latest change of their workload wants them.

        Raises:
            WaitTimeout: the deadline passed, or a pod cannot become ready.
        """

        def lacking(seen: Sequence[PodState]) -> list[str]:
            states = {state.name: state for state in seen}
            unready = [
                name for name in pods if (state := states.get(name)) is None or not state.ready or state.deleting
            ]
            if unready:
                return unready  # the workloads are worth asking only once their pods are ready
            wanted = {name: self.reads.read_workload(name) for name in workloads}
            unsettled = [name for name, workload in wanted.items() if workload is None or not workload.settled]
            revisions = {workload.revision for workload in wanted.values() if workload}
            return unsettled + [name for name in pods if revisions and states[name].revision not in revisions]

        self._wait(lacking, deadline, "ready")

    def wait_gone(self, chosen: Callable[[PodState], bool], deadline: float) -> None:
        """Return when no pod of these is there any more.

        Raises:
            WaitTimeout: the deadline passed.
        """
        self._wait(lambda seen: [state.name for state in seen if chosen(state)], deadline, "gone", gives_up=False)

    def wait_ended(self, pod: str, deadline: float) -> str:
        """The phase, `Succeeded` or `Failed`, of a pod that runs once."""

        def running(seen: Sequence[PodState]) -> list[str]:
            return [] if any(s.name == pod and s.phase in ("Succeeded", "Failed") for s in seen) else [pod]

        self._wait(running, deadline, "at its end")
        state = self.reads.read_pod(pod)
        return state.phase if state else "gone"

    def wait_settled(self, pod: str, deadline: float) -> PodState:
        """The pod when it is ready, or has ended.

        Raises:
            WaitTimeout: the deadline passed, or it cannot become ready.
        """
        last: list[PodState] = []

        def unsettled(seen: Sequence[PodState]) -> list[str]:
            last[:] = [s for s in seen if s.name == pod and (s.ready or s.phase in ("Succeeded", "Failed"))]
            return [] if last else [pod]

        self._wait(unsettled, deadline, "ready")
        return last[0]

    def wait_claim_gone(self, claim: str, uid: str, deadline: float) -> None:
        """Return when the claim of that identity is gone."""
        end = time.monotonic() + deadline
        while (found := self.reads.claim_identity(claim)) is not None and found.uid == uid:
            left = end - time.monotonic()
            if left <= 0:
                raise WaitTimeout(
                    f"claim {claim} is not gone after {deadline:g} s, though no pod uses it",
                    where=claim,
                    hint=self.kubectl.show("describe", "pvc", claim),
                )
            self.reads.await_claim_change(min(1.0, left))

    def wait_no_claims(self, deadline: float) -> None:
        """Return when the namespace has no claim any more."""
        end = time.monotonic() + deadline
        while left := self.reads.list_claims():
            if time.monotonic() >= end:
                raise WaitTimeout(f"claims are left after {deadline:g} s: {', '.join(left)}", where=left[0])
            self.reads.await_claim_change(1.0)

    def _wait(
        self, lacking: Callable[[Sequence[PodState]], list[str]], deadline: float, state: str, *, gives_up: bool = True
    ) -> None:
        """`gives_up`: whether it ends early for a pod that will not get ready; whoever wants it gone waits on."""
        began = time.monotonic()
        clock = TroubleClock(self.patience, self.node_patience)
        while True:
            seen, version = self.reads.list_pods()
            names = lacking(seen)
            if not names:
                return
            now = time.monotonic()
            for pod in seen:
                if clock.is_hopeless(pod, now) and gives_up and pod.name in names:
                    raise self._complain(pod.name, seen, f"cannot become {state}")
            left = began + deadline - now
            if left <= 0:
                raise self._complain(names[0], seen, f"is not {state} after {deadline:g} s", names[1:])
            time.sleep(min(_PAUSE, left))
            self.reads.await_pod_change(version, min(1.0, left))

    def _complain(self, name: str, seen: Sequence[PodState], what: str, others: Sequence[str] = ()) -> WaitTimeout:
        state = next((pod for pod in seen if pod.name == name), None)
        return complain(self.reads, self.kubectl, name, state, what, others)
