"""What runs where on the containers level, read from the same Kubernetes objects that kind gets.

A StatefulSet of n replicas becomes n plans: the pod's name, its init containers, its one main container with command,
user, environment, mounts and readiness probe, and the claims of its templates. Pure: no engine. What Docker has no word
for (Services, liveness, scheduling) is left out, and `docs/levels.md` says so.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rehearsal.errors import RehearsalError

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class MountPlan:
    """Where something is mounted: `claim` and `host` by their `source`, `memory` (a tmpfs) by nothing."""

    kind: Literal["claim", "host", "memory"]
    target: str
    source: str = ""


@dataclass(frozen=True)
class ContainerPlan:
    """One container, as the engine is asked for it.

    Attributes:
        command: in place of the image's entrypoint and command; () leaves them.
        user: `uid` or `uid:gid`; "" for the image's own.
        groups: supplementary (`fsGroup`).
        environment: secrets are in here.
        files: of mounted Secrets, content by path; secrets are in here.
        ports: of the container, published on loopback.
        ready: the readiness probe's command; () for none.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    user: str = ""
    groups: tuple[int, ...] = ()
    working_directory: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    mounts: tuple[MountPlan, ...] = ()
    ports: tuple[int, ...] = ()
    ready: tuple[str, ...] = ()


@dataclass(frozen=True)
class PodPlan:
    """One pod of a StatefulSet.

    Attributes:
        first: the init containers, in order.
        group: `fsGroup`, which a new claim is given to; None for none.
    """

    name: str
    workload: str
    first: tuple[ContainerPlan, ...]
    main: ContainerPlan
    claims: tuple[str, ...]
    group: int | None = None


def read_plans(manifests: Iterable[Manifest], images: Mapping[str, str]) -> tuple[PodPlan, ...]:
    """The pods of every StatefulSet, in their order.

    Args:
        images: what is run in place of an image; one that is not named there runs itself.

    Raises:
        RehearsalError: a pod has what this level cannot run.
    """
    objects = list(manifests)
    secrets = {item["metadata"]["name"]: _decode(item) for item in objects if item["kind"] == "Secret"}
    plans = []
    for item in objects:
        if item["kind"] == "StatefulSet":
            for number in range(item["spec"]["replicas"]):
                plans.append(_Reader(item, number, secrets, images).read())
    return tuple(plans)


def _decode(secret: Manifest) -> dict[str, bytes]:
    return {key: base64.b64decode(text) for key, text in secret.get("data", {}).items()}


class _Reader:
    """Reads one replica of one StatefulSet."""

    def __init__(
        self, item: Manifest, number: int, secrets: Mapping[str, Mapping[str, bytes]], images: Mapping[str, str]
    ) -> None:
        self._workload: str = item["metadata"]["name"]
        self._name = f"{self._workload}-{number}"
        self._spec: Manifest = item["spec"]["template"]["spec"]
        templates = [template["metadata"]["name"] for template in item["spec"].get("volumeClaimTemplates", ())]
        self._claims = {name: f"{name}-{self._name}" for name in templates}
        self._volumes = {volume["name"]: volume for volume in self._spec.get("volumes", ())}
        self._secrets = secrets
        self._images = images

    def read(self) -> PodPlan:
        containers = self._spec["containers"]
        if len(containers) != 1:
            raise RehearsalError(f"a pod of {len(containers)} containers; this level runs one", where=self._name)
        group = self._spec.get("securityContext", {}).get("fsGroup")
        return PodPlan(
            name=self._name,
            workload=self._workload,
            first=tuple(self._read_container(one) for one in self._spec.get("initContainers", ())),
            main=self._read_container(containers[0]),
            claims=tuple(self._claims.values()),
            group=None if group is None else int(group),
        )

    def _read_container(self, container: Manifest) -> ContainerPlan:
        context = {**self._spec.get("securityContext", {}), **container.get("securityContext", {})}
        mounts = tuple(self._read_mounts(container))
        return ContainerPlan(
            name=container["name"],
            image=self._images.get(container["image"], container["image"]),
            command=tuple(container.get("command", ())),
            user=_read_user(context),
            groups=(int(context["fsGroup"]),) if "fsGroup" in context else (),
            working_directory=container.get("workingDir", ""),
            environment={variable["name"]: self._read_value(variable) for variable in container.get("env", ())},
            files=dict(self._read_files(container)),
            mounts=mounts,
            ports=tuple(port["containerPort"] for port in container.get("ports", ())),
            ready=tuple(container.get("readinessProbe", {}).get("exec", {}).get("command", ())),
        )

    def _read_value(self, variable: Manifest) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        return self._secrets[reference["name"]][reference["key"]].decode()

    def _read_mounts(self, container: Manifest) -> Iterator[MountPlan]:
        for mount in container.get("volumeMounts", ()):
            name, target = mount["name"], mount["mountPath"]
            volume = self._volumes.get(name, {})
            if name in self._claims:
                yield MountPlan("claim", target, self._claims[name])
            elif "hostPath" in volume:
                yield MountPlan("host", target, volume["hostPath"]["path"])
            elif "emptyDir" in volume:
                # the container's own layer is as short-lived as an emptyDir, and every image has a /tmp for all
                if target != "/tmp":  # noqa: S108 - a path in the pod
                    yield MountPlan("memory", target)
            elif "secret" not in volume:
                raise RehearsalError(f"a volume this level does not know: {name}", where=self._name)

    def _read_files(self, container: Manifest) -> Iterator[tuple[str, bytes]]:
        for mount in container.get("volumeMounts", ()):
            secret = self._volumes.get(mount["name"], {}).get("secret")
            if secret:
                for key, content in self._secrets[secret["secretName"]].items():
                    yield f"{mount['mountPath']}/{key}", content


def _read_user(context: Manifest) -> str:
    """Without `runAsGroup` the image's /etc/passwd decides, else group 0: Docker's rule is Kubernetes' own."""
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if user is None:
        return ""
    return str(user) if group is None else f"{user}:{group}"
