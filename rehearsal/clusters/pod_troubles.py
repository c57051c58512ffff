"""Which pod will not get ready, told from one that needs time, so that a mistake does not cost a whole deadline.

What cannot change is named at once, what a registry may still mend after a while. A crash loop is counted, not timed:
the cluster says CrashLoopBackOff only between two lives of a container, and a clock would start again with each. One
clock serves one wait, and judges without a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.clusters.pod_states import CRASHING, UNFIT, WANTING, PodState

PATIENCE = 30.0
"""Seconds that a container may lack its image or its configuration: a registry that was restarted answers by then."""
NODE_PATIENCE = 60.0
"""Seconds that no node may take a pod. A throwaway cluster gets no second node, so what the scheduler says stays, but
for two things that pass: a claim that is bound before its pod has a node waits for its provisioner, which may first
start a pod of its own on the same busy node; and a node whose kubelet was too busy to say that it lives is shunned
until its next sign of life, 10 s later. A minute is well beyond both, and a fifth of the usual deadline."""
_RESTARTS = 3
"""A container that ended a fourth time. The kubelet let it wait 10 and 20 s before its last two lives, so that whatever
it lacked when it began, a database mostly, had half a minute to come; one that ends once or twice is none of ours."""


class TroubleClock:
    """How long each pod of one wait has been in which trouble, and how often its containers ended meanwhile.

    Args:
        patience, node_patience: seconds, see above.
    """

    def __init__(self, patience: float, node_patience: float) -> None:
        self._patience = patience
        self._node_patience = node_patience
        self._since: dict[tuple[str, str], float] = {}
        self._restarts: dict[tuple[str, str], int] = {}

    def is_hopeless(self, pod: PodState, now: float) -> bool:
        """Whether what keeps the pod from getting ready has come to stay; asked at every look."""
        verdicts = list(self._judge(pod, now))
        troubles = [trouble for trouble, _ in verdicts]
        self._since = {key: since for key, since in self._since.items() if key[0] != pod.uid or key[1] in troubles}
        return any(stays for _, stays in verdicts)

    def _judge(self, pod: PodState, now: float) -> Iterator[tuple[str, bool]]:
        """Each trouble that the pod is in, and whether it stays; none of a pod that is on its way out anyway."""
        if pod.deleting:
            return
        if pod.unschedulable:
            yield "without a node", self._lasts(pod, "without a node", now, self._node_patience)
        for container in pod.containers:
            first = self._restarts.setdefault((pod.uid, container.name), container.restarts)
            if container.waiting in UNFIT:
                yield container.waiting, True
            elif container.waiting in WANTING:
                yield "wanting", self._lasts(pod, "wanting", now, self._patience)
            elif container.waiting in CRASHING and container.restarts >= _RESTARTS:
                # what ended often before this wait may have been mended since, and waits for its next life
                lasts = self._lasts(pod, "crashing", now, self._patience)
                yield "crashing", lasts or container.restarts > first

    def _lasts(self, pod: PodState, trouble: str, now: float, patience: float) -> bool:
        return now - self._since.setdefault((pod.uid, trouble), now) > patience
