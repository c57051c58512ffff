"""What to say of a pod that was waited for in vain: its state, its claims, events and log, and what to type next.

Whoever reads it has no cluster any more: it was thrown away. So the message holds what `kubectl describe` and
`kubectl logs` would have shown, by its last lines; one that cannot be asked for is left out, and hides nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.pod_states import ClaimState, ContainerState, PodState, advise, describe_claim, describe_pod
from rehearsal.errors import EnvironmentUnfit, WaitTimeout

_LOG_LINES = 12
_LOG_END = 1500


def complain(
    reads: KubeReads, kubectl: Kubectl, name: str, state: PodState | None, what: str, others: Sequence[str] = ()
) -> WaitTimeout:
    """The error about a pod.

    Args:
        state: None where it is not there.
        what: that did not come to pass.
        others: names of what was waited for in vain, too.
    """
    parts = [f"{name} {what}: {describe_pod(state) if state else 'it is not there'}"]
    if others:
        parts.append(f"nor: {', '.join(others)}")
    unbound: list[ClaimState] = []
    with suppress(EnvironmentUnfit):
        unbound = [claim for claim in map(reads.read_claim, state.claims if state else ()) if not claim.is_bound]
        known = [known.name for known in reads.list_storage_classes()] if unbound else []
        parts += [describe_claim(claim, known) for claim in unbound]
    with suppress(EnvironmentUnfit):
        for subject in (name, *(claim.name for claim in unbound)):
            if events := reads.last_events(subject):
                parts.append(f"last events{'' if subject == name else f' of {subject}'}: {' | '.join(events)}")
    for container in state.containers if state else ():
        if not container.ready and (ends := _read_log_ends(reads, name, container)):
            parts += ends  # of the first that said anything: an init container comes before those that wait for it
            break
    hint = kubectl.show(*advise(state, name, unbound))
    return WaitTimeout(kubectl.shell.journal.redactor.clean("; ".join(parts)), where=name, hint=hint)


def _read_log_ends(reads: KubeReads, pod: str, container: ContainerState) -> list[str]:
    """What it said last. Between two lives that is the life that ended; once it runs again, both are told."""
    parts = []
    if container.running or container.last_exit is not None:
        log = reads.read_log(pod, container.name, lines=_LOG_LINES).strip()
        parts += [f"its log ends: ({container.name}) {log[-_LOG_END:]}"] if log else []
    if container.running and container.restarts:
        log = reads.read_log(pod, container.name, previous=True, lines=_LOG_LINES).strip()
        parts += [f"the log of its life before ends: ({container.name}) {log[-_LOG_END:]}"] if log else []
    return parts
