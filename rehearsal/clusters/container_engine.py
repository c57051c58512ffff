"""The container engine's API, through testcontainers and the client it stands on, in our own words and errors.

Everything made here carries the run's nonce as a label and is journalled before it is made; every look goes to the
engine itself. Ryuk, testcontainers' reaper, is switched off for our process: its image needs a registry, it would
remove what `--keep` keeps, and `rehearsal clean` knows from the journal what a dead run left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker
import requests
from docker.types import Mount
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import get_docker_host

from rehearsal.clusters.container_plans import ContainerPlan
from rehearsal.errors import EnvironmentUnfit
from rehearsal.interrupts import hold_interrupts
from rehearsal.journal import Journal

RUN = "chipster-rehearsal.run"
"""Label of every container and volume of ours: the rehearsal's nonce."""
UID = "chipster-rehearsal.uid"
"""Label of a volume: the identity of the claim that it stands for."""
POD = "chipster-rehearsal.pod"
CLAIM = "chipster-rehearsal.claim"

LOCAL = "unix://"
_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_TIMEOUT = 60
_CONFLICT = 409


@dataclass(frozen=True)
class Seen:
    """A container or a volume as the engine knows it now.

    Attributes:
        created: an instant, ISO 8601.
        running, status: of a container.
        exit_code: of a container that ended.
        ports: of a container, its published ports by its own.
    """

    name: str
    labels: Mapping[str, str]
    created: str
    running: bool = False
    status: str = ""
    exit_code: int | None = None
    ports: Mapping[int, int] | None = None


@contextmanager
def in_words(what: str, address: str) -> Iterator[None]:
    """Turn what the client raises into an error of ours."""
    try:
        yield
    except docker.errors.APIError as error:
        said = str(error.explanation or error).strip()
        raise EnvironmentUnfit(f"the container engine refuses {what}: {said}", where=address) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise EnvironmentUnfit(
            f"the container engine does not answer ({type(error).__name__}) for {what}",
            where=address,
            hint="docker info",
        ) from None


class Engine:
    """One container engine.

    Args:
        client: `docker.DockerClient`.
        address: where it listens, as DOCKER_HOST has it.
        make_container: `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, client: Any, address: str, make_container: Callable[..., Any] = DockerContainer) -> None:
        self._client = client
        self.address = address
        self._make_container = make_container

    def close(self) -> None:
        self._client.close()

    # -- looking ------------------------------------------------------------------------------------------------------

    def identity(self) -> str:
        """The engine's own id, the same for as long as its data lives."""
        with in_words("its identity", self.address):
            return str(self._client.info()["ID"])

    def version(self) -> str:
        with in_words("its version", self.address):
            return str(self._client.version()["Version"])

    def image_id(self, image: str) -> str | None:
        """The image's id, or None where it is not at hand."""
        with in_words(f"image {image}", self.address):
            try:
                return str(self._client.images.get(image).id)
            except docker.errors.ImageNotFound:
                return None

    def see_container(self, name: str) -> Seen | None:
        with in_words(f"container {name}", self.address):
            try:
                return _see_container(self._client.containers.get(name).attrs)
            except docker.errors.NotFound:
                return None

    def see_volume(self, name: str) -> Seen | None:
        with in_words(f"volume {name}", self.address):
            try:
                return _see_volume(self._client.volumes.get(name).attrs)
            except docker.errors.NotFound:
                return None

    def list_containers(self, nonce: str) -> list[Seen]:
        """Every container of that run, also those that ended."""
        chosen = {"label": f"{RUN}={nonce}"}
        with in_words("its containers", self.address):
            # sparse: one that goes while it is listed is no error
            found = self._client.containers.list(all=True, sparse=True, filters=chosen)
            return [Seen(one.attrs["Names"][0].lstrip("/"), dict(one.attrs["Labels"]), "") for one in found]

    def list_volumes(self, nonce: str) -> list[Seen]:
        with in_words("its volumes", self.address):
            return [_see_volume(one.attrs) for one in self._client.volumes.list(filters={"label": f"{RUN}={nonce}"})]

    def run_probe(self, name: str, command: Sequence[str]) -> bool:
        """Whether a command in the container ends with status 0; False where it cannot run."""
        with in_words(f"container {name}", self.address):
            try:
                return bool(self._client.containers.get(name).exec_run(list(command)).exit_code == 0)
            except docker.errors.NotFound:
                return False
            except docker.errors.APIError as error:
                if error.status_code == _CONFLICT:  # it does not run (any more)
                    return False
                raise

    def read_log(self, name: str, lines: int | None = None) -> str:
        """Its output, decoded with replacement; "" where there is none."""
        with in_words(f"the log of {name}", self.address):
            try:
                tail = "all" if lines is None else lines
                return bytes(self._client.containers.get(name).logs(tail=tail)).decode(errors="replace")
            except docker.errors.NotFound:
                return ""

    def wait_end(self, name: str, deadline: float) -> int:
        """The exit status of a container that runs once."""
        with in_words(f"the end of {name}", self.address):
            return int(self._client.containers.get(name).wait(timeout=deadline)["StatusCode"])

    # -- changing -----------------------------------------------------------------------------------------------------

    def make_volume(self, name: str, labels: Mapping[str, str], journal: Journal) -> None:
        """A named volume of the run, journalled first."""
        self._own(journal, "volume", name, labels)
        with hold_interrupts(), in_words(f"to make volume {name}", self.address):
            self._client.volumes.create(name, labels=dict(labels))

    def start(
        self,
        plan: ContainerPlan,
        name: str,
        hostname: str,
        volumes: Mapping[str, str],
        labels: Mapping[str, str],
        journal: Journal,
    ) -> None:
        """Make and start a container of the run, journalled first; one that does not start is left for its log.

        Args:
            volumes: the engine's volume by claim.
        """
        self._own(journal, "container", name, labels)
        with hold_interrupts(), in_words(f"to start {name}", self.address):
            container = self._make_container(
                plan.image,
                name=name,
                env=dict(plan.environment),
                transferables=[(content, path) for path, content in plan.files.items()],
                labels=dict(labels),
                hostname=hostname,
                mounts=_mount(plan, volumes),
                user=plan.user or None,
                group_add=list(plan.groups) or None,
                working_dir=plan.working_directory or None,
                entrypoint=list(plan.command) or None,
                network_mode="bridge" if plan.ports else "none",
            )
            try:
                container.ports = {f"{port}/tcp": ("127.0.0.1", None) for port in plan.ports}
                for mount in plan.mounts:
                    if mount.kind == "memory":
                        container.with_tmpfs_mount(mount.target)
                container.start()
            finally:
                container.get_docker_client().client.close()

    def stop(self, name: str, grace: int) -> None:
        """Send the image's stop signal (SIGINT, a fast shutdown, for PostgreSQL), then SIGKILL after `grace` s."""
        with in_words(f"to stop {name}", self.address), suppress(docker.errors.NotFound):
            self._client.containers.get(name).stop(timeout=grace)

    def remove_container(self, name: str) -> None:
        """Remove it with its anonymous volumes, running or not; nothing happens when it is gone."""
        with hold_interrupts(), in_words(f"to remove {name}", self.address), suppress(docker.errors.NotFound):
            try:
                self._client.containers.get(name).remove(force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:  # it is being removed already
                    raise

    def remove_volume(self, name: str) -> None:
        with hold_interrupts(), in_words(f"to remove volume {name}", self.address), suppress(docker.errors.NotFound):
            self._client.volumes.get(name).remove()

    def _own(self, journal: Journal, kind: str, name: str, labels: Mapping[str, str]) -> None:
        journal.own(kind, name, nonce=labels[RUN], engine=self.address)


def connect(address: str = "") -> Engine:
    """The engine at that address, else the one that docker's own settings lead to.

    Raises:
        EnvironmentUnfit: it does not answer, or is not on this machine.
    """
    testcontainers_config.ryuk_disabled = True
    testcontainers_config.hub_image_name_prefix = ""
    address = address or get_docker_host() or _DEFAULT_ADDRESS
    if not address.startswith(LOCAL):
        raise EnvironmentUnfit(
            "the container engine is on another machine: its ports and directories cannot be reached from here",
            where=address,
            hint="unset DOCKER_HOST; docker context use default",
        )
    # Containers are made through a client of testcontainers' own: it must mean this engine, and its default network.
    testcontainers_config.tc_properties["tc.host"] = address
    with in_words("its version", address):
        return Engine(docker.DockerClient(base_url=address, timeout=_TIMEOUT), address)


def _mount(plan: ContainerPlan, volumes: Mapping[str, str]) -> list[Any]:
    """`no_copy`: a new claim is empty, whatever the image has at that path."""
    mounts = []
    for mount in plan.mounts:
        if mount.kind == "claim":
            mounts.append(Mount(mount.target, volumes[mount.source], type="volume", no_copy=True))
        elif mount.kind == "host":
            mounts.append(Mount(mount.target, mount.source, type="bind"))
    return mounts


def _see_container(attrs: Mapping[str, Any]) -> Seen:
    state = attrs["State"]
    published = attrs.get("NetworkSettings", {}).get("Ports") or {}
    ports = {int(own.partition("/")[0]): int(there[0]["HostPort"]) for own, there in published.items() if there}
    return Seen(
        name=str(attrs["Name"]).lstrip("/"),
        labels=dict(attrs["Config"].get("Labels") or {}),
        created=str(attrs["Created"]),
        running=bool(state["Running"]),
        status=str(state["Status"]),
        exit_code=None if state["Running"] else int(state["ExitCode"]),
        ports=ports,
    )


def _see_volume(attrs: Mapping[str, Any]) -> Seen:
    return Seen(str(attrs["Name"]), dict(attrs.get("Labels") or {}), str(attrs.get("CreatedAt", "")))
