"""Pods as the API server describes them, and a cluster that plays them at a clock of its own: no second is waited for.

The objects have the shape that Kubernetes 1.33 gives them; what no wait looks at is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from kubernetes import client

from rehearsal.clusters.pod_states import ClaimState, PodState, WorkloadState, see_pod
from rehearsal.clusters.storage_classes import StorageClass

ApiObject = dict[str, Any]
IMAGE = "example.org/chipster/postgresql-14:v4"
CREATED = "2026-05-01T10:00:00Z"
_TICK = 0.125


def make_pod(name: str, phase: str, conditions: list[ApiObject], statuses: ApiObject, claim: str = "") -> ApiObject:
    volumes: list[ApiObject] = [{"name": "tmp", "emptyDir": {}}]
    volumes += [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    containers = [{"name": "postgresql", "image": IMAGE}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-of-{name}", "creationTimestamp": CREATED},
        "spec": {"containers": containers, "volumes": volumes, "restartPolicy": "Always"},
        "status": {"phase": phase, "conditions": conditions, **statuses},
    }


def condition(kind: str, reason: str, message: str) -> ApiObject:
    return {"type": kind, "status": "False", "reason": reason, "message": message, "lastTransitionTime": CREATED}


def container(name: str, state: ApiObject, *, restarts: int = 0, ended: int | None = None, ready: bool = False) -> Any:
    last = (
        {} if ended is None else {"terminated": {"exitCode": ended, "reason": "Error", "containerID": "containerd://1"}}
    )
    return {
        "name": name,
        "image": IMAGE,
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }


def waiting(reason: str, message: str = "") -> ApiObject:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


RUNNING: ApiObject = {"running": {"startedAt": CREATED}}


def not_ready(*names: str) -> list[ApiObject]:
    message = f"containers with unready status: [{' '.join(names)}]"
    return [
        condition("Ready", "ContainersNotReady", message),
        condition("ContainersReady", "ContainersNotReady", message),
    ]


def make_ready(name: str, restarts: int = 0, ended: int | None = None) -> ApiObject:
    status = container("postgresql", RUNNING, restarts=restarts, ended=ended, ready=True)
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": CREATED}]
    return make_pod(name, "Running", ready, {"containerStatuses": [status]})


def make_crashing(name: str, state: ApiObject, restarts: int, ended: int = 1) -> ApiObject:
    status = container("postgresql", state, restarts=restarts, ended=ended)
    return make_pod(name, "Running", not_ready("postgresql"), {"containerStatuses": [status]})


def back_off(seconds: int) -> ApiObject:
    return waiting("CrashLoopBackOff", f"back-off {seconds}s restarting failed container=postgresql pod=db-0_ns(uid)")


def make_unscheduled(name: str, why: str, claim: str = "") -> ApiObject:
    return make_pod(
        name, "Pending", [condition("PodScheduled", "Unschedulable", f"0/1 nodes are available: {why}.")], {}, claim
    )


def see(described: ApiObject) -> PodState:
    """As the client reads it from the API server's answer."""
    api: Any = client.ApiClient()
    return see_pod(api.deserialize(SimpleNamespace(data=json.dumps(described)), "V1Pod"))


@dataclass
class PlayedPods:
    """Plays `KubeReads` and the `time` of who waits.

    Attributes:
        play: the pods at that second.
        events: what the cluster said about an object, by its name.
        logs: by container, and whether it is that of its life before.
        claims: those that are there.
        refuses: what the API server answers for events and claims.
    """

    play: Callable[[float], list[ApiObject]]
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logs: Mapping[tuple[str, bool], str] = field(default_factory=dict)
    claims: tuple[ClaimState, ...] = ()
    refuses: Exception | None = None
    now: float = 1000.0
    began: float = 1000.0

    @property
    def passed(self) -> float:
        return self.now - self.began

    # time
    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    # reads
    def list_pods(self) -> tuple[tuple[PodState, ...], str]:
        return tuple(see(described) for described in self.play(self.passed)), "7"

    def read_pod(self, name: str) -> PodState | None:
        return next((pod for pod in self.list_pods()[0] if pod.name == name), None)

    def read_workload(self, name: str) -> WorkloadState | None:
        return WorkloadState(1, "", settled=True)

    def await_pod_change(self, version: str, seconds: float) -> None:
        before, end = self.play(self.passed), self.now + seconds
        while self.now < end and self.play(self.passed) == before:
            self.now = min(self.now + _TICK, end)

    def read_claim(self, name: str) -> ClaimState:
        if self.refuses is not None:
            raise self.refuses
        return next((claim for claim in self.claims if claim.name == name), ClaimState(name, ""))

    def list_storage_classes(self) -> tuple[StorageClass, ...]:
        return (StorageClass("standard", is_default=True),)

    def last_events(self, name: str, limit: int = 5) -> tuple[str, ...]:
        if self.refuses is not None:
            raise self.refuses
        return self.events.get(name, ())[-limit:]

    def read_log(self, pod: str, container: str, *, previous: bool = False, lines: int | None = None) -> str:
        text = self.logs.get((container, previous), "")
        return "".join(text.splitlines(keepends=True)[-(lines or 0) :])
