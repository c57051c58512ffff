"""What a pod is doing, as small values, and what its state means in words.

Made from the `kubernetes` client's objects; judged without a cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

UNFIT = ("InvalidImageName", "ErrImageNeverPull")
"""What a container waits for, and no time will bring."""
WANTING = ("ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError")
"""What somebody else has to bring: a registry, who makes Secrets."""
CRASHING = ("CrashLoopBackOff", "RunContainerError")
"""Between two lives of a container that ends, or cannot even begin."""


@dataclass(frozen=True)
class ContainerState:
    """A container now.

    Attributes:
        waiting, message: why it does not run (`ImagePullBackOff`), "" when it runs or has ended.
        restarts: how often it was started again.
        last_exit: exit status of its last life, None where there was none.
    """

    name: str
    image: str
    ready: bool
    waiting: str = ""
    message: str = ""
    restarts: int = 0
    last_exit: int | None = None
    running: bool = False


@dataclass(frozen=True)
class PodState:
    """A pod now.

    Attributes:
        revision: of its StatefulSet.
        unready: why the scheduler or the kubelet says it is not ready.
        unschedulable: the scheduler looked at every node, and none takes it.
    """

    name: str
    uid: str
    created: datetime
    phase: str
    ready: bool
    deleting: bool
    revision: str
    unready: str
    containers: tuple[ContainerState, ...]
    claims: tuple[str, ...]
    unschedulable: bool = False


@dataclass(frozen=True)
class ClaimState:
    """A claim now.

    Attributes:
        phase: `Pending`, `Bound` or `Lost`; "" where it is not there.
        storage_class: that it asks for, "" for none.
    """

    name: str
    phase: str
    storage_class: str = ""
    deleting: bool = False

    @property
    def is_bound(self) -> bool:
        """A pod can use it."""
        return self.phase == "Bound" and not self.deleting


@dataclass(frozen=True)
class WorkloadState:
    """A StatefulSet now; `settled`: its controller has seen the latest change."""

    replicas: int
    revision: str
    settled: bool


def see_pod(pod: Any) -> PodState:
    """The client's `V1Pod` as a value of ours."""
    status, spec = pod.status, pod.spec
    conditions = {condition.type: condition for condition in status.conditions or ()}
    ready, scheduled = conditions.get("Ready"), conditions.get("PodScheduled")
    unready = [
        f"{condition.reason or name}: {condition.message}"
        for name, condition in conditions.items()
        if condition.status != "True" and condition.message
    ]
    states = [*(status.init_container_statuses or ()), *(status.container_statuses or ())]
    volumes = (volume.persistent_volume_claim for volume in spec.volumes or ())
    return PodState(
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        created=pod.metadata.creation_timestamp,
        phase=status.phase,
        ready=ready is not None and ready.status == "True",
        deleting=pod.metadata.deletion_timestamp is not None,
        revision=(pod.metadata.labels or {}).get("controller-revision-hash", ""),
        unready="; ".join(dict.fromkeys(unready)),  # Ready and ContainersReady mostly say the same
        containers=tuple(_see_container(state) for state in states),
        claims=tuple(claim.claim_name for claim in volumes if claim is not None),
        unschedulable=scheduled is not None and scheduled.status == "False" and scheduled.reason == "Unschedulable",
    )


def _see_container(status: Any) -> ContainerState:
    waiting = status.state.waiting if status.state else None
    ended = (status.state.terminated if status.state else None) or (
        status.last_state.terminated if status.last_state else None
    )
    return ContainerState(
        name=status.name,
        image=status.image,
        ready=bool(status.ready),
        waiting=(waiting.reason or "") if waiting else "",
        message=(waiting.message or "") if waiting else "",
        restarts=status.restart_count or 0,
        last_exit=ended.exit_code if ended else None,
        running=bool(status.state and status.state.running),
    )


def describe_pod(pod: PodState) -> str:
    """One line: phase, what it waits for, how its containers fare."""
    if pod.deleting:
        return "it is being deleted"
    waits = [_say_waiting(c) for c in pod.containers if c.waiting in (*UNFIT, *WANTING, *CRASHING)]
    crashed = [
        f"container {c.name} ended with status {c.last_exit}, {c.restarts} restarts"
        for c in pod.containers
        if c.last_exit is not None and not c.ready
    ]
    return "; ".join(part for part in (f"phase {pod.phase}", *waits, *crashed, pod.unready) if part)


def describe_claim(claim: ClaimState, known: Collection[str]) -> str:
    """One line: why no pod can use it. `known`: the StorageClasses of the cluster."""
    if not claim.phase:
        return f"claim {claim.name} is not there"
    if claim.deleting:
        return f"claim {claim.name} is being deleted"
    missing = "" if claim.storage_class in known else ", which the cluster does not have,"
    of_class = f"of StorageClass {claim.storage_class}{missing}" if claim.storage_class else "of no StorageClass"
    return f"claim {claim.name} {of_class} is {claim.phase}"


def advise(pod: PodState | None, name: str, unbound: Sequence[ClaimState] = ()) -> tuple[str, ...]:
    """The kubectl arguments to type next. `unbound`: claims of the pod that it cannot use."""
    if pod is not None:
        for container in pod.containers:
            if container.restarts and not container.ready:
                return ("logs", name, "-c", container.name, "--previous")
    for claim in unbound:
        return ("describe", "pvc", claim.name)
    return ("describe", "pod", name)


def _say_waiting(container: ContainerState) -> str:
    detail = f" ({container.message})" if container.message else ""
    return f"container {container.name} with image {container.image} waits: {container.waiting}{detail}"
