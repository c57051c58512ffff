"""Pods on the containers level: init containers that run once, a main container that stays, and what it is doing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rehearsal.clusters.container_claims import ContainerClaims
from rehearsal.clusters.container_engine import POD, RUN, Engine, Seen
from rehearsal.clusters.container_guard import ContainerGuard
from rehearsal.clusters.container_plans import ContainerPlan, MountPlan, PodPlan
from rehearsal.clusters.pod_states import ContainerState, PodState, describe_pod
from rehearsal.errors import EnvironmentUnfit, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.waiting import wait_until

_GRACE = 30
"""Seconds from the stop signal to SIGKILL: Kubernetes' default grace period."""
_ONCE_DEADLINE = 600.0
_LOG_LINES = 12
_OWN_MOUNT = 'chgrp "$1" "$2" && chmod 2775 "$2"'
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class ContainerPods:
    """Starts, stops and looks at the pods of one rehearsal; plays `metered_exec.PodReads`.

    Attributes:
        prefix: a pod's container is called `<prefix>-<pod>`.
    """

    engine: Engine
    guard: ContainerGuard
    claims: ContainerClaims
    prefix: str
    journal: Journal

    def container(self, pod: str) -> str:
        return f"{self.prefix}-{pod}"

    def start(self, plan: PodPlan) -> None:
        """Make missing claims, run the init containers, start the main one; a pod that runs is left alone.

        Raises:
            EnvironmentUnfit: an init container failed, or the engine refuses.
        """
        name = self.container(plan.name)
        found = self.engine.see_container(name)
        if found is not None and found.running:
            return
        if found is not None:
            self._remove(name)
        for claim in plan.claims:
            if self.claims.ensure(claim) and plan.group is not None:
                self._give_to_group(plan, claim, plan.group)
        for first in plan.first:
            self.run_once(plan, first)
        self._start(plan, plan.main, name)

    def _give_to_group(self, plan: PodPlan, claim: str, group: int) -> None:
        """What `fsGroup` does to a new volume."""
        target = next(mount.target for mount in plan.main.mounts if mount.source == claim)
        command = ("bash", "-c", _OWN_MOUNT, "fs-group", str(group), target)
        mounts = (MountPlan("claim", target, claim),)
        self.run_once(plan, ContainerPlan("fs-group", plan.main.image, command, user="0:0", mounts=mounts))

    def run_once(self, plan: PodPlan, container: ContainerPlan) -> None:
        """Run a container to its end and remove it.

        Raises:
            EnvironmentUnfit: its status is not 0; the end of its log is in the message.
        """
        name = f"{self.container(plan.name)}-{container.name}-{secrets.token_hex(3)}"
        self._start(plan, container, name)
        status = self.engine.wait_end(name, _ONCE_DEADLINE)
        said = "" if status == 0 else self._read_tail(name)
        self._remove(name)
        if status != 0:
            raise EnvironmentUnfit(
                f"its container {container.name} with image {container.image} ended with status {status}: {said}",
                where=plan.name,
            )

    def _start(self, plan: PodPlan, container: ContainerPlan, name: str) -> None:
        volumes = {claim: self.claims.volume(claim) for claim in plan.claims}
        labels = {RUN: self.guard.nonce, POD: plan.name}
        self.engine.start(container, name, plan.name, volumes, labels, self.journal)

    def stop(self, plan: PodPlan) -> None:
        """Stop the pod as its image wants to be stopped, and remove it; claims that waited for that go too.

        Raises:
            Refused: the container is not this run's; nothing was done.
        """
        name = self.container(plan.name)
        self.guard.check_container(f"stop {plan.name}", name)
        self.engine.stop(name, _GRACE)
        self._remove(name)
        for claim in plan.claims:
            self.claims.let_go(claim)

    def _remove(self, name: str) -> None:
        self.guard.check_container(f"remove container {name}", name)
        self.engine.remove_container(name)
        wait_until(lambda: self.engine.see_container(name) is None, 60.0, f"the end of container {name}")
        self.journal.disown("container", name)

    def is_there(self, pod: str) -> bool:
        return self.engine.see_container(self.container(pod)) is not None

    def wait_ready(self, plans: Sequence[PodPlan], deadline: float) -> None:
        """Return when every readiness probe succeeded.

        Raises:
            WaitTimeout: the deadline passed, or a container ended.
        """
        for plan in plans:
            name = self.container(plan.name)

            def ready(plan: PodPlan = plan, name: str = name) -> bool:
                found = self.engine.see_container(name)
                if found is None or not found.running:
                    raise self._complain(plan.name, "cannot become ready")
                return not plan.main.ready or self.engine.run_probe(name, plan.main.ready)

            try:
                wait_until(ready, deadline, plan.name)
            except WaitTimeout as error:
                if error.hint:
                    raise
                raise self._complain(plan.name, f"is not ready after {deadline:g} s") from None

    def _complain(self, pod: str, what: str) -> WaitTimeout:
        state = self.read_pod(pod)
        log = self._read_tail(self.container(pod))
        parts = [f"{pod} {what}: {describe_pod(state) if state else 'it is not there'}", f"its log ends: {log}"]
        return WaitTimeout("; ".join(parts if log else parts[:1]), where=pod, hint=f"docker logs {self.container(pod)}")

    def _read_tail(self, name: str) -> str:
        return self.journal.redactor.clean(self.engine.read_log(name, _LOG_LINES).strip()[-1500:])

    def read_pod(self, name: str) -> PodState | None:
        """The pod now, or None where there is none."""
        found = self.engine.see_container(self.container(name))
        return None if found is None else _see_pod(name, found)


def _see_pod(name: str, found: Seen) -> PodState:
    state = ContainerState(name, "", ready=found.running, last_exit=found.exit_code)
    return PodState(
        name=name,
        uid="",
        created=_read_instant(found.created),
        phase=found.status,
        ready=found.running,
        deleting=found.status == "removing",
        revision="",
        unready="",
        containers=(state,),
        claims=(),
    )


def _read_instant(text: str) -> datetime:
    """Docker's nanoseconds are three digits more than Python takes."""
    micro = _FRACTION.sub(lambda found: found[0][:7], text)
    return datetime.fromisoformat(micro.replace("Z", "+00:00")).astimezone(UTC)
