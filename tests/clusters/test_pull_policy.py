"""The pods that a rehearsal adds to Chipster's own: a stand-in image is never asked of a registry, which has none."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("kubernetes", reason="the extra `kind` is not installed")

from rehearsal.clusters.kubernetes import KubernetesCluster, Site
from rehearsal.clusters.s3_pod import S3Images, make_objects
from rehearsal.values import make_deployment, read_values

VALUES = "image: {tag: v1, localPullPolicy: Always}\ndeployments: {fileStorage: {storageHostPath: /mnt/files}}"

both = pytest.mark.parametrize(("image", "policy"), [("", "Always"), ("localhost/ours:1", "IfNotPresent")])


class Scene:
    """A cluster without one: what it would have sent, kept."""

    def __init__(self, folder: Path, image: str) -> None:
        self.sent: list[dict[str, Any]] = []
        self.images: list[S3Images] = []
        values = folder / "values.yaml"
        values.write_text(VALUES)
        self.cluster = object.__new__(KubernetesCluster)
        self.cluster.__dict__ |= {
            "_site": Site(folder / "kubeconfig", folder / "kubectl", lambda *_: [], image),
            "_deployment": make_deployment(read_values([values])),
            "_guard": SimpleNamespace(check=lambda *_: None),
            "_reads": SimpleNamespace(read_pod=lambda *_: None),
            "_waits": SimpleNamespace(wait_ended=lambda *_: "Succeeded"),
            "_kubectl": SimpleNamespace(run=self.run),
            "_s3": SimpleNamespace(serve=self.serve),
            "namespace": "rehearsal-0123",
        }

    def run(self, *arguments: str, stdin: bytes = b"") -> None:
        if stdin:
            self.sent += json.loads(stdin)["items"]

    def serve(self, storage: Path, images: S3Images, *, to_write: bool) -> None:
        self.images.append(images)


@both
def test_of_the_pod_that_empties_a_directory(tmp_path: Path, image: str, policy: str) -> None:
    scene = Scene(tmp_path, image)
    scene.cluster.empty_host_path(scene.cluster._require_deployment().files[0])
    (container,) = scene.sent[0]["spec"]["containers"]
    assert container["imagePullPolicy"] == policy


@both
def test_of_the_s3_server(tmp_path: Path, image: str, policy: str) -> None:
    scene = Scene(tmp_path, image)
    cast(Any, scene.cluster.serve_s3(tmp_path, to_write=True))
    (images,) = scene.images
    pod = make_objects(images, "key")[2]
    assert {container["imagePullPolicy"] for container in pod["spec"]["containers"]} == {policy}
