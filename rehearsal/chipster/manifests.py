"""The Kubernetes objects of Chipster's data tier, with the chart's own names, made from a `Deployment`.

Three PostgreSQL StatefulSets with their headless Services and Secrets, and one StatefulSet of file-storage replicas:
what the admin's manual scales, deletes and execs into. A pure function: no cluster, no file, no namespace anywhere.
A rehearsal deploys the data tier alone, so a `StandIn` keeps the file-storage container in place of the Java service,
which could not start without its peers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.deployment import DatabaseSpec, Deployment

Manifest = dict[str, Any]

POSTGRES_UID = 1001
FILES_UID = 1000
WORKING_DIRECTORY = "/opt/chipster"
STORAGE = f"{WORKING_DIRECTORY}/storage"
_DATABASE_FOLDER = "/var/lib/postgresql"
_PGDATA = f"{_DATABASE_FOLDER}/data_14"
_DATABASE_SIZE = "8Gi"

# A process 1 ignores signals it has no handler for, so a plain `sleep` would hold up every `scale 0` for 30 s.
WAIT_FOR_SIGNAL = ("bash", "-c", "trap 'exit 0' TERM INT; sleep infinity & wait")

_CONFIGURE = """set -e
[ -s "$PGDATA/PG_VERSION" ] || exit 0
cd "$PGDATA"
[ -e postgresql.conf ] || echo "listen_addresses = '*'" >postgresql.conf
[ -e pg_ident.conf ] || : >pg_ident.conf
[ -e pg_hba.conf ] || printf '%s all all %s scram-sha-256\\n' local '' host all >pg_hba.conf
"""


@dataclass(frozen=True)
class StandIn:
    """What runs in place of Chipster's own images and of the file-storage service.

    Attributes:
        image: for every container; "" for the images that values.yaml names.
        file_command: what the file-storage container runs.
        host_root: put before every hostPath, so that rehearsals on one node do not share a directory.
    """

    image: str = ""
    file_command: tuple[str, ...] = WAIT_FOR_SIGNAL
    host_root: str = ""


def make_manifests(deployment: Deployment, stand_in: StandIn | None = None) -> list[Manifest]:
    """The objects in the order they are applied.

    Args:
        stand_in: None for the chart's own file-storage container, its Java service and its probe.
    """
    objects: list[Manifest] = []
    for database in deployment.databases:
        objects += _make_database(database, deployment, stand_in)
    return objects + _make_files(deployment, stand_in)


def make_stand_ins(deployment: Deployment, image: str, host_root: str) -> list[Manifest]:
    """The same with a `StandIn` of that image and host root, for a rehearsal."""
    return make_manifests(deployment, StandIn(image=image, host_root=host_root))


def _make_database(database: DatabaseSpec, deployment: Deployment, stand_in: StandIn | None) -> list[Manifest]:
    labels = {"app.kubernetes.io/name": f"{database.name}-postgresql"}
    host_path = _root(database.host_path, stand_in)
    runs = _choose_image(deployment.postgres_image, deployment, stand_in)
    as_postgres = {"runAsUser": POSTGRES_UID, "runAsGroup": POSTGRES_UID, "runAsNonRoot": True}
    probe: Manifest = _exec_probe("pg_isready", "-U", "postgres", "-d", f"dbname={database.db_name}", "-h", "127.0.0.1")
    mounts = [
        {"name": "data", "mountPath": _DATABASE_FOLDER},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a path in the pod
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108
    ]
    environment = [
        {"name": "PGDATA", "value": _PGDATA},
        {
            "name": "POSTGRES_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": database.workload, "key": "postgres-password"}},
        },
        {"name": "POSTGRES_DB", "value": database.db_name},
        {"name": "POSTGRES_INITDB_ARGS", "value": "--auth=scram-sha-256"},
    ]
    configure = {
        "name": "configure",
        **runs,
        "command": ["bash", "-c", _CONFIGURE],
        "env": environment[:1],
        "securityContext": as_postgres,
        "volumeMounts": mounts,
    }
    container: Manifest = {
        "name": database.container,
        **runs,
        "env": environment,
        "ports": [{"name": "tcp-postgresql", "containerPort": 5432}],
        "startupProbe": _soon(probe),
        "readinessProbe": probe,
        "livenessProbe": {**_seldom(probe), "initialDelaySeconds": 30},
        "securityContext": as_postgres,
        "volumeMounts": mounts,
    }
    pod = {
        "securityContext": {"fsGroup": POSTGRES_UID},
        # fsGroup does nothing for a hostPath; on his own node the admin gave the directory to the server by hand
        "initContainers": [
            *([_own_volume(runs, "data", _DATABASE_FOLDER, POSTGRES_UID)] if host_path else []),
            configure,
        ],
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "dshm", "emptyDir": {"medium": "Memory"}},
            *_mount_host("data", host_path),
        ],
    }
    claims = [] if host_path else [_make_claim("data", _DATABASE_SIZE, "", labels)]
    password = database.password.get_secret_value()
    return [
        _make_service(database.workload, labels, [{"name": "tcp-postgresql", "port": 5432}]),
        _make_secret(database.workload, {"postgres-password": password}),
        _make_stateful_set(database.workload, 1, labels, {"app": "chipster"}, pod, claims),
    ]


def _make_files(deployment: Deployment, stand_in: StandIn | None) -> list[Manifest]:
    name = "file-storage"
    labels = {"app": "chipster", "name": name}
    host_path = _root(deployment.storage_host_path, stand_in)
    runs = _choose_image(deployment.file_image, deployment, stand_in)
    container: Manifest = {
        "name": name,
        **runs,
        "workingDir": WORKING_DIRECTORY,
        "securityContext": dict(deployment.security_context),
        "volumeMounts": [
            {"name": "storage", "mountPath": STORAGE},
            {"name": "conf", "mountPath": f"{WORKING_DIRECTORY}/conf", "readOnly": True},
            {"name": "logs", "mountPath": f"{WORKING_DIRECTORY}/logs"},
        ],
    }
    if stand_in is None:
        container["livenessProbe"] = {"httpGet": {"path": "/admin/alive", "port": 8116}}
    else:
        probe = _exec_probe("test", "-w", STORAGE)
        container |= {"command": list(stand_in.file_command), "startupProbe": _soon(probe), "readinessProbe": probe}
        container["livenessProbe"] = _seldom(probe)
    pod = {
        "securityContext": dict(deployment.pod_security_context),
        "initContainers": [_own_volume(runs, "storage", STORAGE, FILES_UID)],
        "containers": [container],
        "volumes": [
            {"name": "conf", "secret": {"secretName": name}},
            {"name": "logs", "emptyDir": {}},
            *_mount_host("storage", host_path),
        ],
    }
    claim = _make_claim("storage", deployment.storage_size, deployment.storage_class, {"app": "chipster"})
    ports = [{"name": "api", "port": 80, "targetPort": 8016}, {"name": "admin", "port": 8116}]
    return [
        _make_service(name, labels, ports),
        _make_secret(name, {"chipster.yaml": "# no service runs in a rehearsal of the data tier alone\n"}),
        _make_stateful_set(name, deployment.file_replicas, labels, {"server": name}, pod, [] if host_path else [claim]),
    ]


def _choose_image(own: str, deployment: Deployment, stand_in: StandIn | None) -> Manifest:
    """What every container of a pod runs: its own image of values.yaml, or the one that stands in."""
    other = stand_in.image if stand_in else ""
    return {"image": other or own, "imagePullPolicy": deployment.choose_pull_policy(other)}


def _root(host_path: str, stand_in: StandIn | None) -> str:
    return f"{stand_in.host_root}{host_path}" if host_path and stand_in else host_path


def _exec_probe(*command: str) -> Manifest:
    """As often as the chart asks, and no more seldom, though each time costs a node 0.1 s of a core.

    A kubelet that is younger than a probe's period puts its first time off by a part of the period: with 30 s the first
    pods of a new cluster were up, and waited for.
    """
    return {"exec": {"command": list(command)}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}


def _seldom(probe: Manifest) -> Manifest:
    """Three times more seldom than the chart asks: for liveness, which nobody waits for."""
    return {**probe, "periodSeconds": 30}


def _soon(probe: Manifest) -> Manifest:
    """Asked every second until it is up, and never again: an exec probe a second costs a node a tenth of a core."""
    return {**probe, "periodSeconds": 1, "failureThreshold": 300}


def _own_volume(runs: Mapping[str, str], volume: str, folder: str, uid: int) -> Manifest:
    """The init container that gives the volume to the service's user."""
    return {
        "name": "chown",
        **runs,
        "command": ["chown", "-R", f"{uid}:{uid}", folder],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": False},
        "volumeMounts": [{"name": volume, "mountPath": folder}],
    }


def _mount_host(volume: str, host_path: str) -> list[Manifest]:
    return [{"name": volume, "hostPath": {"path": host_path, "type": "DirectoryOrCreate"}}] if host_path else []


def _make_claim(name: str, size: str, storage_class: str, labels: Mapping[str, str]) -> Manifest:
    chosen = {"storageClassName": storage_class} if storage_class else {}
    return {
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **chosen},
    }


def _make_service(name: str, selector: Mapping[str, str], ports: Sequence[Manifest]) -> Manifest:
    spec = {"clusterIP": "None", "selector": dict(selector), "ports": list(ports)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(name), "spec": spec}


def _make_secret(name: str, content: Mapping[str, str]) -> Manifest:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _named(name), "type": "Opaque", "data": data}


def _make_stateful_set(
    name: str,
    replicas: int,
    selector: Mapping[str, str],
    more_labels: Mapping[str, str],
    pod: Manifest,
    claims: Sequence[Manifest],
) -> Manifest:
    spec: Manifest = {
        "serviceName": name,
        "replicas": replicas,
        "selector": {"matchLabels": dict(selector)},
        "template": {"metadata": {"labels": {**selector, **more_labels}}, "spec": pod},
    }
    if claims:
        spec["volumeClaimTemplates"] = list(claims)
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": _named(name), "spec": spec}


def _named(name: str) -> Manifest:
    return {"name": name, "labels": {"app": "chipster"}}
