"""What the API server says, read through the `kubernetes` client: markers, claims, pods, events, logs.

Reads only; every change goes through kubectl. The client is made from the private kubeconfig alone, without a proxy
from the environment, and hands out small values of our own, so that what judges them needs no cluster in its tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config, watch

from rehearsal.clusters.pod_states import ClaimState, PodState, WorkloadState, see_pod
from rehearsal.clusters.storage_classes import StorageClass, see_class
from rehearsal.errors import EnvironmentUnfit
from rehearsal.roles import ClaimIdentity

_TIMEOUT = (5.0, 30.0)
_NOT_FOUND = 404
_GONE = 410


@dataclass(frozen=True)
class Address:
    """Where a kubeconfig's current context leads."""

    server: str
    authority: str


def read_address(kubeconfig: Path) -> Address:
    """The API server that a kubeconfig leads to now.

    Raises:
        EnvironmentUnfit: it cannot be read, or leads nowhere.
    """
    try:
        content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        name = content["current-context"]
        context = next(entry["context"] for entry in content["contexts"] if entry["name"] == name)
        cluster = next(entry["cluster"] for entry in content["clusters"] if entry["name"] == context["cluster"])
        return Address(str(cluster["server"]), str(cluster.get("certificate-authority-data", "")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, StopIteration) as error:
        raise EnvironmentUnfit(f"no kubeconfig to a cluster: {error!r}", where=str(kubeconfig)) from None


class KubeReads:
    """Typed reads in one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        settings = client.Configuration()
        load: Any = config.load_kube_config
        # It writes the certificates and the key into files: next to the kubeconfig, which are removed together.
        beside = str(kubeconfig.parent)
        load(config_file=str(kubeconfig), client_configuration=settings, persist_config=False, temp_file_path=beside)
        settings.proxy = None
        settings.retries = urllib3.Retry(connect=2, read=1, redirect=0, backoff_factor=0.1)
        self.server: str = settings.host
        self._namespace = namespace
        self._api: Any = client.ApiClient(settings)
        self._core: Any = client.CoreV1Api(self._api)
        self._apps: Any = client.AppsV1Api(self._api)
        self._storage: Any = client.StorageV1Api(self._api)

    def close(self) -> None:
        self._api.close()
        self._api.rest_client.pool_manager.clear()

    def read_config_map(self, name: str) -> Mapping[str, str] | None:
        """Its data, or None where there is none."""
        with self._in_words(f"configmap {name}"):
            found = _or_none(self._core.read_namespaced_config_map, name, self._namespace)
        return None if found is None else dict(found.data or {})

    def namespace_exists(self) -> bool:
        with self._in_words(f"namespace {self._namespace}"):
            return _or_none(self._core.read_namespace, self._namespace) is not None

    def claim_identity(self, name: str) -> ClaimIdentity | None:
        with self._in_words(f"claim {name}"):
            found = _or_none(self._core.read_namespaced_persistent_volume_claim, name, self._namespace)
        if found is None:
            return None
        meta = found.metadata
        return ClaimIdentity(
            name, meta.uid, meta.creation_timestamp.isoformat(), terminating=meta.deletion_timestamp is not None
        )

    def read_claim(self, name: str) -> ClaimState:
        """The claim now, also one that is not there."""
        with self._in_words(f"claim {name}"):
            found = _or_none(self._core.read_namespaced_persistent_volume_claim, name, self._namespace)
        if found is None:
            return ClaimState(name, "")
        deleting = found.metadata.deletion_timestamp is not None
        return ClaimState(name, found.status.phase or "Pending", found.spec.storage_class_name or "", deleting)

    def list_storage_classes(self) -> tuple[StorageClass, ...]:
        """Every class of the cluster."""
        with self._in_words("storage classes"):
            found = self._storage.list_storage_class(_request_timeout=_TIMEOUT)
        return tuple(see_class(one.metadata.name, one.metadata.annotations or {}) for one in found.items)

    def list_claims(self) -> tuple[str, ...]:
        """The names of every claim."""
        with self._in_words("claims"):
            found = self._core.list_namespaced_persistent_volume_claim(self._namespace, _request_timeout=_TIMEOUT)
        return tuple(claim.metadata.name for claim in found.items)

    def list_pods(self) -> tuple[tuple[PodState, ...], str]:
        """Every pod, and the version of the list, to watch on from."""
        with self._in_words("pods"):
            found = self._core.list_namespaced_pod(self._namespace, _request_timeout=_TIMEOUT)
        return tuple(see_pod(pod) for pod in found.items), found.metadata.resource_version

    def read_pod(self, name: str) -> PodState | None:
        with self._in_words(f"pod {name}"):
            found = _or_none(self._core.read_namespaced_pod, name, self._namespace)
        return None if found is None else see_pod(found)

    def read_workload(self, name: str) -> WorkloadState | None:
        with self._in_words(f"statefulset {name}"):
            found = _or_none(self._apps.read_namespaced_stateful_set, name, self._namespace)
        if found is None:
            return None
        settled = (found.status.observed_generation or 0) >= found.metadata.generation
        return WorkloadState(found.spec.replicas, found.status.update_revision or "", settled)

    def await_pod_change(self, version: str, seconds: float) -> None:
        """Return at the first change of any pod after that version of the list, or after `seconds`."""
        self._await_change(self._core.list_namespaced_pod, version, seconds)

    def await_claim_change(self, seconds: float) -> None:
        """Return at the next change of any claim, or after `seconds`."""
        self._await_change(self._core.list_namespaced_persistent_volume_claim, None, seconds)

    def _await_change(self, listing: Any, version: str | None, seconds: float) -> None:
        whole = max(1, round(seconds))
        chosen = {} if version is None else {"resource_version": version}
        make_watch: Any = watch.Watch
        watching = make_watch()
        stream = watching.stream(
            listing, self._namespace, timeout_seconds=whole, _request_timeout=(5.0, whole + 5.0), **chosen
        )
        try:
            for _ in stream:
                break
        except client.ApiException as error:
            if error.status != _GONE:
                raise EnvironmentUnfit(f"the API server ended a watch: {error.reason}", where=self.server) from None
        except urllib3.exceptions.HTTPError:
            return  # the next look says whether the server is gone
        finally:
            watching.stop()
            stream.close()

    def last_events(self, name: str, limit: int = 5) -> tuple[str, ...]:
        """What the cluster said about an object lately, the newest last."""
        with self._in_words("events"):
            found = self._core.list_namespaced_event(
                self._namespace, field_selector=f"involvedObject.name={name}", _request_timeout=_TIMEOUT
            )
        return _say_events(found.items)[-limit:]

    def all_events(self) -> tuple[str, ...]:
        with self._in_words("events"):
            found = self._core.list_namespaced_event(self._namespace, _request_timeout=_TIMEOUT)
        return _say_events(found.items)

    def read_log(
        self, pod: str, container: str, *, previous: bool = False, lines: int | None = None, limit: int = 4 << 20
    ) -> str:
        """The container's log, decoded with replacement; "" where there is none yet."""
        chosen = {} if lines is None else {"tail_lines": lines}
        try:
            answer = self._core.read_namespaced_pod_log(
                pod,
                self._namespace,
                container=container,
                previous=previous,
                limit_bytes=limit,
                _preload_content=False,
                _request_timeout=_TIMEOUT,
                **chosen,
            )
            try:
                return bytes(answer.data).decode("utf-8", "replace")
            finally:
                answer.release_conn()
        except (client.ApiException, urllib3.exceptions.HTTPError):
            return ""

    def server_version(self) -> str:
        with self._in_words("/version"):
            return str(client.VersionApi(self._api).get_code(_request_timeout=_TIMEOUT).git_version)

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except client.ApiException as error:
            said = _status_message(error)
            raise EnvironmentUnfit(
                f"the API server answers {error.status} for {what}: {said}", where=self.server
            ) from None
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise EnvironmentUnfit(
                f"the API server does not answer ({type(reason).__name__}) for {what}",
                where=self.server,
                hint="docker ps: does the cluster's node run?",
            ) from None


def _or_none(read: Any, *names: str) -> Any:
    try:
        return read(*names, _request_timeout=_TIMEOUT)
    except client.ApiException as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _status_message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, LookupError):
        return str(error.reason)


def _say_events(events: Sequence[Any]) -> tuple[str, ...]:
    def when(event: Any) -> str:
        instant = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
        return instant.isoformat() if instant else ""

    ordered = sorted(events, key=when)
    return tuple(f"{when(e)} {e.involved_object.name}: {e.reason}: {(e.message or '').strip()}" for e in ordered)
