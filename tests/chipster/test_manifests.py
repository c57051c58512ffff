"""The data tier's objects carry Chipster's own names, environment and volumes (facts, section 3)."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rehearsal.chipster.manifests import WAIT_FOR_SIGNAL, Manifest, StandIn, make_manifests, make_stand_ins
from rehearsal.deployment import Deployment
from rehearsal.values import make_deployment, read_values


def deploy(tmp_path: Path, text: str = "") -> Deployment:
    path = tmp_path / "values.yaml"
    path.write_text(text or "databases: {auth: {password: 'p\u00e4ss'}}")
    return make_deployment(read_values([path]))


def find(objects: list[Manifest], kind: str, name: str) -> Manifest:
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1
    return found[0]


def pod_of(objects: list[Manifest], name: str) -> dict[str, Any]:
    spec: dict[str, Any] = find(objects, "StatefulSet", name)["spec"]["template"]["spec"]
    return spec


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_the_names_are_chipsters(tmp_path: Path) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in make_manifests(deploy(tmp_path), StandIn())]
    workloads = [f"chipster-{name}-postgresql" for name in ("session-db", "auth", "job-history")] + ["file-storage"]
    assert names == [(kind, name) for name in workloads for kind in ("Service", "Secret", "StatefulSet")]


def test_a_database_is_the_charts(tmp_path: Path) -> None:
    objects = make_manifests(deploy(tmp_path), StandIn())
    name = "chipster-auth-postgresql"
    service, secret, workload = (find(objects, kind, name) for kind in ("Service", "Secret", "StatefulSet"))
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"app.kubernetes.io/name": "auth-postgresql"}
    assert base64.b64decode(secret["data"]["postgres-password"]).decode() == "p\u00e4ss"
    assert workload["spec"]["replicas"] == 1
    assert workload["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "auth-postgresql", "app": "chipster"}
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["resources"]["requests"]["storage"] == "8Gi"
    pod = pod_of(objects, name)
    (container,) = pod["containers"]
    assert container["name"] == "postgresql"
    assert environment(container) == {
        "PGDATA": "/var/lib/postgresql/data_14",
        "POSTGRES_PASSWORD": {"secretKeyRef": {"name": name, "key": "postgres-password"}},
        "POSTGRES_DB": "auth_db",
        "POSTGRES_INITDB_ARGS": "--auth=scram-sha-256",
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"data": "/var/lib/postgresql", "tmp": "/tmp", "dshm": "/dev/shm"}
    assert {"name": "dshm", "emptyDir": {"medium": "Memory"}} in pod["volumes"]
    assert pod["securityContext"] == {"fsGroup": 1001}
    assert container["securityContext"] == {"runAsUser": 1001, "runAsGroup": 1001, "runAsNonRoot": True}
    for probe in ("readinessProbe", "livenessProbe"):
        command = container[probe]["exec"]["command"]
        assert command == ["pg_isready", "-U", "postgres", "-d", "dbname=auth_db", "-h", "127.0.0.1"]
    assert [init["name"] for init in pod["initContainers"]] == ["configure"]


def test_file_storage_is_the_charts_but_for_its_service(tmp_path: Path) -> None:
    values = "deployments: {fileStorage: {storageVolumeSize: 7Gi, storageClassName: fast, replicas: 3}}\n"
    values += "securityContext: {runAsUser: 1234}\npodSecurityContext: {fsGroup: 0}\n"
    deployment = deploy(tmp_path, values)
    objects = make_manifests(deployment, StandIn())
    workload = find(objects, "StatefulSet", "file-storage")
    assert workload["spec"]["replicas"] == 3
    assert workload["spec"]["template"]["metadata"]["labels"] == {
        "app": "chipster",
        "name": "file-storage",
        "server": "file-storage",
    }
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert claim["metadata"] == {"name": "storage", "labels": {"app": "chipster"}}
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "7Gi"
    pod = pod_of(objects, "file-storage")
    (container,) = pod["containers"]
    assert container["workingDir"] == "/opt/chipster"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"storage": "/opt/chipster/storage", "conf": "/opt/chipster/conf", "logs": "/opt/chipster/logs"}
    assert container["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1234}
    assert pod["securityContext"] == {"fsGroup": 0}
    (init,) = pod["initContainers"]
    assert init["command"] == ["chown", "-R", "1000:1000", "/opt/chipster/storage"]
    assert init["securityContext"]["runAsUser"] == 0
    assert "chipster.yaml" in find(objects, "Secret", "file-storage")["data"]
    assert container["command"] == list(WAIT_FOR_SIGNAL)
    assert "httpGet" not in json.dumps(container)
    real = pod_of(make_manifests(deployment), "file-storage")["containers"][0]
    assert real["livenessProbe"] == {"httpGet": {"path": "/admin/alive", "port": 8116}}
    assert "command" not in real


def test_host_paths_take_the_place_of_claims(tmp_path: Path) -> None:
    values = "databases: {auth: {hostPath: /mnt/auth}}\ndeployments: {fileStorage: {storageHostPath: /mnt/files}}"
    objects = make_stand_ins(deploy(tmp_path, values), "image:1", "/var/local/ours")
    for name, volume, path in (
        ("chipster-auth-postgresql", "data", "/mnt/auth"),
        ("file-storage", "storage", "/mnt/files"),
    ):
        assert "volumeClaimTemplates" not in find(objects, "StatefulSet", name)["spec"]
        pod = pod_of(objects, name)
        wanted = {"path": f"/var/local/ours{path}", "type": "DirectoryOrCreate"}
        assert {"name": volume, "hostPath": wanted} in pod["volumes"]
        assert pod["initContainers"][0]["name"] == "chown"
    assert "volumeClaimTemplates" in find(objects, "StatefulSet", "chipster-session-db-postgresql")["spec"]
    bare = pod_of(make_manifests(deploy(tmp_path, values)), "file-storage")["volumes"]
    assert {"name": "storage", "hostPath": {"path": "/mnt/files", "type": "DirectoryOrCreate"}} in bare


@pytest.mark.parametrize(
    ("image", "postgres", "files", "policy"),
    [("", "r/postgresql-14:v1", "r/backup:v1", "Always"), (*("w:1",) * 3, "IfNotPresent")],
)
def test_images_and_their_pull_policy_are_those_of_values_unless_one_stands_in(
    tmp_path: Path, image: str, postgres: str, files: str, policy: str
) -> None:
    """No registry need have the image that stands in: `Always` would ask one, and no pod would ever start."""
    hosts = "databases: {auth: {hostPath: /mnt/auth}}"  # its init container runs the image too
    deployment = deploy(tmp_path, f"image: {{chipsterImageRepo: r/, tag: v1, localPullPolicy: Always}}\n{hosts}")
    objects = make_manifests(deployment, StandIn(image=image))
    for name, wanted in (("chipster-auth-postgresql", postgres), ("file-storage", files)):
        pod = pod_of(objects, name)
        containers = pod["containers"] + pod["initContainers"]
        assert {container["image"] for container in containers} == {wanted}
        assert {container["imagePullPolicy"] for container in containers} == {policy}


def test_a_disabled_database_has_no_objects(tmp_path: Path) -> None:
    text = json.dumps(make_manifests(deploy(tmp_path, "databases: {auth: {enabled: false}}"), StandIn()))
    assert "chipster-auth-postgresql" not in text
    assert "chipster-session-db-postgresql" in text


def test_the_configure_script_writes_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    pod = pod_of(make_manifests(deploy(tmp_path), StandIn()), "chipster-auth-postgresql")
    command = pod["initContainers"][0]["command"]
    folder = tmp_path / "data_14"

    def run() -> None:
        subprocess.run(command, env={"PGDATA": str(folder), "PATH": "/usr/bin:/bin"}, check=True)

    run()
    assert not folder.exists()
    folder.mkdir()
    (folder / "PG_VERSION").write_text("14\n")
    (folder / "pg_ident.conf").write_text("mine\n")
    run()
    assert (folder / "postgresql.conf").read_text() == "listen_addresses = '*'\n"
    assert [line.split() for line in (folder / "pg_hba.conf").read_text().splitlines()] == [
        ["local", "all", "all", "scram-sha-256"],
        ["host", "all", "all", "all", "scram-sha-256"],
    ]
    assert (folder / "pg_ident.conf").read_text() == "mine\n"


def test_the_waiting_container_ends_on_a_signal() -> None:
    with subprocess.Popen(WAIT_FOR_SIGNAL, stdout=subprocess.PIPE, start_new_session=True) as waiting:
        subprocess.run(
            ["bash", "-c", f"until pgrep -P {waiting.pid} sleep >/dev/null; do sleep 0.01; done"], check=True
        )
        waiting.terminate()
        assert waiting.wait(timeout=20) == 0
        subprocess.run(["pkill", "-g", str(waiting.pid)], check=True)  # the orphaned sleep; in a pod it goes with pod 1
