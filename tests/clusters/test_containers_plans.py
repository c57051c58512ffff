"""What is run for Chipster's own objects: read from the very manifests that kind gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.clusters.container_plans import MountPlan, PodPlan, read_plans
from rehearsal.errors import RehearsalError
from rehearsal.values import make_deployment, read_values

PASSWORD = "plans-test-password-1"
VALUES = f"""
image: {{chipsterImageRepo: "example.org/chipster/", tag: v9}}
databases:
  sessionDb: {{password: "{PASSWORD}"}}
  auth: {{password: "{PASSWORD}", hostPath: /mnt/auth}}
  jobHistory: {{enabled: false}}
deployments: {{fileStorage: {{replicas: "2"}}}}
podSecurityContext: {{fsGroup: 0}}
"""


def plan(tmp_path: Path, images: dict[str, str] | None = None) -> dict[str, PodPlan]:
    path = tmp_path / "values.yaml"
    path.write_text(VALUES)
    objects = make_stand_ins(make_deployment(read_values([path])), "", "/ours")
    return {one.name: one for one in read_plans(objects, images or {})}


def test_pods_and_claims_have_chipsters_names(tmp_path: Path) -> None:
    plans = plan(tmp_path)
    assert {name: one.claims for name, one in plans.items()} == {
        "chipster-session-db-postgresql-0": ("data-chipster-session-db-postgresql-0",),
        "chipster-auth-postgresql-0": (),
        "file-storage-0": ("storage-file-storage-0",),
        "file-storage-1": ("storage-file-storage-1",),
    }
    assert {one.workload for one in plans.values()} == {
        "chipster-session-db-postgresql",
        "chipster-auth-postgresql",
        "file-storage",
    }


def test_a_database_runs_as_in_its_pod(tmp_path: Path) -> None:
    pod = plan(tmp_path)["chipster-session-db-postgresql-0"]
    main = pod.main
    assert (main.name, main.image, main.command) == ("postgresql", "example.org/chipster/postgresql-14:v9", ())
    assert (main.user, main.groups, pod.group) == ("1001:1001", (1001,), 1001)
    assert main.environment == {
        "PGDATA": "/var/lib/postgresql/data_14",
        "POSTGRES_PASSWORD": PASSWORD,
        "POSTGRES_DB": "session_db_db",
        "POSTGRES_INITDB_ARGS": "--auth=scram-sha-256",
    }
    claim = MountPlan("claim", "/var/lib/postgresql", "data-chipster-session-db-postgresql-0")
    assert main.mounts == (claim, MountPlan("memory", "/dev/shm"))
    assert main.ports == (5432,)
    assert main.ready[:3] == ("pg_isready", "-U", "postgres")
    assert [one.name for one in pod.first] == ["configure"]
    assert pod.first[0].environment == {"PGDATA": "/var/lib/postgresql/data_14"}


def test_a_host_path_lies_below_our_folder_and_is_given_to_the_server(tmp_path: Path) -> None:
    pod = plan(tmp_path)["chipster-auth-postgresql-0"]
    assert pod.main.mounts[0] == MountPlan("host", "/var/lib/postgresql", "/ours/mnt/auth")
    assert [(one.name, one.user) for one in pod.first] == [("chown", "0"), ("configure", "1001:1001")]


def test_file_storage_runs_as_in_its_pod(tmp_path: Path) -> None:
    pod = plan(tmp_path)["file-storage-1"]
    main = pod.main
    assert (main.user, main.groups, main.working_directory) == ("1000", (0,), "/opt/chipster")
    assert main.command[:2] == ("bash", "-c")
    claim = MountPlan("claim", "/opt/chipster/storage", "storage-file-storage-1")
    assert main.mounts == (claim, MountPlan("memory", "/opt/chipster/logs"))
    assert list(main.files) == ["/opt/chipster/conf/chipster.yaml"]
    assert main.ready == ("test", "-w", "/opt/chipster/storage")
    assert [(one.name, one.user, one.command[:2]) for one in pod.first] == [("chown", "0", ("chown", "-R"))]


def test_only_the_images_that_are_not_to_be_had_are_replaced(tmp_path: Path) -> None:
    plans = plan(tmp_path, {"example.org/chipster/backup:v9": "localhost/workload:1"})
    files, database = plans["file-storage-0"], plans["chipster-session-db-postgresql-0"]
    assert {files.main.image, *(one.image for one in files.first)} == {"localhost/workload:1"}
    assert database.main.image == "example.org/chipster/postgresql-14:v9"


def test_a_plan_does_not_show_its_secrets(tmp_path: Path) -> None:
    assert PASSWORD not in repr(plan(tmp_path))


def _stateful_set(**pod: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    spec = {"containers": [container], "volumes": [{"name": "v", "nfs": {}}], **pod}
    return {"kind": "StatefulSet", "metadata": {"name": "s"}, "spec": {"replicas": 1, "template": {"spec": spec}}}


def test_what_this_level_cannot_run_is_refused() -> None:
    with pytest.raises(RehearsalError, match="a volume this level does not know: v"):
        read_plans([_stateful_set()], {})
    with pytest.raises(RehearsalError, match="a pod of 2 containers"):
        read_plans([_stateful_set(containers=[{}, {}])], {})
