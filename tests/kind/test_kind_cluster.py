"""The data tier on a real kind cluster: deployed, lost, refused, looked into."""

from __future__ import annotations

import json
import secrets
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import yaml

from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.clusters.forward import Forward
from rehearsal.clusters.kind import KindSession
from rehearsal.clusters.kubernetes import KubernetesCluster
from rehearsal.clusters.pod_ports import PodPorts
from rehearsal.errors import CommandFailed, EnvironmentUnfit, Refused, RehearsalError, WaitTimeout
from rehearsal.journal import Journal, read_journal
from rehearsal.roles import Cluster
from rehearsal.shell import Shell
from tests.kind.conftest import PASSWORD, Bench

pytestmark = pytest.mark.kind
MakeBench = Callable[..., Bench]
KIND_CLUSTER = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4"}


def ask(cluster: KubernetesCluster, bench: Bench, query: str) -> str:
    with (
        cluster.reach(bench.database) as there,
        psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
    ):
        row = connection.execute(query.encode()).fetchone()
        return "" if row is None else str(row[0])


def execute(cluster: KubernetesCluster, bench: Bench, statement: str) -> None:
    with (
        cluster.reach(bench.database) as there,
        psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
    ):
        connection.execute(statement.encode())


def test_what_is_deployed_is_chipsters(bench: Bench) -> None:
    cluster = bench.cluster
    assert isinstance(cluster, Cluster)
    assert ask(cluster, bench, "SHOW server_encoding") == "UTF8"
    assert ask(cluster, bench, "SHOW data_directory") == "/var/lib/postgresql/data_14"
    assert ask(cluster, bench, "SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname='postgres'") == "True"
    without = cluster.exec(bench.database.pod, ["psql", "-w", "-U", "postgres", "auth_db", "-c", "SELECT 1"])
    assert without.status == 2
    assert b"no password supplied" in without.stderr
    assert cluster.exec(bench.database.pod, ["id", "-u"]).stdout == b"1001\n"
    assert cluster.exec(bench.files.pod, ["bash", "-c", "id -u; pwd; stat -c %u storage"]).stdout == (
        b"1000\n/opt/chipster\n1000\n"
    )
    assert cluster.claim_identity("storage-file-storage-0") is not None
    assert cluster.claim_identity("no-such-claim") is None
    versions = cluster.versions()
    assert versions["kubernetes"].startswith("v1.")
    assert versions["pg_dump"].startswith("pg_dump (PostgreSQL)")


def test_the_manuals_backup_command_is_shown_to_paste_and_really_ran(bench: Bench, tmp_path: Path) -> None:
    execute(bench.cluster, bench, "CREATE TABLE IF NOT EXISTS kept (v text)")
    execute(bench.cluster, bench, "INSERT INTO kept VALUES (E'tab\\t\u00e4')")
    dump = tmp_path / "auth.sql"
    command = "PGPASSWORD=$POSTGRES_PASSWORD pg_dump --clean -U postgres auth_db"
    result = bench.cluster.exec(bench.database.pod, ["bash", "-c", command], stdout=dump)
    assert (result.status, result.received.size) == (0, dump.stat().st_size)
    assert "tab\\t\u00e4" in dump.read_text()
    assert result.command.endswith(f"exec {bench.database.pod} -- bash -c '{command}' > {dump}")
    again = subprocess.run(["bash", "-c", result.command.rpartition(" > ")[0]], capture_output=True, check=True)
    strip = [line for line in again.stdout.splitlines() if b"restrict" not in line]
    assert strip == [line for line in dump.read_bytes().splitlines() if b"restrict" not in line]
    journal = bench.journal.path.read_text()
    assert not any(word in journal for word in (PASSWORD, json.dumps(PASSWORD)[1:-1], "kind-test"))


def test_losing_a_database_gives_a_new_empty_claim(make_bench: MakeBench) -> None:
    bench = make_bench()
    cluster, database = bench.cluster, bench.database
    execute(cluster, bench, "CREATE TABLE lost (v text)")
    before = cluster.claim_identity(database.claim)
    cluster.scale(database.workload, 0)
    cluster.delete_claim(database.claim)
    assert cluster.claim_identity(database.claim) is None
    cluster.deploy(bench.deployment)
    after = cluster.claim_identity(database.claim)
    assert before is not None
    assert after is not None
    assert before.uid != after.uid
    assert ask(cluster, bench, "SELECT to_regclass('lost') IS NULL") == "True"


def test_a_claim_in_use_is_only_marked(make_bench: MakeBench) -> None:
    bench = make_bench()
    cluster, files = bench.cluster, bench.files
    cluster.delete_claim(files.claim)
    marked = cluster.claim_identity(files.claim)
    assert marked is not None
    assert marked.terminating
    assert cluster.exec(files.pod, ["test", "-d", "storage"]).status == 0
    cluster.scale(files.workload, 0)
    cluster.deploy(bench.deployment)
    new = cluster.claim_identity(files.claim)
    assert new is not None
    assert new.uid != marked.uid


def test_several_replicas_and_a_host_path(make_bench: MakeBench) -> None:
    bench = make_bench(
        "databases: {sessionDb: {enabled: false}, jobHistory: {enabled: false}, auth: {hostPath: /mnt/data/auth}}\n"
        "deployments: {fileStorage: {replicas: 2, storageVolumeSize: 1Gi}}\n"
    )
    cluster, database = bench.cluster, bench.database
    claims = [cluster.claim_identity(f"storage-file-storage-{n}") for n in (0, 1)]
    assert len({claim.uid for claim in claims if claim}) == 2
    assert cluster.claim_identity(database.claim) is None
    execute(cluster, bench, "CREATE TABLE lost (v text)")
    with pytest.raises(RehearsalError, match="still runs"):
        cluster.empty_host_path(database)
    cluster.scale(database.workload, 0)
    cluster.deploy(bench.deployment)
    assert ask(cluster, bench, "SELECT to_regclass('lost') IS NULL") == "False"
    cluster.scale(database.workload, 0)
    cluster.empty_host_path(database)
    cluster.deploy(bench.deployment)
    assert ask(cluster, bench, "SELECT to_regclass('lost') IS NULL") == "True"


def test_another_marker_refuses_and_changes_nothing(make_bench: MakeBench) -> None:
    bench = make_bench()
    cluster, database = bench.cluster, bench.database
    before = cluster.claim_identity(database.claim)
    kubectl = cluster._kubectl
    marker = kubectl.run("get", "configmap", "rehearsal-marker", "-o", "json").stdout
    kubectl.run("patch", "configmap", "rehearsal-marker", "-p", '{"data": {"nonce": "another"}}')
    attempts: list[Callable[[], object]] = [
        lambda: cluster.scale(database.workload, 0),
        lambda: cluster.delete_claim(database.claim),
        lambda: cluster.empty_host_path(database),
        lambda: cluster.exec(bench.files.pod, ["bash", "-c", "touch storage/x"], destructive=True),
        lambda: cluster.copy_in(Path(__file__), bench.files.pod, "storage"),
        cluster.close,
    ]
    for attempt in attempts:
        with pytest.raises(Refused, match="another run's"):
            attempt()
    kubectl.run("delete", "configmap", "rehearsal-marker")
    with pytest.raises(Refused, match="there is no configmap rehearsal-marker"):
        cluster.delete_claim(database.claim)
    assert cluster.claim_identity(database.claim) == before
    assert cluster.exec(bench.files.pod, ["ls", "-A", "storage"]).stdout == b""
    assert ask(cluster, bench, "SELECT 1") == "1"
    kubectl.run("create", "-f", "-", stdin=marker.replace(b'"another"', f'"{bench.nonce}"'.encode()))


def test_a_forward_that_dies_comes_back(bench: Bench) -> None:
    with bench.cluster.reach(bench.database) as there:
        forward = bench.cluster._ports.ways[bench.database.pod]
        assert isinstance(forward, Forward)
        assert forward._server is not None
        first = forward._server.pid
        forward._server.kill()
        with bench.cluster.reach(bench.database) as again:
            assert again.port == there.port
            assert ask(bench.cluster, bench, "SELECT 1") == "1"
        assert forward._server.pid != first


def test_a_forward_leads_to_the_pod_that_is_there_now(make_bench: MakeBench) -> None:
    bench = make_bench()
    assert ask(bench.cluster, bench, "SELECT 1") == "1"
    bench.cluster._kubectl.run("delete", "pod", bench.database.pod, "--grace-period=1")
    bench.cluster.wait_ready(bench.database.pod)
    assert ask(bench.cluster, bench, "SELECT 2") == "2"


def test_where_no_forward_can_be_held_each_connection_goes_through_exec(bench: Bench, tmp_path: Path) -> None:
    """As with a role that may exec and may not forward."""
    wrapper = tmp_path / "kubectl"
    wrapper.write_text(
        '#!/bin/bash\n[[ " $* " == *" port-forward "* ]] && { echo "pods is forbidden: cannot create portforward" >&2; '
        f'exit 1; }}\nexec {bench.tools.kubectl} "$@"\n'
    )
    wrapper.chmod(0o755)
    cluster = bench.sibling()
    cluster._kubectl = replace(cluster._kubectl, binary=wrapper)
    cluster._ports = PodPorts(cluster._kubectl, cluster._reads, tmp_path)
    assert ask(cluster, bench, "SELECT 40 + 2") == "42"
    many = "SELECT sum(length(t)) FROM (SELECT repeat('x', 1000000) FROM generate_series(1, 20)) AS r(t)"
    assert ask(cluster, bench, many) == "20000000"
    assert any("cannot create portforward" in str(note["message"]) for note in bench.events("note"))
    relays = cluster._ports.ways[bench.database.pod]._relays  # type: ignore[union-attr]
    assert len(relays) >= 1
    cluster._ports.close(bench.database.pod)
    assert not any(relay.alive() for relay in relays)


def test_a_pod_that_cannot_start_is_named_with_the_next_command(make_bench: MakeBench) -> None:
    bench = make_bench()
    cluster = bench.cluster
    wrong = replace(cluster._site, image="localhost/no-such-image:1")
    cluster._site = wrong
    cluster._waits = replace(cluster._waits, patience=1.0)
    with pytest.raises(WaitTimeout) as caught:
        cluster.deploy(bench.deployment)
    message = str(caught.value)
    assert "localhost/no-such-image:1 waits: " in message
    assert "ImagePull" in message
    assert f"describe pod {caught.value.where}" in message


def test_no_such_pod_and_no_such_claim(bench: Bench) -> None:
    with pytest.raises(EnvironmentUnfit, match="there is no such pod"):
        bench.cluster.exec("no-such-pod", ["true"])
    with pytest.raises(CommandFailed, match="not found"):
        bench.cluster.delete_claim("no-such-claim")
    with pytest.raises(CommandFailed, match="not found"):
        bench.cluster.scale("no-such-workload", 0)


def test_logs_are_collected_without_secrets(bench: Bench, tmp_path: Path) -> None:
    bench.cluster.collect_logs(tmp_path)
    log = (tmp_path / f"{bench.database.pod}.postgresql.log").read_text()
    assert "database system is ready to accept connections" in log
    assert "file-storage-0" in (tmp_path / "objects.txt").read_text()
    assert (tmp_path / "events.txt").read_text().strip()


def test_a_half_made_cluster_goes_and_its_logs_stay(bench: Bench, tmp_path: Path) -> None:
    """kubeadm refuses a version that it cannot deploy, when the node is up already."""
    config = yaml.safe_load(bench.tools.config.read_text()) if bench.tools.config else dict(KIND_CLUSTER)
    impossible = "kind: ClusterConfiguration\nkubernetesVersion: v1.99.0\n"
    config["kubeadmConfigPatches"] = [*config.get("kubeadmConfigPatches", []), impossible]
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(config))
    nonce = secrets.token_hex(16)
    session = KindSession(replace(bench.tools, config=tmp_path / "cluster.yaml"), make_stand_ins)
    journal = Journal(tmp_path / "rehearsal" / "journal.jsonl")
    with pytest.raises(EnvironmentUnfit, match="kind could not make a cluster") as told:
        session.prepare(tmp_path / "rehearsal", nonce, journal, Shell(journal))
    session.close()
    journal.close()
    name = f"rehearsal-{nonce[:12]}"
    nodes = ["docker", "ps", "-aq", "--filter", f"label=io.x-k8s.kind.cluster={name}"]
    assert subprocess.run(nodes, capture_output=True, check=True).stdout == b""
    events = [(line["event"], line.get("kind")) for line in read_journal(journal.path)]
    assert {("gone", "kind-cluster"), ("gone", "directory")} <= set(events)
    assert not list(Path(tempfile.gettempdir()).glob(f"rehearsal-kind-{nonce[:12]}"))
    assert str(tmp_path / "kind-logs") in told.value.hint
    assert (tmp_path / "kind-logs" / f"{name}-control-plane" / "journal.log").stat().st_size > 0
