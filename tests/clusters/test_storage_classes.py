"""A class that values.yaml names and the cluster does not have: told before anything waits, or stood in for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("kubernetes", reason="the extra `kind` is not installed")

from recorded_api import list_classes, make_class

from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.storage_classes import KEY, StorageClass, require_classes, stand_in
from rehearsal.deployment import Deployment
from rehearsal.errors import EnvironmentUnfit
from rehearsal.values import make_deployment, read_values

STANDARD, FAST = StorageClass("standard", is_default=True), StorageClass("fast")
ASK = "kubectl get storageclass"
OF_LONGHORN = "deployments: {fileStorage: {storageClassName: longhorn, replicas: 2}}"
ON_NODE = "databases: {sessionDb: {hostPath: /a}, auth: {hostPath: /b}, jobHistory: {hostPath: /c}}"


def deploy(tmp_path: Path, *values: str) -> Deployment:
    files = [tmp_path / f"{number}.yaml" for number in range(len(values))]
    for path, text in zip(files, values, strict=True):
        path.write_text(text)
    return make_deployment(read_values(files))


def test_a_class_that_is_there_or_none_is_no_error(tmp_path: Path) -> None:
    require_classes(deploy(tmp_path), [STANDARD], ASK)
    require_classes(deploy(tmp_path, OF_LONGHORN), [STANDARD, StorageClass("longhorn")], ASK)


def test_a_missing_class_is_told_with_its_key_and_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit) as told:
        require_classes(deploy(tmp_path, OF_LONGHORN), [STANDARD, FAST], ASK)
    assert str(told.value) == (
        "values.yaml: deployments.fileStorage.storageClassName: the cluster has no StorageClass longhorn, which claim "
        "storage-file-storage-0 asks for; it has: standard (the default), fast\n"
        '  next: kubectl get storageclass; then name one of these there, or "" for the default'
    )


def test_a_cluster_without_a_default_class_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="no default StorageClass, and claim data-chipster-session-db") as told:
        require_classes(deploy(tmp_path, OF_LONGHORN), [FAST, StorageClass("longhorn")], ASK)
    assert "it has: fast, longhorn" in told.value.what
    assert "storageclass.kubernetes.io/is-default-class=true" in told.value.hint
    with pytest.raises(EnvironmentUnfit, match="it has: none"):
        require_classes(deploy(tmp_path), [], ASK)


def test_directories_of_the_node_need_no_class(tmp_path: Path) -> None:
    require_classes(deploy(tmp_path, ON_NODE, OF_LONGHORN), [StorageClass("longhorn")], ASK)
    on_node = "deployments: {fileStorage: {storageClassName: longhorn, storageHostPath: /d}}"
    require_classes(deploy(tmp_path, ON_NODE, on_node), [], ASK)


# -- stood in for -----------------------------------------------------------------------------------------------------


class PlayedKubectl:
    """Knows classes, and keeps what it is to make."""

    def __init__(self, *classes: dict[str, Any]) -> None:
        self.listed = list_classes(*classes)
        self.made: list[Any] = []

    def run(self, *arguments: str, stdin: bytes = b"") -> SimpleNamespace:
        if arguments == ("create", "-f", "-"):
            self.made.append(json.loads(stdin))
            return SimpleNamespace(stdout=b"storageclass.storage.k8s.io/longhorn created")
        assert arguments == ("get", "storageclass", "-o", "json")
        return SimpleNamespace(stdout=json.dumps(self.listed).encode())

    def show(self, *arguments: str) -> str:
        return " ".join(("kubectl", *arguments))


def give(kubectl: PlayedKubectl, name: str) -> str:
    return stand_in(cast(Kubectl, kubectl), name)


def test_the_default_class_is_copied_under_the_name_and_is_the_only_default_one() -> None:
    model = {**make_class("standard", default=True), "parameters": {"p": "q"}, "allowVolumeExpansion": True}
    kubectl = PlayedKubectl(make_class("fast"), model)
    assert give(kubectl, "longhorn") == (
        "StorageClass longhorn of values.yaml is not in this throwaway cluster: a copy of standard "
        "(provisioner rancher.io/local-path) stands in for it"
    )
    assert kubectl.made == [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "longhorn", "labels": {"app.kubernetes.io/managed-by": "chipster-rehearsal"}},
            "provisioner": "rancher.io/local-path",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
            "parameters": {"p": "q"},
            "allowVolumeExpansion": True,
        }
    ]


def test_a_class_that_is_there_is_left_alone() -> None:
    kubectl = PlayedKubectl(make_class("standard", default=True))
    assert give(kubectl, "standard") == ""
    assert kubectl.made == []


def test_no_default_class_is_one_clear_error() -> None:
    kubectl = PlayedKubectl(make_class("fast"))
    with pytest.raises(EnvironmentUnfit, match="neither a StorageClass longhorn nor a default one") as told:
        give(kubectl, "longhorn")
    assert (told.value.where, told.value.hint) == (f"values.yaml: {KEY}", "kubectl get storageclass")
    assert kubectl.made == []
