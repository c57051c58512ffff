"""The data tier in a real container engine, and nothing of ours left in it afterwards."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import secrets
import socket
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.cleaning import REMOVERS, Owned
from rehearsal.clusters.container_engine import RUN, Engine, connect
from rehearsal.clusters.containers import ContainersCluster
from rehearsal.clusters.containers_session import ContainersSession
from rehearsal.deployment import DatabaseSpec, Deployment
from rehearsal.errors import EnvironmentUnfit, Refused, RehearsalError, StreamError
from rehearsal.journal import Journal, read_journal
from rehearsal.roles import Cluster
from rehearsal.shell import Shell
from rehearsal.values import make_deployment, read_values

pytestmark = pytest.mark.kind
PASSWORD = "containers-test-password-1"
VALUES = f"""
databases: {{sessionDb: {{enabled: false}}, jobHistory: {{enabled: false}}, auth: {{password: {PASSWORD}}}}}
deployments: {{fileStorage: {{replicas: "2"}}}}
"""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, check=True, text=True).stdout


def list_ours(nonce: str) -> list[str]:
    label = f"label={RUN}={nonce}"
    return (docker("ps", "-aq", "--filter", label) + docker("volume", "ls", "-q", "--filter", label)).split()


@dataclass(frozen=True)
class Tier:
    cluster: ContainersCluster
    deployment: Deployment
    journal: Journal
    nonce: str

    @property
    def database(self) -> DatabaseSpec:
        return self.deployment.databases[0]

    def container(self, pod: str) -> str:
        return f"rehearsal-{self.nonce[:12]}-{pod}"

    def ask(self, query: str) -> str:
        with (
            self.cluster.reach(self.database) as there,
            psycopg.connect(there.dsn, password=there.password, autocommit=True) as connection,
        ):
            cursor = connection.execute(query.encode())
            row = cursor.fetchone() if cursor.description else None
            return "" if row is None else str(row[0])


def open_tier(folder: Path, values: str = VALUES) -> tuple[ContainersSession, Tier]:
    folder.mkdir(exist_ok=True)
    (folder / "values.yaml").write_text(values)
    deployment = make_deployment(read_values([folder / "values.yaml"]))
    images = (deployment.postgres_image, deployment.file_image)
    session = ContainersSession(make_stand_ins, images)
    journal = Journal(folder / "journal.jsonl")
    nonce = secrets.token_hex(16)
    return session, Tier(session.open(folder, nonce, journal, Shell(journal)), deployment, journal, nonce)


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    """Shared; whoever loses something brings it back."""
    session, made = open_tier(tmp_path_factory.mktemp("containers"))
    try:
        made.cluster.deploy(made.deployment)
        yield made
    finally:
        made.cluster.close()
        session.close()
        made.journal.close()
    assert list_ours(made.nonce) == []
    told = {event: set[tuple[str, str]]() for event in ("owned", "gone")}
    for line in read_journal(made.journal.path):
        if line.get("kind") in ("container", "volume"):
            told[line["event"]].add((line["kind"], line["name"]))
    assert told["owned"] == told["gone"] != set()


def test_what_is_deployed_is_chipsters(tier: Tier) -> None:
    cluster, pod = tier.cluster, tier.database.pod
    assert isinstance(cluster, Cluster)
    assert tier.ask("SHOW server_encoding") == "UTF8"
    assert tier.ask("SHOW data_directory") == "/var/lib/postgresql/data_14"
    without = cluster.exec(pod, ["psql", "-w", "-U", "postgres", "auth_db", "-c", "SELECT 1"])
    assert without.status == 2
    assert b"no password supplied" in without.stderr
    assert cluster.exec(pod, ["bash", "-c", "id -u; id -g; hostname"]).stdout.decode() == f"1001\n1001\n{pod}\n"
    script = "id -u; pwd; hostname; stat -c %u storage; cat conf/chipster.yaml >/dev/null && touch logs/x && echo fine"
    said = cluster.exec("file-storage-1", ["bash", "-c", script]).stdout.decode()
    assert said == "1000\n/opt/chipster\nfile-storage-1\n1000\nfine\n"
    versions = cluster.versions()
    assert versions["pg_dump"].startswith("pg_dump (PostgreSQL)")
    assert versions["container engine"]


def test_ports_are_on_loopback_alone(tier: Tier) -> None:
    published = json.loads(docker("inspect", tier.container(tier.database.pod)))[0]["NetworkSettings"]["Ports"]
    assert {one["HostIp"] for one in published["5432/tcp"]} == {"127.0.0.1"}


def test_the_command_that_is_shown_can_be_pasted(tier: Tier, tmp_path: Path) -> None:
    command = "PGPASSWORD=$POSTGRES_PASSWORD pg_dump --clean -U postgres auth_db"
    result = tier.cluster.exec(tier.database.pod, ["bash", "-c", command], stdout=tmp_path / "auth.sql")
    assert result.status == 0
    shown = f"docker exec {tier.container(tier.database.pod)} bash -c '{command}' > {tmp_path / 'auth.sql'}"
    assert result.command == shown
    again = subprocess.run(["bash", "-c", result.command.rpartition(" > ")[0]], capture_output=True, check=True)
    strip = [line for line in again.stdout.splitlines() if b"restrict" not in line]
    assert strip == [line for line in (tmp_path / "auth.sql").read_bytes().splitlines() if b"restrict" not in line]


def test_bytes_pass_both_ways_and_both_ends_agree(tier: Tier, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(os.urandom(1 << 20) * 64)
    result = tier.cluster.exec("file-storage-0", ["cat"], stdin=raw, stdout=tmp_path / "back")
    with raw.open("rb") as stream:
        wanted = hashlib.file_digest(stream, "sha256").hexdigest()
    assert result.sent == result.received
    assert (result.received.size, result.received.sha256) == (64 << 20, wanted)
    assert (tmp_path / "back").stat().st_size == 64 << 20
    failed = tier.cluster.exec("file-storage-0", ["bash", "-c", "echo ERROR x >&2; exit 7"])
    assert (failed.status, failed.stderr, failed.error_lines) == (7, b"ERROR x\n", 1)


def test_files_are_copied_as_kubectl_does_it(tier: Tier, tmp_path: Path) -> None:
    source = tmp_path / "storage"
    (source / "ab").mkdir(parents=True)
    names = ["plain", "a b", "quote'\"", "ümlaut", "new\nline", "x" * 255, "-dash"]
    for name in names:
        (source / "ab" / name).write_text(name * 100)
    result = tier.cluster.copy_in(source, "file-storage-0", ".")
    assert (result.status, result.sent.size) == (0, sum(len((name * 100).encode()) for name in names))
    owners = tier.cluster.exec("file-storage-0", ["bash", "-c", "find storage/ab -type f -printf '%U\\n' | sort -u"])
    assert owners.stdout == b"1000\n"
    copied = tier.cluster.copy_out("file-storage-0", "storage", tmp_path / "back")
    assert copied.status == 0
    assert sorted(path.name for path in (tmp_path / "back" / "ab").iterdir()) == sorted(names)
    assert all((tmp_path / "back" / "ab" / name).read_text() == name * 100 for name in names)
    tier.cluster.exec("file-storage-0", ["bash", "-c", "rm -rf storage/ab"], destructive=True)


def test_a_volume_outlives_its_pod_and_a_deleted_claim_does_not(tier: Tier) -> None:
    cluster, database = tier.cluster, tier.database
    tier.ask("CREATE TABLE kept (v text)")
    before = cluster.claim_identity(database.claim)
    cluster.scale(database.workload, 0)
    with pytest.raises(EnvironmentUnfit, match="there is no such pod"):
        cluster.exec(database.pod, ["true"])
    cluster.scale(database.workload, 1)
    assert tier.ask("SELECT count(*) FROM kept") == "0"
    assert cluster.claim_identity(database.claim) == before
    cluster.delete_claim(database.claim)
    marked = cluster.claim_identity(database.claim)
    assert before is not None
    assert marked is not None
    assert (marked.uid, marked.terminating) == (before.uid, True)
    assert tier.ask("SELECT count(*) FROM kept") == "0"
    cluster.scale(database.workload, 0)
    assert cluster.claim_identity(database.claim) is None
    cluster.deploy(tier.deployment)
    after = cluster.claim_identity(database.claim)
    assert after is not None
    assert after.uid not in ("", before.uid)
    assert tier.ask("SELECT count(*) FROM pg_class WHERE relname = 'kept'") == "0"


def test_the_server_is_shut_down_not_killed(tier: Tier, tmp_path: Path) -> None:
    database = tier.database
    with tier.cluster.reach(database) as there:
        held = psycopg.connect(there.dsn, password=there.password)
    tier.cluster.scale(database.workload, 0)
    held.close()
    tier.cluster.scale(database.workload, 1)
    tier.cluster.collect_logs(tmp_path)
    log = (tmp_path / f"{database.pod}.postgresql.log").read_text()
    assert "database system was shut down at" in log
    assert "was interrupted" not in log


def test_no_secret_in_any_line_or_command(tier: Tier, tmp_path: Path) -> None:
    tier.cluster.collect_logs(tmp_path / "logs")
    texts = [path.read_text() for path in (tmp_path / "logs").iterdir()] + [tier.journal.path.read_text()]
    assert not any(PASSWORD in text for text in texts)
    assert PASSWORD not in docker("ps", "-a", "--no-trunc")


def test_a_marker_that_is_not_ours_refuses(tier: Tier) -> None:
    before = list_ours(tier.nonce)
    guard = tier.cluster._guard
    object.__setattr__(guard, "nonce", "f" * 32)
    try:
        for attempt in (
            lambda: tier.cluster.delete_claim(tier.database.claim),
            lambda: tier.cluster.scale("file-storage", 0),
            lambda: tier.cluster.exec("file-storage-0", ["touch", "storage/x"], destructive=True),
            lambda: tier.cluster.close(),
        ):
            with pytest.raises(Refused, match="nothing was done"):
                attempt()
    finally:
        object.__setattr__(guard, "nonce", tier.nonce)
    assert list_ours(tier.nonce) == before
    assert tier.cluster.exec("file-storage-0", ["test", "-e", "storage/x"]).status == 1


def test_host_paths_are_lost_by_emptying_them(tmp_path: Path) -> None:
    values = VALUES.replace("auth: {", "auth: {hostPath: /mnt/auth, ").replace(
        'replicas: "2"', 'replicas: "1", storageHostPath: /mnt/files'
    )
    session, made = open_tier(tmp_path / "run", values)
    cluster, (database, files) = made.cluster, made.deployment.stores
    try:
        cluster.deploy(made.deployment)
        assert cluster.claim_identity(database.claim) is None
        made.ask("CREATE TABLE lost (v text)")
        cluster.exec(files.pod, ["bash", "-c", "echo x > storage/.dot"], destructive=True)
        with pytest.raises(RehearsalError, match="still runs"):
            cluster.empty_host_path(files)
        for store in (database, files):
            cluster.scale(store.workload, 0)
            cluster.empty_host_path(store)
        left = sorted(path.name for path in (tmp_path / "run" / "host-paths" / "mnt").rglob("*"))
        assert left == ["auth", "files"]
        cluster.deploy(made.deployment)
        assert made.ask("SELECT count(*) FROM pg_class WHERE relname = 'lost'") == "0"
        assert cluster.exec(files.pod, ["ls", "-A", "storage"]).stdout == b""
    finally:
        cluster.close()
        session.close()
        made.journal.close()
    assert list_ours(made.nonce) == []
    assert not (tmp_path / "run" / "host-paths").exists()


def test_clean_removes_what_a_dead_run_left_and_nothing_else(tmp_path: Path) -> None:
    session, made = open_tier(tmp_path / "run")
    made.cluster.deploy(made.deployment)
    session.close()
    made.journal.close()  # from here on nobody holds it, as after kill -9
    owned: dict[tuple[str, str], Owned] = {}
    for line in read_journal(made.journal.path):
        key = (str(line.get("kind")), str(line.get("name")))
        if line["event"] == "owned":
            owned[key] = Owned(*key, line)
        elif line["event"] == "gone":
            owned.pop(key, None)
    everything = list(owned.values())
    try:
        stranger = replace(everything[0], marks={**everything[0].marks, "nonce": made.nonce[:12] + "0" * 20})
        with pytest.raises(Refused, match="is not that run's"):
            REMOVERS[stranger.kind](stranger)
    finally:
        assert [REMOVERS[thing.kind](thing) for thing in reversed(everything)] == [True] * len(everything)
    assert list_ours(made.nonce) == []


class Relay:
    """A socket that leads to the engine, until it is cut."""

    def __init__(self, path: Path, engine: str) -> None:
        self.address = f"unix://{path}"
        self._engine = engine
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._path = path
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._server.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(self._engine)
                self._open += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self._path.unlink(missing_ok=True)
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def test_an_engine_lost_in_the_middle_is_one_clear_error(tier: Tier) -> None:
    """Cut off from an engine that goes on for others: the harness sees what it would see of one that stopped."""
    direct = tier.cluster._engine.address
    relay = Relay(Path(f"/tmp/rehearsal-relay-{secrets.token_hex(4)}"), direct.removeprefix("unix://"))
    there = connect(relay.address)
    try:
        lose_engine(tier, there, relay)
    finally:
        relay.cut()
        there.close()
        connect(direct).close()  # testcontainers means the engine itself again
    with warnings.catch_warnings():  # docker-py leaves the socket of a connection that failed to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert tier.cluster.exec("file-storage-0", ["echo", "here"]).stdout == b"here\n"


def lose_engine(tier: Tier, there: Engine, relay: Relay) -> None:
    cluster = object.__new__(ContainersCluster)
    cluster.__dict__.update(tier.cluster.__dict__)
    cluster._engine = there
    cluster._cli = replace(tier.cluster._cli, address=relay.address)
    cluster._guard = replace(tier.cluster._guard, engine=there)
    cluster._pods = replace(tier.cluster._pods, engine=there, guard=cluster._guard)
    assert cluster.exec("file-storage-0", ["echo", "there"]).stdout == b"there\n"

    def cut_when_it_runs() -> Iterator[bytes]:
        yield b"a first line\n"
        relay.cut()
        yield b"a second line\n" * 100_000

    with pytest.raises(StreamError, match="the pod's state is unknown: the container engine does not answer"):
        cluster.exec("file-storage-0", ["cat"], stdin=cut_when_it_runs(), destructive=True, deadline=60.0)
    with pytest.raises(EnvironmentUnfit, match="the container engine does not answer"):
        cluster.exec("file-storage-0", ["true"])
    with pytest.raises(Refused, match="does not answer"):
        cluster.close()
