"""The guard of the containers level: nothing is changed in an engine that cannot prove that the thing is this run's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("testcontainers", reason="the extra `containers` is not installed")

import docker
import requests

from rehearsal.chipster.manifests import make_stand_ins
from rehearsal.clusters.container_engine import RUN, Engine
from rehearsal.clusters.containers import ContainersCluster, Workshop
from rehearsal.clusters.containers_session import ContainersSession
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit, Refused, RehearsalError, WaitTimeout
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell
from rehearsal.values import make_deployment, read_values

NONCE = "0123456789abcdef0123456789abcdef"
PREFIX = f"rehearsal-{NONCE[:12]}"
PASSWORD = "guard-test-password-1"
AUTH = "chipster-auth-postgresql-0"


@dataclass
class FakeThing:
    """A container or a volume of the fake engine."""

    owner: dict[str, FakeThing]
    attrs: dict[str, Any]
    calls: list[str]

    @property
    def name(self) -> str:
        return str(self.attrs["Name"])

    def remove(self, **_: Any) -> None:
        self.calls.append(f"remove {self.name}")
        del self.owner[self.name]

    def stop(self, **_: Any) -> None:
        self.calls.append(f"stop {self.name}")
        self.attrs["State"].update(Running=False, Status="exited")

    def wait(self, **_: Any) -> dict[str, int]:
        return {"StatusCode": self.attrs["State"]["ExitCode"]}

    def logs(self, **_: Any) -> bytes:
        return f"a log with {PASSWORD}\n".encode()

    def exec_run(self, _: list[str]) -> Any:
        return type("Answer", (), {"exit_code": 0})()


class FakeCollection(dict[str, FakeThing]):
    """Containers or volumes; what changes one is written down."""

    def __init__(self, client: FakeClient, kind: str) -> None:
        super().__init__()
        self.client = client
        self.kind = kind

    def get(self, name: str, *_: Any) -> FakeThing:  # type: ignore[override]
        self.client.answer()
        if name not in self:
            raise docker.errors.NotFound(f"no such {self.kind}: {name}")
        return self[name]

    def list(self, filters: dict[str, str], **_: Any) -> list[FakeThing]:
        self.client.answer()
        key, _, value = filters["label"].partition("=")
        return [thing for thing in self.values() if thing.attrs["Labels"].get(key) == value]

    def create(self, name: str, labels: dict[str, str], **_: Any) -> None:
        self.client.answer()
        self.client.calls.append(f"create {name}")
        attrs = {"Name": name, "Names": [f"/{name}"], "Labels": dict(labels), "CreatedAt": "2026-01-01T00:00:00Z"}
        attrs["Config"] = {"Labels": attrs["Labels"]}
        attrs["Created"] = "2026-01-01T00:00:00.123456789Z"
        attrs["State"] = {"Running": True, "Status": "running", "ExitCode": 0}
        self[name] = FakeThing(self, attrs, self.client.calls)


@dataclass
class FakeClient:
    """`docker.DockerClient`, as far as the engine uses it."""

    calls: list[str] = field(default_factory=list)
    identity: str = "ENGINE-1"
    gone: bool = False

    def __post_init__(self) -> None:
        self.containers = FakeCollection(self, "container")
        self.volumes = FakeCollection(self, "volume")

    def answer(self) -> None:
        if self.gone:
            raise requests.exceptions.ConnectionError("Connection refused")

    def info(self) -> dict[str, str]:
        self.answer()
        return {"ID": self.identity}

    def version(self) -> dict[str, str]:
        return {"Version": "1"}

    def close(self) -> None:
        pass


class FakeContainer:
    """`DockerContainer`, as far as the engine uses it."""

    def __init__(self, client: FakeClient, image: str, *, name: str, labels: dict[str, str], **_: Any) -> None:
        self.client = client
        self.name = name
        self.labels = labels

    def with_tmpfs_mount(self, _: str) -> None:
        pass

    def start(self) -> None:
        self.client.containers.create(self.name, self.labels)

    def get_docker_client(self) -> Any:
        return type("Wrapped", (), {"client": self.client})()


@dataclass
class Scene:
    cluster: ContainersCluster
    client: FakeClient
    deployment: Deployment
    journal: Journal
    commands: Path

    def volume(self, claim: str) -> str:
        return next(name for name in self.client.volumes if f"-{claim}-" in name)

    @property
    def owned(self) -> set[tuple[str, str]]:
        left: set[tuple[str, str]] = set()
        for line in read_journal(self.journal.path):
            key = (line.get("kind", ""), line.get("name", ""))
            (left.add if line["event"] == "owned" else left.discard)(key)
        return left


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A deployed tier; a docker binary that only writes down that it was called."""
    (tmp_path / "bin").mkdir()
    commands = tmp_path / "commands"
    commands.touch()
    binary = tmp_path / "bin" / "docker"
    binary.write_text(f'#!/bin/sh\necho "$@" >>{commands}\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    values = tmp_path / "values.yaml"
    values.write_text(
        f"databases: {{sessionDb: {{enabled: false}}, jobHistory: {{enabled: false}}, auth: {{password: {PASSWORD}}}}}"
    )
    client = FakeClient()
    engine = Engine(client, "unix:///fake", lambda image, **rest: FakeContainer(client, image, **rest))
    journal = Journal(tmp_path / "journal.jsonl")
    cluster = ContainersCluster(
        Workshop(engine, make_stand_ins, {}, ()), tmp_path / "run", NONCE, journal, Shell(journal)
    )
    deployment = make_deployment(read_values([values]))
    cluster.deploy(deployment)
    client.calls.clear()
    yield Scene(cluster, client, deployment, journal, commands)
    journal.close()


Attempt = Callable[[Scene], object]
ATTEMPTS: dict[str, Attempt] = {
    "deploy": lambda scene: scene.cluster.deploy(scene.deployment),
    "scale": lambda scene: scene.cluster.scale("chipster-auth-postgresql", 0),
    "scale up": lambda scene: scene.cluster.scale("chipster-auth-postgresql", 1),
    "delete claim": lambda scene: scene.cluster.delete_claim(f"data-{AUTH}"),
    "delete no claim": lambda scene: scene.cluster.delete_claim("data-of-nobody"),
    "exec": lambda scene: scene.cluster.exec("file-storage-0", ["rm", "-rf", "storage"], destructive=True),
    "copy in": lambda scene: scene.cluster.copy_in(Path(__file__), "file-storage-0", "storage"),
    "empty host path": lambda scene: scene.cluster.empty_host_path(scene.deployment.files[0]),
    "close": lambda scene: scene.cluster.close(),
}
destructive = pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())


def check_refused(scene: Scene, attempt: Attempt, said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        attempt(scene)
    assert "nothing was done" in str(caught.value)
    assert scene.client.calls == []
    assert scene.commands.read_text() == ""


@destructive
def test_a_marker_of_another_run_refuses(scene: Scene, attempt: Attempt) -> None:
    scene.client.volumes[f"{PREFIX}-marker"].attrs["Labels"][RUN] = "f" * 32
    check_refused(scene, attempt, f"the label {RUN} of volume {PREFIX}-marker is not this run's")


@destructive
def test_a_missing_marker_refuses(scene: Scene, attempt: Attempt) -> None:
    del scene.client.volumes[f"{PREFIX}-marker"]
    check_refused(scene, attempt, f"there is no volume {PREFIX}-marker")


@destructive
def test_another_engine_refuses(scene: Scene, attempt: Attempt) -> None:
    scene.client.identity = "ENGINE-2"
    check_refused(scene, attempt, "another container engine answers there")


@destructive
def test_an_engine_that_does_not_answer_refuses(scene: Scene, attempt: Attempt) -> None:
    scene.client.gone = True
    check_refused(scene, attempt, "cannot be read: the container engine does not answer")


@pytest.mark.parametrize("name", ["scale", "exec"])
def test_a_container_of_another_run_refuses(scene: Scene, name: str) -> None:
    for container in scene.client.containers.values():
        container.attrs["Labels"][RUN] = "f" * 32
    check_refused(scene, ATTEMPTS[name], f"the label {RUN} of container {PREFIX}-.* is not this run's")


def test_a_volume_of_another_run_refuses(scene: Scene) -> None:
    scene.client.volumes[scene.volume(f"data-{AUTH}")].attrs["Labels"][RUN] = "f" * 32
    check_refused(scene, ATTEMPTS["delete claim"], f"the label {RUN} of volume {PREFIX}-data-.* is not this run's")


def test_the_marker_is_read_again_before_each_call(scene: Scene) -> None:
    scene.cluster.scale("file-storage", 0)
    scene.client.calls.clear()
    scene.client.volumes[f"{PREFIX}-marker"].attrs["Labels"][RUN] = "f" * 32
    check_refused(scene, ATTEMPTS["scale"], "is not this run's")


def test_a_claim_in_use_goes_with_its_pod_and_comes_back_as_another(scene: Scene) -> None:
    cluster, claim = scene.cluster, f"data-{AUTH}"
    before = cluster.claim_identity(claim)
    cluster.delete_claim(claim)
    marked = cluster.claim_identity(claim)
    assert before is not None
    assert marked is not None
    assert (marked.uid, before.terminating, marked.terminating) == (before.uid, False, True)
    assert scene.client.calls == []
    volume = scene.volume(claim)
    cluster.scale("chipster-auth-postgresql", 0)
    assert scene.client.calls == [f"stop {PREFIX}-{AUTH}", f"remove {PREFIX}-{AUTH}", f"remove {volume}"]
    assert cluster.claim_identity(claim) is None
    cluster.deploy(scene.deployment)
    after = cluster.claim_identity(claim)
    assert after is not None
    assert after.uid not in ("", before.uid)


def test_a_claim_that_is_not_there_is_an_error(scene: Scene) -> None:
    with pytest.raises(RehearsalError, match='"data-of-nobody" not found'):
        scene.cluster.delete_claim("data-of-nobody")


def test_everything_is_journalled_before_it_is_made_and_gone_at_the_end(scene: Scene) -> None:
    made = {("container", name) for name in scene.client.containers} | {
        ("volume", name) for name in scene.client.volumes
    }
    assert len(made) == 5
    assert scene.owned == made
    owned = next(line for line in read_journal(scene.journal.path) if line["event"] == "owned")
    assert (owned["nonce"], owned["engine"]) == (NONCE, "unix:///fake")
    scene.client.volumes.create("a-strangers", {RUN: "f" * 32})
    scene.client.containers.create("another-strangers", {})
    scene.cluster.close()
    assert list(scene.client.volumes) == ["a-strangers"]
    assert list(scene.client.containers) == ["another-strangers"]
    assert scene.owned == set()
    assert not (scene.journal.path.parent / "run" / "container-listings").exists()


def test_a_container_is_journalled_even_when_it_is_not_made(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.cluster.scale("file-storage", 0)

    def fail(_: FakeContainer) -> None:
        raise docker.errors.APIError("port is already allocated")

    monkeypatch.setattr(FakeContainer, "start", fail)
    with pytest.raises(EnvironmentUnfit, match=r"refuses to start .*port is already allocated"):
        scene.cluster.scale("file-storage", 1)
    assert any(name.startswith(f"{PREFIX}-file-storage-0-chown-") for _, name in scene.owned)


def test_what_is_left_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = scene.volume(f"data-{AUTH}")
    monkeypatch.setattr(scene.client.volumes[stuck], "remove", lambda **_: None)
    with pytest.raises(EnvironmentUnfit, match=f"it is not removed: {stuck}"):
        scene.cluster.close()


def test_an_init_container_that_fails_is_named_and_removed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.cluster.scale("file-storage", 0)
    monkeypatch.setattr(FakeThing, "wait", lambda *_, **__: {"StatusCode": 3})
    with pytest.raises(EnvironmentUnfit, match=r"chown .*ended with status 3: a log with \[redacted\]"):
        scene.cluster.scale("file-storage", 1)
    assert not [name for name in scene.client.containers if "chown" in name]


def test_a_server_that_ends_is_named_at_once(scene: Scene) -> None:
    scene.client.containers[f"{PREFIX}-{AUTH}"].attrs["State"] = {
        "Running": False,
        "Status": "exited",
        "ExitCode": 1,
    }
    with pytest.raises(WaitTimeout, match=r"cannot become ready: phase exited; .*status 1.*\[redacted\]"):
        scene.cluster.wait_ready(AUTH)


def test_a_lost_engine_is_one_clear_error(scene: Scene) -> None:
    scene.client.gone = True
    attempts: list[Callable[[], object]] = [
        lambda: scene.cluster.claim_identity(f"data-{AUTH}"),
        lambda: scene.cluster.exec(AUTH, ["true"]),
        lambda: scene.cluster.wait_ready(AUTH),
    ]
    for attempt in attempts:
        with pytest.raises(EnvironmentUnfit, match="the container engine does not answer"):
            attempt()
    assert scene.commands.read_text() == ""


def test_a_pod_that_is_not_there_is_named(scene: Scene) -> None:
    for attempt in (lambda: scene.cluster.exec("file-storage-7", ["true"]), lambda: scene.cluster.wait_ready("nobody")):
        with pytest.raises(EnvironmentUnfit, match="there is no such pod"):
            attempt()
    assert scene.commands.read_text() == ""


def test_logs_and_journal_hold_no_secret(scene: Scene, tmp_path: Path) -> None:
    scene.cluster.collect_logs(tmp_path / "logs")
    logs = sorted((tmp_path / "logs").iterdir())
    assert [path.name for path in logs] == [f"{AUTH}.postgresql.log", "file-storage-0.file-storage.log"]
    assert all("a log with [redacted]" in path.read_text() for path in logs)
    assert PASSWORD not in scene.journal.path.read_text()


class FakeImages:
    """An engine that has these images."""

    def __init__(self, *present: str) -> None:
        self.present = present
        self.address = "unix:///fake"

    def image_id(self, image: str) -> str | None:
        return image if image in self.present else None

    def version(self) -> str:
        return "1"

    def close(self) -> None:
        pass


def open_session(monkeypatch: pytest.MonkeyPatch, engine: FakeImages, pull: str) -> ContainersSession:
    place = "rehearsal.clusters.containers_session"
    monkeypatch.setattr(f"{place}.connect", lambda: engine)
    monkeypatch.setattr(f"{place}._pull", lambda *_: pull)
    return ContainersSession(make_stand_ins, ["example.org/pg:1", "example.org/files:1"])


def test_images_at_hand_are_run_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(monkeypatch, FakeImages("example.org/pg:1", "example.org/files:1"), "no registry answers")
    assert session._workshop.images == {}
    assert "stands in" not in session.description
    assert not any("image" in sentence for sentence in session.does_not_prove)


def test_an_image_not_to_be_had_is_stood_in_for_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = type("Tools", (), {"workload_image": "localhost/workload:1"})
    monkeypatch.setattr("rehearsal.clusters.containers_session.find_kind_tools", lambda: tools)
    engine = FakeImages("example.org/pg:1", "localhost/workload:1")
    session = open_session(monkeypatch, engine, "no registry answers")
    assert session._workshop.images == {"example.org/files:1": "localhost/workload:1"}
    assert (
        "nothing about the image example.org/files:1: localhost/workload:1 stands in for it" in session.does_not_prove
    )
    assert "localhost/workload:1 stands in" in session.description


def test_without_image_and_stand_in_the_level_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise EnvironmentUnfit("no kind kit")

    monkeypatch.setattr("rehearsal.clusters.containers_session.find_kind_tools", fail)
    with pytest.raises(EnvironmentUnfit, match="not at hand \\(no registry answers\\)") as caught:
        open_session(monkeypatch, FakeImages(), "no registry answers")
    assert caught.value.where == "example.org/pg:1"
    assert "ci/kit/build --build" in caught.value.hint, "make kind-kit may build nothing"
