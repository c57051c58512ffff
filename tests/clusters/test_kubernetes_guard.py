"""The guard: no call that changes anything reaches a server unless this run's marker was read back from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("kubernetes", reason="the extra `kind` is not installed")

from recorded_api import (
    CLASSES_PATH,
    MARKER_PATH,
    NAMESPACE,
    NONCE,
    Recorder,
    list_classes,
    make_class,
    serve,
    write_kubeconfig,
)

from rehearsal.clusters.guard import MARKER
from rehearsal.clusters.kubernetes import KubernetesCluster, Site
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit, Refused
from rehearsal.journal import Journal, read_journal
from rehearsal.shell import Shell
from rehearsal.values import make_deployment, read_values


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with serve(
        Recorder({"nonce": NONCE}, answers={CLASSES_PATH: list_classes(make_class("standard", default=True))})
    ) as served:
        yield served


@pytest.fixture
def other() -> Iterator[Recorder]:
    with serve(Recorder({"nonce": NONCE})) as served:
        yield served


@dataclass
class Scene:
    """A cluster whose kubectl writes down its calls and reaches no server."""

    cluster: KubernetesCluster
    kubeconfig: Path
    kubectl_log: Path
    deployment: Deployment

    @property
    def kubectl_calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.kubectl_log.read_text().splitlines()]


FAKE_KUBECTL = """#!{python} -I
import json, os, sys
sys.stdin.buffer.read()
with open({log!r}, "a") as log:
    log.write(json.dumps({{"argv": sys.argv[1:], "env": dict(os.environ)}}) + "\\n")
"""


@pytest.fixture
def scene(recorder: Recorder, tmp_path: Path) -> Iterator[Scene]:
    log = tmp_path / "kubectl.log"
    binary = tmp_path / "kubectl"
    binary.write_text(FAKE_KUBECTL.format(python=sys.executable, log=str(log)))
    binary.chmod(0o755)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", recorder.url)
    journal = Journal(tmp_path / "journal.jsonl")
    deployment = make_deployment(read_values([]))
    site = Site(kubeconfig, binary, lambda *_: [{"kind": "Secret", "data": {"p": "c2VjcmV0LW9uLXN0ZGlu"}}])
    cluster = KubernetesCluster(site, tmp_path / "scratch", NONCE, journal, Shell(journal))
    cluster._deployment = deployment
    log.write_text("")
    recorder.calls.clear()
    yield Scene(cluster, kubeconfig, log, deployment)
    cluster._reads.close()
    journal.close()


ON_HOST_PATH = make_deployment(read_values([])).databases[0].model_copy(update={"host_path": "/data/auth"})
Attempt = Callable[[Scene], object]
ATTEMPTS: dict[str, Attempt] = {
    "deploy": lambda scene: scene.cluster.deploy(scene.deployment),
    "scale": lambda scene: scene.cluster.scale("chipster-auth-postgresql", 0),
    "delete claim": lambda scene: scene.cluster.delete_claim("data-chipster-auth-postgresql-0"),
    "exec": lambda scene: scene.cluster.exec("file-storage-0", ["rm", "-rf", "storage"], destructive=True),
    "empty a hostPath": lambda scene: scene.cluster.empty_host_path(ON_HOST_PATH),
    "copy in": lambda scene: scene.cluster.copy_in(Path(__file__), "file-storage-0", "storage"),
    "serve S3": lambda scene: scene.cluster.serve_s3(scene.kubeconfig.parent, to_write=True).__enter__(),
    "close": lambda scene: scene.cluster.close(),
}
destructive = pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())


@destructive
@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ({"nonce": "ffff"}, "the nonce in configmap rehearsal-marker is another run's"),
        ({}, "another run's"),
        (None, "there is no configmap rehearsal-marker"),
    ],
)
def test_a_wrong_or_missing_marker_refuses(
    scene: Scene, recorder: Recorder, attempt: Attempt, marker: dict[str, str] | None, said: str
) -> None:
    recorder.marker = marker
    with pytest.raises(Refused, match=said) as caught:
        attempt(scene)
    assert "nothing was done" in str(caught.value)
    assert f"GET {MARKER_PATH}" in recorder.calls
    assert recorder.mutating == []
    assert scene.kubectl_calls == []


@destructive
def test_another_server_refuses_before_it_is_asked_anything(
    scene: Scene, recorder: Recorder, other: Recorder, attempt: Attempt
) -> None:
    write_kubeconfig(scene.kubeconfig, other.url)
    with pytest.raises(Refused, match=f"the kubeconfig leads to {other.url}, not to {recorder.url}"):
        attempt(scene)
    assert other.calls == []
    assert recorder.mutating == []
    assert scene.kubectl_calls == []


def test_another_authority_or_no_kubeconfig_refuses(scene: Scene, recorder: Recorder) -> None:
    content = yaml.safe_load(scene.kubeconfig.read_text())
    content["clusters"][0]["cluster"]["certificate-authority-data"] = "bm90IG91cnM="
    scene.kubeconfig.write_text(yaml.safe_dump(content))
    with pytest.raises(Refused, match=r"the certificate authority of .* is another one"):
        scene.cluster.delete_claim("c")
    scene.kubeconfig.write_text("{}")
    with pytest.raises(Refused, match="no kubeconfig to a cluster"):
        scene.cluster.delete_claim("c")
    scene.kubeconfig.unlink()
    with pytest.raises(Refused, match="no kubeconfig to a cluster"):
        scene.cluster.delete_claim("c")
    assert scene.kubectl_calls == []


def test_a_server_that_does_not_answer_refuses(tmp_path: Path, scene: Scene, recorder: Recorder) -> None:
    def fail(method: str, path: str) -> tuple[int, object]:
        return 500, {"kind": "Status", "message": "etcd is gone"}

    recorder.answer = fail  # type: ignore[method-assign]
    with pytest.raises(Refused, match=r"its marker cannot be read: .*500.*etcd is gone"):
        scene.cluster.delete_claim("c")
    assert scene.kubectl_calls == []


def test_the_marker_is_read_before_each_of_several_calls(scene: Scene, recorder: Recorder) -> None:
    claim = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/c"
    listed = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
    recorder.answers[f"/api/v1/namespaces/{NAMESPACE}/pods"] = listed
    scene.cluster.delete_claim("c")
    recorder.marker = {"nonce": "changed in between"}
    with pytest.raises(Refused):
        scene.cluster.delete_claim("c")
    asked = [call for call in recorder.calls if MARKER in call or claim in call]
    assert asked == [f"GET {MARKER_PATH}", f"GET {claim}", f"GET {MARKER_PATH}"]
    assert [call["argv"][4:] for call in scene.kubectl_calls] == [["delete", "pvc", "c", "--wait=false"]]


def test_the_marker_is_read_again_before_the_empty_namespace_goes(scene: Scene, recorder: Recorder) -> None:
    """Pods may take minutes to end, and a namespace of that name might be another's by then."""
    namespace = f"/api/v1/namespaces/{NAMESPACE}"
    empty = {"apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
    recorder.answers[f"{namespace}/persistentvolumeclaims"] = {"kind": "PersistentVolumeClaimList", **empty}
    pods = f"{namespace}/pods"
    answer = recorder.answer

    def take_the_marker_when_pods_are_listed(method: str, path: str) -> tuple[int, object]:
        if path.partition("?")[0] == pods:
            recorder.marker = {"nonce": "changed in between"}
        return answer(method, path)

    recorder.answers[pods] = {"kind": "PodList", **empty}
    recorder.answer = take_the_marker_when_pods_are_listed  # type: ignore[method-assign]
    with pytest.raises(Refused, match="delete the empty namespace"):
        scene.cluster.close()
    assert [call["argv"][4:6] for call in scene.kubectl_calls] == [["delete", "sts,pod,pvc"]]


def test_reading_needs_no_marker(scene: Scene, recorder: Recorder) -> None:
    recorder.marker = None
    assert scene.cluster.claim_identity("c") is None
    assert recorder.mutating == []


def test_an_existing_namespace_is_never_taken_over(
    recorder: Recorder, tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = scene.cluster._site
    (tmp_path / "kubectl").write_text("#!/bin/sh\ncat >/dev/null; echo AlreadyExists >&2; exit 1\n")
    journal = Journal(tmp_path / "second.jsonl")
    with pytest.raises(Exception, match="AlreadyExists"):
        KubernetesCluster(site, tmp_path / "scratch2", NONCE, journal, Shell(journal))
    owned = [line for line in read_journal(journal.path) if line["event"] == "owned"]
    assert owned[0]["name"] == NAMESPACE
    assert owned[0]["nonce"] == NONCE
    journal.close()


def test_the_ambient_kubeconfig_is_never_read(
    scene: Scene, recorder: Recorder, other: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    ambient = write_kubeconfig(home / ".kube" / "config", other.url)
    monkeypatch.setenv("KUBECONFIG", str(ambient))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", other.url.rpartition(":")[2])
    monkeypatch.setenv("HTTP_PROXY", other.url)
    monkeypatch.setenv("http_proxy", other.url)
    monkeypatch.setenv("SOME_SECRET", "x")
    journal = Journal(tmp_path / "ambient.jsonl")
    cluster = KubernetesCluster(scene.cluster._site, tmp_path / "scratch2", NONCE, journal, Shell(journal))
    cluster.claim_identity("c")
    with pytest.raises(EnvironmentUnfit, match="404"):
        cluster.deploy(scene.deployment)  # the recorder has no pods to list
    cluster._reads.close()
    journal.close()
    assert other.calls == []
    assert recorder.calls != []
    assert len(scene.kubectl_calls) == 2
    for call in scene.kubectl_calls:
        assert call["argv"][:4] == ["--kubeconfig", str(scene.kubeconfig), "-n", NAMESPACE]
        assert call["env"]["KUBECONFIG"] == str(scene.kubeconfig)
        assert call["env"]["HOME"] == str(tmp_path / "scratch2")
        known = {"PATH", "HOME", "KUBECONFIG", "LANG", "LC_CTYPE", "PWD", "SHLVL", "_", "REHEARSAL_JOURNAL"}
        assert set(call["env"]) <= known | {"GOGC", "GOMEMLIMIT"}  # of our own choosing
        assert (call["env"]["GOGC"], call["env"]["GOMEMLIMIT"]) == ("off", "96MiB")


def test_a_class_that_the_cluster_does_not_have_is_told_before_anything_is_applied(scene: Scene) -> None:
    deployment = scene.deployment.model_copy(update={"storage_class": "longhorn"})
    with pytest.raises(EnvironmentUnfit, match="the cluster has no StorageClass longhorn") as told:
        scene.cluster.deploy(deployment)
    assert told.value.where == "values.yaml: deployments.fileStorage.storageClassName"
    assert f"--kubeconfig {scene.kubeconfig} -n {NAMESPACE} get storageclass; " in told.value.hint
    assert scene.kubectl_calls == []


def test_what_stands_in_is_in_what_is_not_proved(scene: Scene, tmp_path: Path) -> None:
    assert len(scene.cluster.does_not_prove) == 2
    site = replace(scene.cluster._site, image="localhost/ours:1", storage_class="longhorn")
    cluster = KubernetesCluster(
        site, tmp_path / "scratch2", NONCE, scene.cluster._journal, scene.cluster._kubectl.shell
    )
    cluster._reads.close()
    assert cluster.does_not_prove[2:] == (
        "nothing about the images of values.yaml: localhost/ours:1 stands in for them",
        "nothing about your StorageClass longhorn: the node's own volumes stand in for its",
    )


def test_secrets_go_by_standard_input_alone(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit):
        scene.cluster.deploy(scene.deployment)
    assert "apply" in scene.kubectl_calls[0]["argv"]
    assert "c2VjcmV0LW9uLXN0ZGlu" not in scene.kubectl_log.read_text()
    assert "c2VjcmV0LW9uLXN0ZGlu" not in (tmp_path / "journal.jsonl").read_text()
