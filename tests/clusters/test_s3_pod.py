"""The S3 server as a pod, without a cluster: what goes in and comes back, what is refused, where its keys are."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest

pytest.importorskip("kubernetes", reason="the extra `kind` is not installed")

from rehearsal.clusters import rclone
from rehearsal.clusters.pod_states import ContainerState, PodState
from rehearsal.clusters.s3_pod import FOLDER, POD, PORT, S3Images, S3Pod, make_objects
from rehearsal.errors import EnvironmentUnfit, Refused, StreamError, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.roles import ExecResult, S3Coordinates, Transfer
from rehearsal.shell import Shell

IMAGES = S3Images("localhost/ours:1", "example.org/postgres:14", "IfNotPresent")
KEY = "chipster-backups/one_2026-04-30T01:10:00Z/backup-info"
READY = PodState(POD, "uid-1", datetime.now(UTC), "Running", True, False, "", "", (), ())
NOTHING = Transfer(0, "")


@dataclass
class Scene:
    """Plays the cluster: the pod's folder is `inside`, in which its commands really run.

    Attributes:
        settles: what the pod comes to when it is made.
        damage: done in the pod after every command that changes it.
    """

    inside: Path
    journal: Journal
    settles: PodState | Exception = READY
    log: str = ""
    refuses: bool = False
    state: PodState | None = None
    damage: Any = None
    done: list[str] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)

    # the guard
    def check(self, doing: str) -> None:
        self.done.append(f"guard: {doing}")
        if self.refuses:
            raise Refused("refused")

    # reads and waits
    def read_pod(self, name: str) -> PodState | None:
        assert name == POD
        return self.state

    def read_log(self, pod: str, container: str, *, lines: int) -> str:
        return self.log

    def wait_settled(self, pod: str, deadline: float) -> PodState:
        if isinstance(self.settles, Exception):
            raise self.settles
        self.state = self.settles
        return self.settles

    def wait_gone(self, chosen: Any, deadline: float) -> None:
        assert chosen(self.state)
        self.state = None

    # kubectl
    def kubectl(self, *arguments: str, stdin: bytes = b"") -> None:
        self.done.append(f"kubectl {arguments[0]}")
        if arguments[0] == "apply":
            self.applied = json.loads(stdin)["items"]
            for path in self.inside.glob("*"):
                subprocess.run(["rm", "-r", path], check=True)

    def exec(
        self, pod: str, argv: Sequence[str], *, stdin: Any = None, stdout: Any = None, destructive: bool = False
    ) -> ExecResult:
        assert pod == POD
        self.done.append(f"exec {argv[3]}")
        if destructive:
            self.check("change the pod")
        given = None if stdin is None else b"".join(stdin)
        command = [str(self.inside) if part == FOLDER else part for part in argv]
        ended = subprocess.run(command, input=given, capture_output=True, check=False)
        if destructive and self.damage is not None:
            self.damage()
        if isinstance(stdout, Path):
            stdout.write_bytes(ended.stdout)
        elif stdout is not None:
            cast(IO[bytes], stdout).write(ended.stdout)
        return ExecResult(" ".join(argv), ended.returncode, b"", ended.stderr, 0, NOTHING, NOTHING, 0.0)

    def make(self, scratch: Path) -> S3Pod:
        kubectl = SimpleNamespace(run=self.kubectl, shell=Shell(self.journal))
        parts: Any = (
            kubectl,
            self,
            self,
            self,
            self.exec,
            lambda pod, port: 40000 if (pod, port) == (POD, PORT) else 0,
        )
        return S3Pod(*parts, scratch)

    @property
    def carried(self) -> list[str]:
        return [line for line in self.done if line in ("exec replace", "exec pack")]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "inside").mkdir()
    journal = Journal(tmp_path / "journal.jsonl")
    yield Scene(tmp_path / "inside", journal)
    journal.close()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "set" / "s3"
    (folder / KEY).parent.mkdir(parents=True)
    (folder / KEY).write_bytes(b"a line\n")
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_lies_in_the_set_is_served_and_what_was_written_comes_back(
    scene: Scene, storage: Path, tmp_path: Path
) -> None:
    with scene.make(tmp_path).serve(storage, IMAGES, to_write=True) as server:
        assert isinstance(server, S3Coordinates)
        assert server.endpoint == "http://127.0.0.1:40000"
        assert read(scene.inside) == {KEY: b"a line\n"}
        (scene.inside / KEY).unlink()
        odd = scene.inside / "chipster-backups" / "tab\there" / "line\nbreak"
        odd.parent.mkdir()
        odd.write_bytes(bytes(range(256)) * 5000)
        assert read(storage) == {KEY: b"a line\n"}
    assert read(storage) == read(scene.inside) == {"chipster-backups/tab\there/line\nbreak": bytes(range(256)) * 5000}
    assert scene.carried == ["exec replace", "exec pack"]
    assert sorted(os.listdir(storage.parent)) == ["s3"]
    assert not [name for name in os.listdir(tmp_path) if name.startswith("listing")]


def test_a_second_opening_carries_nothing_unless_the_set_was_changed(
    scene: Scene, storage: Path, tmp_path: Path
) -> None:
    pod = scene.make(tmp_path)
    for _ in range(2):
        with pod.serve(storage, IMAGES, to_write=False):
            pass
    assert scene.carried == ["exec replace"]
    assert scene.done.count("kubectl apply") == 1
    (storage / KEY).write_bytes(b"a LINE\n")
    with pod.serve(storage, IMAGES, to_write=False):
        assert read(scene.inside) == {KEY: b"a LINE\n"}
    assert scene.carried == ["exec replace", "exec replace"]
    assert scene.done.count("kubectl apply") == 1


def test_an_empty_bucket_is_a_bucket(scene: Scene, storage: Path, tmp_path: Path) -> None:
    (storage / KEY).unlink()
    with scene.make(tmp_path).serve(storage, IMAGES, to_write=True):
        assert (scene.inside / "chipster-backups").is_dir()
    assert (storage / "chipster-backups").is_dir()


def test_a_block_that_fails_leaves_the_set_as_it_was(scene: Scene, storage: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scene.make(tmp_path).serve(storage, IMAGES, to_write=True):
        (scene.inside / KEY).write_bytes(b"half")
        raise ZeroDivisionError
    assert read(storage) == {KEY: b"a line\n"}


def test_a_file_that_arrived_otherwise_is_named(scene: Scene, storage: Path, tmp_path: Path) -> None:
    scene.damage = lambda: (scene.inside / KEY).write_bytes(b"a line?")
    with (
        pytest.raises(StreamError, match="backup-info' differs"),
        scene.make(tmp_path).serve(storage, IMAGES, to_write=False),
    ):
        pass


def test_a_file_that_came_back_otherwise_is_named_and_the_set_is_as_before(
    scene: Scene, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = scene.make(tmp_path)

    def lose_a_file() -> None:
        with pod.serve(storage, IMAGES, to_write=True):
            (scene.inside / "chipster-backups" / "more").write_bytes(b"x")
            monkeypatch.setattr(
                "rehearsal.clusters.s3_pod._PACK",
                ("bash", "-c", 'cd "$1" && tar cf - --exclude=more -- *', "pack", FOLDER),
            )

    with pytest.raises(StreamError, match=r"'\./chipster-backups/more' is not here"):
        lose_a_file()
    assert read(storage) == {KEY: b"a line\n"}
    assert os.listdir(storage.parent) == ["s3"]


def test_a_link_in_the_pod_is_not_followed_and_not_brought_back(scene: Scene, storage: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of this machine")
    with scene.make(tmp_path).serve(storage, IMAGES, to_write=True):
        (scene.inside / "chipster-backups" / "way-out").symlink_to(secret)
    assert read(storage) == {KEY: b"a line\n"}
    assert not [path for path in storage.rglob("*") if path.is_symlink()]


def test_a_pod_that_does_not_take_or_give_the_buckets_says_why(scene: Scene, storage: Path, tmp_path: Path) -> None:
    pod = scene.make(tmp_path)
    with (
        pytest.raises(EnvironmentUnfit, match=r"did not give the buckets back \(status 2\); it said: tar: "),
        pod.serve(storage, IMAGES, to_write=True),
    ):
        subprocess.run(["rm", "-r", scene.inside / "chipster-backups"], check=True)
    scene.inside.rmdir()
    scene.state = None
    with (
        pytest.raises(EnvironmentUnfit, match=r"did not take the buckets .*No such file"),
        pod.serve(storage, IMAGES, to_write=False),
    ):
        pass


def test_the_guard_comes_before_everything(scene: Scene, storage: Path, tmp_path: Path) -> None:
    scene.refuses = True
    with pytest.raises(Refused), scene.make(tmp_path).serve(storage, IMAGES, to_write=True):
        pass
    assert scene.done == ["guard: serve S3"]
    scene.refuses = False
    with scene.make(tmp_path).serve(storage, IMAGES, to_write=True):
        scene.done.clear()
    assert scene.done == ["exec pack", "exec list"]  # what only reads needs none


def test_its_keys_are_random_in_the_secret_alone_and_known_to_the_redactor(
    scene: Scene, storage: Path, tmp_path: Path
) -> None:
    with scene.make(tmp_path).serve(storage, IMAGES, to_write=False) as server:
        secret = server.secret_key.get_secret_value()
        scene.journal.note(f"a slip: {secret} {server.access_key}")
    other = scene.make(tmp_path)
    assert other._access_key != server.access_key
    kinds = {one["kind"]: one for one in scene.applied}
    assert set(kinds) == {"Secret", "Service", "Pod"}
    assert base64.b64decode(kinds["Secret"]["data"]["key"]).decode() == f'"{server.access_key},{secret}"'
    rest = json.dumps([kinds["Service"], kinds["Pod"]])
    assert secret not in rest + str(scene.done) + scene.journal.path.read_text() + repr(server)
    assert server.access_key not in rest + str(scene.done) + scene.journal.path.read_text() + repr(server)
    (container,) = kinds["Pod"]["spec"]["containers"]
    (variable,) = container["env"]
    assert variable == {"name": "RCLONE_AUTH_KEY", "valueFrom": {"secretKeyRef": {"name": POD, "key": "key"}}}
    assert container["image"] == IMAGES.stand_in
    assert kinds["Service"]["spec"]["selector"] == kinds["Pod"]["metadata"]["labels"]


def test_without_a_stand_in_rclones_own_image_serves_beside_the_tools_of_the_deployments(scene: Scene) -> None:
    images = replace(IMAGES, stand_in="")
    pod = make_objects(images, "key")[2]["spec"]
    # kubectl enters the first: rclone's image has no bash
    assert [one["image"] for one in pod["containers"]] == ["example.org/postgres:14", rclone.IMAGE]
    assert pod["containers"][0]["volumeMounts"] == pod["containers"][1]["volumeMounts"]
    assert "env" not in pod["containers"][0]


def test_an_image_without_rclone_is_one_clear_error(scene: Scene, storage: Path, tmp_path: Path) -> None:
    container = ContainerState("s3", IMAGES.stand_in, ready=False, last_exit=127)
    scene.settles = replace(READY, ready=False, phase="Failed", containers=(container,))
    with (
        pytest.raises(EnvironmentUnfit, match="it has no rclone to serve S3 with") as caught,
        scene.make(tmp_path).serve(storage, IMAGES, to_write=False),
    ):
        pass
    assert caught.value.where == "localhost/ours:1"
    assert "ci/kit/build --build" in caught.value.hint, "make kind-kit may build nothing"
    assert "REHEARSAL_WORKLOAD_IMAGE" in caught.value.hint


def test_a_server_that_ends_says_what_it_said_and_the_next_opening_makes_another(
    scene: Scene, storage: Path, tmp_path: Path
) -> None:
    pod = scene.make(tmp_path)
    scene.settles = replace(READY, ready=False, phase="Failed")
    scene.log = f'Error: unknown command "s3" for "rclone serve" {pod._access_key}\n'
    with (
        pytest.raises(EnvironmentUnfit, match='unknown command "s3"') as caught,
        pod.serve(storage, IMAGES, to_write=False),
    ):
        pass
    assert pod._access_key not in str(caught.value)
    scene.settles = READY
    scene.done.clear()
    with pod.serve(storage, IMAGES, to_write=False):
        assert read(scene.inside) == {KEY: b"a line\n"}
    guarded = ["guard: serve S3", "kubectl delete", "guard: make the S3 server's pod anew", "kubectl apply"]
    assert scene.done[:4] == guarded


def test_an_image_that_cannot_be_had_says_what_to_do(scene: Scene, storage: Path, tmp_path: Path) -> None:
    scene.settles = WaitTimeout("rehearsal-s3 cannot become ready: ImagePullBackOff")
    with suppress(EnvironmentUnfit), scene.make(tmp_path).serve(storage, IMAGES, to_write=False):
        pytest.fail("it served")
    with (
        pytest.raises(EnvironmentUnfit, match="ImagePullBackOff") as caught,
        scene.make(tmp_path).serve(storage, replace(IMAGES, stand_in=""), to_write=False),
    ):
        pass
    assert f"docker pull {rclone.IMAGE}" in caught.value.hint
